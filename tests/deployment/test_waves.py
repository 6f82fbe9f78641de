"""Waves, canaries, limits on failures, and saved plans."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.proposal import Proposal
from envfab.deployment.waves import waves
from envfab.models.requirements import Requirements
from envfab.planning.plan import Plan, Status
from tests.support.fab import run_fab
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


def proposals(number: int) -> list[Proposal]:
    """So many virtualenvs with changes."""
    fleet = Fleet(hosts=[Host(f"web{index}", virtualenvs=[Virtualenv("/srv/v")]) for index in range(number)])
    return [
        Proposal(member, Requirements(()), Plan(member.target, Status.CHANGES))
        for member in fleet.members(lambda _host: "me")
    ]


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [(None, [10]), (4, [4, 4, 2]), (20, [10]), ("25%", [2, 2, 2, 2, 2]), ("1%", [1] * 10), ("100%", [10])],
)
def test_waves_are_of_the_size_that_batch_says(batch: int | str | None, sizes: list[int]) -> None:
    """A number counts virtualenvs, a percentage is of all and never less than one; the order stays."""
    ten = proposals(10)
    found = waves(ten, batch, frozenset())
    assert [len(wave) for wave in found] == sizes
    assert [one for wave in found for one in wave] == ten


def test_canaries_come_first_and_alone() -> None:
    """Whoever is a canary is in a wave before all others."""
    ten = proposals(10)
    found = waves(ten, 5, {ten[7].plan.target})
    assert [[one.plan.target.host for one in wave] for wave in found] == [
        ["web7"],
        ["web0", "web1", "web2", "web3", "web4"],
        ["web5", "web6", "web8", "web9"],
    ]


@pytest.fixture
def four(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> list[Path]:
    """Four virtualenvs on four hosts, whose `check` fails while there is a file of the host's name."""
    srv.chmod(0o777)
    paths = [make_virtualenv("3.11", srv / f"v{number}", owner=hosts.users.admin) for number in (1, 2, 3, 4)]
    workplace.fabfile(
        ",".join(
            f"Host('web{number}', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'],"
            f" before='echo web{number} >> {srv}/order', check='test ! -e {srv}/fail-web{number}')])"
            for number, path in enumerate(paths, 1)
        ),
        settings="'check_retries': 0",
    )
    workplace.add_made("shop", "1.0")
    return paths


def test_a_wave_that_fails_stops_the_rollout(workplace: Workplace, srv: Path, four: list[Path]) -> None:
    """With `batch` one failure is enough; what did not start is listed with the command that goes on with just that."""
    (srv / "fail-web2").touch()
    done = workplace.fab("deploy", "--batch", "1", "--yes")
    assert done.returncode == 1
    assert (srv / "order").read_text().split() == ["web1", "web2"]
    assert "1 deployed, 1 failed (as it was before), 2 skipped" in done.stdout
    assert workplace.log.count("not started: the rollout had stopped") == 2
    line = next(line for line in done.stdout.splitlines() if line.startswith("to continue with these: "))
    (srv / "fail-web2").unlink()
    again = run_fab(workplace.folder, *shlex.split(line.partition(": fab ")[2]), "--yes")
    assert again.returncode == 0, again.stderr
    assert sorted((srv / "order").read_text().split()[2:]) == ["web3", "web4"]
    assert [bool(freeze(path)) for path in four] == [True, False, True, True]


def test_a_canary_that_fails_keeps_the_others_away(workplace: Workplace, srv: Path, four: list[Path]) -> None:
    """Nothing else starts where the canary does not sing."""
    (srv / "fail-web3").touch()
    done = workplace.fab("deploy", "--canary", "web3", "--yes")
    assert done.returncode == 1
    assert (srv / "order").read_text().split() == ["web3"]
    assert [freeze(path) for path in four] == [{}, {}, {}, {}]
    (srv / "fail-web3").unlink()
    assert workplace.fab("deploy", "--canary", "web3", "--yes").returncode == 0
    assert (srv / "order").read_text().split()[1] == "web3"
    assert all(freeze(path) == {"shop": "1.0"} for path in four)


def test_max_failures_lets_some_fail(workplace: Workplace, srv: Path, four: list[Path]) -> None:
    """Two failures are allowed to happen before nothing new starts."""
    for host in ("web1", "web2"):
        (srv / f"fail-{host}").touch()
    done = workplace.fab("deploy", "--batch=1", "--max-failures=2", "--yes")
    assert done.returncode == 1
    assert (srv / "order").read_text().split() == ["web1", "web2"]
    assert all(freeze(path) == {} for path in four)


def test_a_saved_plan_is_carried_out_as_it_was_reviewed(workplace: Workplace, four: list[Path]) -> None:
    """What came into the wheelhouse afterwards has no part in it."""
    assert workplace.fab("plan", "--out", "friday.json").returncode == 0
    workplace.add_made("shop", "2.0")
    done = workplace.fab("deploy", "--plan", "friday.json", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(freeze(path) == {"shop": "1.0"} for path in four)


def test_a_saved_plan_is_refused_where_the_virtualenv_or_a_wheel_changed(
    workplace: Workplace, four: list[Path]
) -> None:
    """A virtualenv that is not as it was reviewed is left alone; so is every one that needs a changed wheel."""
    workplace.fab("plan", "--out", "friday.json")
    workplace.fab("deploy:web1", "--yes")
    done = workplace.fab("deploy", "--plan", "friday.json", "--yes")
    assert done.returncode == 1
    assert "the virtualenv changed after the plan was saved; nothing was done" in done.stdout
    assert "1 blocked, 3 deployed" in done.stdout
    assert all(freeze(path) == {"shop": "1.0"} for path in four)
    document = json.loads((workplace.folder / "friday.json").read_text())
    document["virtualenvs"][0]["fingerprint"] = workplace.json("plan:web1")["virtualenvs"][0]["fingerprint"]
    document["virtualenvs"][0]["actions"][0]["sha256"] = "0" * 64
    (workplace.folder / "friday.json").write_text(json.dumps(document))
    done = workplace.fab("deploy:web1", "--plan", "friday.json", "--yes")
    assert done.returncode == 1
    assert "changed on disk after it was logged: shop-1.0-py3-none-any.whl" in done.stdout


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not json", "friday.json: not a saved plan\n  make one with fab plan --out FILE"),
        ("[]", "friday.json: not a saved plan\n  make one with fab plan --out FILE"),
        (
            '{"format": 99}',
            "friday.json: the plan has format 99; this envfab reads formats up to 2\n  use the version of envfab that made it",
        ),
        (None, "friday.json: cannot read the plan: No such file or directory\n  make one with fab plan --out FILE"),
    ],
)
def test_a_file_that_is_no_plan_is_one_clear_error(
    workplace: Workplace, hosts: Hosts, content: str | None, says: str, four: list[Path]
) -> None:
    """Nothing is contacted, exit 1."""
    assert four
    if content is not None:
        workplace.file("friday.json", content)
    done = workplace.fab("deploy", "--plan", "friday.json", "--yes")
    assert done.returncode == 1
    assert done.stderr.replace(f"-S {hosts.config} ", "") == f"envfab: {says}\n"


def test_a_canary_that_cannot_be_deployed_to_keeps_the_others_away(workplace: Workplace, four: list[Path]) -> None:
    """A canary that is blocked or unreachable tells nothing of the new version: nothing starts."""
    fabfile = workplace.folder / "fabfile.py"
    fabfile.write_text(fabfile.read_text().replace("packages=['shop']", "packages=['shop', 'nosuch']", 1))
    done = workplace.fab("deploy", "--canary", "web1", "--yes")
    assert done.returncode == 1
    assert "nothing was started: cannot deploy to the canaries" in done.stderr
    assert "1 blocked, 3 skipped" in done.stdout
    assert "to continue with these" in done.stdout
    assert all(freeze(path) == {} for path in four)


def test_a_canary_must_be_among_what_is_deployed_to(workplace: Workplace, four: list[Path]) -> None:
    """Else there would be no canary at all, and nobody would notice."""
    done = workplace.fab("deploy:web1", "--canary", "web2", "--yes")
    assert done.returncode == 1
    assert "--canary: not among the chosen targets: " in done.stderr
    assert freeze(four[0]) == {}


def test_a_deployment_of_a_saved_plan_names_the_virtualenvs_that_it_leaves_out(
    workplace: Workplace, four: list[Path]
) -> None:
    """Those not selected, and those that the fabfile no longer has; if the plan has none of those selected, it fails."""
    workplace.fab("plan:web1,web2,web4", "--out", "friday.json")
    fabfile = workplace.folder / "fabfile.py"
    fabfile.write_text(fabfile.read_text().replace(str(four[3]), f"{four[3]}-moved"))
    done = workplace.fab("deploy:web1", "--plan", "friday.json", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    warnings = [line.split("@") for line in done.stderr.splitlines() if line.startswith("warning: in the saved plan")]
    assert [(before.rsplit(" ", 1)[0], name) for before, name in warnings] == [
        ("warning: in the saved plan, but not selected:", f"web2:{four[1]}"),
        ("warning: in the saved plan, but not in the fabfile any more:", f"web4:{four[3]}"),
    ]
    done = workplace.fab("deploy:web3", "--plan", "friday.json", "--yes")
    assert done.returncode == 1
    assert "the saved plan has none of the selected virtualenvs" in done.stderr

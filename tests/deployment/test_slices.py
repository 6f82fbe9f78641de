"""Slices of a fleet: deployed to by several machines, cut off, gone on with, and carried by saved plans."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.config.slices import Slice
from envfab.deployment.waves import waves
from tests.deployment.test_waves import proposals
from tests.support.fab import run_fab
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze, wait_for

HOSTS = 6
# of six alike hosts, by name
SLICES = {"1/3": ("web1", "web4"), "2/3": ("web2", "web5"), "3/3": ("web3", "web6")}


@given(st.integers(0, 20), st.sampled_from([None, 1, 4, "25%", "1%"]), st.sets(st.integers(0, 19)), st.integers(1, 5))
def test_slices_take_their_parts_of_each_wave(
    number: int, batch: int | str | None, canaries: set[int], count: int
) -> None:
    """The n-th waves of all slices together are the n-th wave of the saved plan."""
    every = proposals(number)
    targets = [one.plan.target for one in every]
    first = {targets[index] for index in canaries if index < number}
    hosts = [one.member.host for one in every]
    whole = waves(every, batch, first)
    names = [Slice(one + 1, count).hosts_of(hosts) for one in range(min(count, number))]
    parts = [waves([one for one in every if one.plan.target.host in part], batch, first, targets) for part in names]
    assert all(len(part) == len(whole) for part in parts)
    for turn, wave in enumerate(whole):
        assert {one.plan.target for part in parts for one in part[turn]} == {one.plan.target for one in wave}


@pytest.fixture
def fleet(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> dict[str, Path]:
    """A virtualenv on each of six hosts; each tells in `order` that it begins, and waits while it has a `hold` file.

    Its `check` fails while it has a `fail` file.
    """
    srv.chmod(0o777)
    paths = {
        f"web{number}": make_virtualenv("3.11", srv / f"v{number}", owner=hosts.users.admin)
        for number in range(1, HOSTS + 1)
    }
    fabfile(workplace, srv, paths)
    workplace.add_made("shop", "1.0")
    return paths


def fabfile(workplace: Workplace, srv: Path, paths: dict[str, Path], settings: str = "") -> None:
    """Write the fabfile of these virtualenvs."""
    workplace.fabfile(
        ",".join(
            f"Host({name!r}, virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'],"
            f" before='echo {name} >> {srv}/order; while test -e {srv}/hold-{name}; do sleep 0.05; done',"
            f" check='test ! -e {srv}/fail-{name}')])"
            for name, path in paths.items()
        ),
        settings=f"'check_retries': 0, {settings}",
    )


def order(srv: Path) -> list[str]:
    """The hosts in the order in which their deployments began."""
    return (srv / "order").read_text().split() if (srv / "order").exists() else []


def begun(srv: Path, number: int) -> None:
    """Wait until so many deployments have begun."""
    deadline = time.monotonic() + 60
    while len(order(srv)) < number:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def deployed(fleet: dict[str, Path]) -> set[str]:
    """The hosts that have the package."""
    return {name for name, path in fleet.items() if list(path.glob("lib/python3.11/site-packages/shop.py"))}


def clone(workplace: Workplace) -> Workplace:
    """The same as another machine has it: another folder, with the same fabfile and wheels, and a log of its own."""
    other = workplace.folder.with_name("clone")
    shutil.copytree(workplace.folder, other, ignore=shutil.ignore_patterns(".home", "made"))
    return replace(workplace, folder=other)


def test_each_slice_deploys_to_its_hosts(workplace: Workplace, fleet: dict[str, Path]) -> None:
    """Summary, JSON, plan and history name the slice; all slices together deploy to the fleet."""
    told = workplace.fab("plan", "--slice", "1/3")
    assert told.returncode == 0, told.stderr
    assert "slice 1/3   2 virtualenvs on 2 hosts" in told.stdout
    assert told.stdout.splitlines()[-1] == "slice 1/3: 2 with changes"
    done = workplace.fab("deploy", "--slice", "1/3", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "slice 1/3: 2 deployed" in done.stdout
    assert deployed(fleet) == set(SLICES["1/3"])
    done = workplace.fab("deploy:slice=2/3,yes=true")
    assert deployed(fleet) == {*SLICES["1/3"], *SLICES["2/3"]}
    document = workplace.json("deploy", "--slice", "3/3", "--yes")
    assert document["slice"] == "3/3"
    assert [one["host"] for one in document["virtualenvs"]] == list(SLICES["3/3"])
    assert deployed(fleet) == fleet.keys()
    shown = workplace.fab("history").stdout
    assert [shown.count(f"   slice {part}   deployed") for part in SLICES] == [2, 2, 2]
    records = {one["target"].split("@")[1][:4]: one["deployments"] for one in workplace.json("history")["virtualenvs"]}
    assert {name: [one["slice"] for one in records[name]] for name in fleet} == {
        name: [part] for part, names in SLICES.items() for name in names
    }
    assert workplace.json("plan")["slice"] is None
    assert workplace.json("plan", "--slice", "2/3")["slice"] == "2/3"


def test_names_select_within_the_slice(workplace: Workplace, fleet: dict[str, Path]) -> None:
    """The division is that of the whole fleet, whatever is selected."""
    assert list(workplace.statuses("deploy:web1,web2,web3", "--slice", "2/3", "--yes").values()) == ["deployed"]
    assert deployed(fleet) == {"web2"}


def test_a_selection_outside_of_the_slice_is_nothing_to_do(
    workplace: Workplace, hosts: Hosts, fleet: dict[str, Path]
) -> None:
    """It is told, exit 0, and no host is contacted; JSON and saved plans are documents without virtualenvs."""
    said = "nothing to do in slice 2/3: no selected virtualenv is in it"
    offset = hosts.log.stat().st_size
    for task in (["plan"], ["deploy", "--yes"], ["rollback", "--yes"]):
        done = workplace.fab(f"{task[0]}:web1,web4", "--slice", "2/3", *task[1:])
        assert (done.returncode, said in done.stdout) == (0, True), done.stderr
        document = workplace.json(f"{task[0]}:web1", "--slice", "2/3", *task[1:])
        assert (document["virtualenvs"], document["slice"], document["rollout"]) == ([], "2/3", None)
    assert workplace.fab("plan:web1", "--slice", "2/3", "--out", "part.json").returncode == 0
    done = workplace.fab("deploy", "--plan", "part.json", "--yes")
    of_plan = "nothing to do in slice 2/3: no selected virtualenv of the saved plan is in it"
    assert (done.returncode, of_plan in done.stdout) == (0, True), done.stderr
    assert "Connection from" not in hosts.log_since(offset)
    assert deployed(fleet) == set()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["deploy", "--slice", "9/8", "--yes"], "--slice: there is no slice 9/8"),
        (["deploy", "--slice", "0/8", "--yes"], "--slice: there is no slice 0/8"),
        (["deploy", "--slice", "/", "--yes"], "--slice: must be K/N, such as 3/8, not '/'"),
        (["deploy", "--slice", "", "--yes"], "--slice is empty"),
        (["deploy:slice=x", "--yes"], "--slice: must be K/N, such as 3/8, not 'x'"),
        (["plan", "--slice", "+1/8"], "--slice: must be K/N, such as 3/8, not '+1/8'"),
        (["rollback", "--slice", "1 / 8"], "--slice: must be K/N, such as 3/8, not '1 / 8'"),
        (["deploy", "--slice", "8/8", "--yes"], "slice 8/8 is empty: the fleet can be divided into 6 slices at most"),
        (["plan", "--slice", "8/8"], "slice 8/8 is empty: the fleet can be divided into 6 slices at most"),
        (["deploy:web1", "--slice", "8/8", "--yes"], "slice 8/8 is empty"),
        (["deploy", "--slice", "1/3", "--batch", "2", "--yes"], "--slice cannot be combined with --batch: slices do"),
        (["deploy", "--slice", "1/3", "--canary", "web1", "--yes"], "--slice cannot be combined with --canary: "),
        (["plan", "--slice", "1/3", "--batch", "2", "--out", "x"], "--slice cannot be combined with --batch: "),
        (["plan", "--slice", "1/3", "--canary", "web1", "--batch", "2", "--out", "x"], "with --canary and --batch: "),
        (["plan", "--canary", "web1"], "--canary needs --out FILE: a saved plan keeps its waves"),
        (["plan", "--canary", "web1", "--batch", "25%"], "--canary and --batch needs --out FILE"),
        (["plan:web1", "--canary", "web2", "--out", "x"], "--canary: not among the chosen targets: "),
        (
            ["plan", "--batch", "none-at-all", "--out", "x"],
            "--batch: must be a number of virtualenvs, or a percentage like 25%, not 'none-at-all'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(workplace: Workplace, hosts: Hosts, arguments: list[str], says: str) -> None:
    """In at most two lines, exit 1, before any host is contacted."""
    fabfile(workplace, Path("/srv"), {f"web{number}": Path("/srv/v") for number in range(1, HOSTS + 1)})
    offset = hosts.log.stat().st_size
    done = workplace.fab(*arguments)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "Connection from" not in hosts.log_since(offset)
    assert not (workplace.folder / "x").exists()


def test_a_setting_of_waves_is_refused_with_slices(workplace: Workplace, srv: Path, fleet: dict[str, Path]) -> None:
    """The message has the way by a saved plan, and the way without waves."""
    fabfile(workplace, srv, fleet, "'batch': '50%'")
    done = workplace.fab("deploy", "--slice", "1/3", "--yes")
    assert done.returncode == 1
    assert "envfab: --slice cannot be combined with the setting batch: slices do not wait for each other" in done.stderr
    assert "--out FILE, then fab" in done.stderr
    assert done.stderr.rstrip().endswith("deploy --plan FILE --slice 1/3; --batch none does without waves")
    assert workplace.fab("plan", "--slice", "1/3").returncode == 0
    done = workplace.fab("deploy", "--slice", "1/3", "--batch", "none", "--yes")
    assert done.returncode == 0, done.stderr
    assert deployed(fleet) == set(SLICES["1/3"])


@pytest.mark.usefixtures("fleet")
def test_a_saved_plan_carries_its_waves(workplace: Workplace, srv: Path) -> None:
    """Each slice takes its part of each wave, canaries first; so does a deployment without a slice."""
    saved = workplace.fab("plan", "--canary", "web5", "--canary", "web6", "--batch", "3", "--out", "friday.json")
    assert saved.returncode == 0, saved.stderr
    document = json.loads((workplace.folder / "friday.json").read_text())
    assert document["format"] == 2
    assert document["waves"]["batch"] == 3
    assert [name.split("@")[1][:4] for name in document["waves"]["canaries"]] == ["web5", "web6"]
    done = workplace.fab("deploy", "--plan", "friday.json", "--slice", "2/3", "--yes")
    assert done.returncode == 0, done.stderr
    assert order(srv) == ["web5", "web2"]
    assert "in the saved plan, but not selected" not in done.stderr
    done = workplace.fab("deploy", "--plan", "friday.json", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert order(srv)[2] == "web6"
    assert set(order(srv)[3:5]) == {"web1", "web3"}
    assert order(srv)[5:] == ["web4"]
    assert "2 current" in done.stdout
    assert "this plan was carried out by deployment " in done.stdout


def test_a_canary_of_a_saved_plan_that_fails_keeps_the_others_of_its_slice_away(
    workplace: Workplace, srv: Path, fleet: dict[str, Path]
) -> None:
    """The commands that continue and that roll back are those of the slice."""
    (srv / "fail-web5").touch()
    assert workplace.fab("plan", "--canary", "web5", "--out", "friday.json").returncode == 0
    done = workplace.fab("deploy", "--plan", "friday.json", "--slice", "2/3", "--yes")
    assert done.returncode == 1
    assert order(srv) == ["web5"]
    assert "slice 2/3: 1 skipped, 1 failed (as it was before)" in done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith("to continue with these: "))
    assert " --plan friday.json --slice 2/3" in line
    again = run_fab(workplace.folder, *shlex.split(line.partition(": fab ")[2]), "--yes")
    assert again.returncode == 0, again.stdout + again.stderr
    assert deployed(fleet) == {"web2"}
    line = next(line for line in again.stdout.splitlines() if line.startswith("to roll back: "))
    assert " --slice 2/3" in line
    back = run_fab(workplace.folder, *shlex.split(line.partition(": fab ")[2]), "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    assert "slice 2/3: 1 rolled back" in back.stdout
    assert deployed(fleet) == set()


def test_waves_are_made_of_the_whole_plan(workplace: Workplace, srv: Path, fleet: dict[str, Path]) -> None:
    """A batch of three is one of each of three slices: what is in the second wave does not start after a failure."""
    (srv / "fail-web1").touch()
    assert workplace.fab("plan", "--batch", "3", "--out", "friday.json").returncode == 0
    document = workplace.json("deploy", "--plan", "friday.json", "--slice", "1/3", "--yes", status=1)
    assert [one["status"] for one in document["virtualenvs"]] == ["rolled-back", "skipped"]
    assert order(srv) == ["web1"]
    document = workplace.json("deploy", "--plan", "friday.json", "--slice", "2/3", "--yes")
    assert deployed(fleet) == set(SLICES["2/3"])


def test_the_setting_is_saved_with_the_plan(workplace: Workplace, srv: Path, fleet: dict[str, Path]) -> None:
    """So that slices of that plan are not refused because of the setting."""
    fabfile(workplace, srv, fleet, "'batch': '50%'")
    assert workplace.fab("plan", "--out", "friday.json").returncode == 0
    assert json.loads((workplace.folder / "friday.json").read_text())["waves"] == {"canaries": [], "batch": "50%"}
    assert workplace.fab("deploy", "--plan", "friday.json", "--slice", "1/3", "--yes").returncode == 0
    assert deployed(fleet) == set(SLICES["1/3"])


def test_flags_outrank_the_waves_of_a_saved_plan(workplace: Workplace, srv: Path, fleet: dict[str, Path]) -> None:
    """And these the setting, whether they have a batch or not."""
    assert workplace.fab("plan", "--canary", "web5", "--out", "friday.json").returncode == 0
    fabfile(workplace, srv, fleet, "'batch': 1")
    done = workplace.fab("deploy:web1,web5", "--plan", "friday.json", "--canary", "web1", "--yes")
    assert done.returncode == 0, done.stderr
    assert order(srv) == ["web1", "web5"]
    for name in ("web2", "web3"):
        (srv / f"hold-{name}").touch()
    process = workplace.start("deploy:web2,web3", "--plan", "friday.json", "--yes")
    begun(srv, 4)
    for name in ("web2", "web3"):
        (srv / f"hold-{name}").unlink()
    assert process.wait(60) == 0
    assert deployed(fleet) == {"web1", "web2", "web3", "web5"}


def test_a_plan_of_a_slice_is_deployed_as_that_slice(workplace: Workplace, fleet: dict[str, Path]) -> None:
    """It needs no `--slice` then, and does not take another one."""
    assert workplace.fab("plan", "--slice", "2/3", "--out", "part.json").returncode == 0
    wrong = workplace.fab("deploy", "--plan", "part.json", "--slice", "1/3", "--yes")
    assert wrong.returncode == 1
    assert wrong.stderr.endswith("--slice: the saved plan is for slice 2/3, not for 1/3\n")
    document = workplace.json("deploy", "--plan", "part.json", "--yes")
    assert document["slice"] == "2/3"
    assert deployed(fleet) == set(SLICES["2/3"])


def test_a_saved_plan_of_another_fleet_is_not_divided(
    workplace: Workplace, hosts: Hosts, srv: Path, fleet: dict[str, Path]
) -> None:
    """One message, before any host is contacted; without a slice it is carried out."""
    assert workplace.fab("plan", "--out", "friday.json").returncode == 0
    fewer = {name: path for name, path in fleet.items() if name != "web6"}
    fabfile(workplace, srv, fewer)
    offset = hosts.log.stat().st_size
    done = workplace.fab("deploy", "--plan", "friday.json", "--slice", "1/3", "--yes")
    assert done.returncode == 1
    assert done.stderr.startswith("envfab: --slice: the saved plan was made for another fleet")
    assert len(done.stderr.splitlines()) == 2
    assert "Connection from" not in hosts.log_since(offset)
    assert workplace.fab("deploy:web1", "--plan", "friday.json", "--yes").returncode == 0
    fabfile(workplace, srv, dict(reversed(fleet.items())))
    assert workplace.fab("deploy", "--plan", "friday.json", "--slice", "1/3", "--yes").returncode == 0
    assert deployed(fleet) == set(SLICES["1/3"])


def test_a_saved_plan_without_its_fleet_is_not_divided(workplace: Workplace, fleet: dict[str, Path]) -> None:
    """As versions without slices saved it; it is carried out as ever."""
    assert workplace.fab("plan", "--out", "friday.json").returncode == 0
    file = workplace.folder / "friday.json"
    document = json.loads(file.read_text())
    assert document["format"] == 1
    older = {key: value for key, value in document.items() if key not in ("slice", "fleet", "waves")}
    file.write_text(json.dumps(older))
    done = workplace.fab("deploy", "--plan", "friday.json", "--slice", "1/3", "--yes")
    assert done.returncode == 1
    assert "--slice: the saved plan does not say which fleet it was made for" in done.stderr
    assert workplace.fab("deploy", "--plan", "friday.json", "--yes").returncode == 0
    assert deployed(fleet) == fleet.keys()


def killed(workplace: Workplace, srv: Path, *arguments: str) -> None:
    """Run `fab` until web1 is deployed and web4 is under way, and kill it there."""
    (srv / "hold-web4").touch()
    process = workplace.start(*arguments)
    begun(srv, 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (srv / "hold-web4").unlink()


@pytest.mark.parametrize(
    ("plan", "processes"),
    [((), 1), (("--plan", "friday.json"), 1), (("--plan", "friday.json"), 2)],
    ids=["plain", "saved", "saved, in several processes"],
)
def test_a_killed_slice_is_finished_by_another_machine(
    workplace: Workplace, srv: Path, fleet: dict[str, Path], plan: tuple[str, ...], processes: int
) -> None:
    """The same command does it: what was deployed is current, what was cut off is deployed, nothing else is touched."""
    fabfile(workplace, srv, fleet, f"'parallel': 1, 'processes': {processes}")
    assert workplace.fab("plan", "--out", "friday.json").returncode == 0
    other = clone(workplace)
    killed(workplace, srv, "deploy", "--slice", "1/3", *plan, "--yes")
    assert [bool(freeze(fleet[name])) for name in SLICES["1/3"]] == [True, False]
    done = other.fab("deploy", "--slice", "1/3", *plan, "--yes", "--wait", "30")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "slice 1/3: 1 current, 1 deployed" in done.stdout
    assert "was interrupted at before" in done.stdout
    assert deployed(fleet) == set(SLICES["1/3"])
    histories = other.json("history:web4")["virtualenvs"][0]["deployments"]
    assert [(one["status"], one["slice"]) for one in histories] == [("deployed", "1/3"), ("interrupted", "1/3")]
    again = other.fab("deploy", "--slice", "1/3", *plan, "--yes")
    assert (again.returncode, "slice 1/3: 2 current" in again.stdout) == (0, True)


def test_a_saved_plan_that_was_cut_off_after_the_switch_is_finished(
    workplace: Workplace, srv: Path, fleet: dict[str, Path]
) -> None:
    """Its packages are there already: what is left is to reload, to check and to record."""
    text = (workplace.folder / "fabfile.py").read_text()
    waits = f"reload='touch {srv}/reloading; while test -e {srv}/hold; do sleep 0.05; done', packages=['shop']"
    (workplace.folder / "fabfile.py").write_text(text.replace("packages=['shop']", waits, 1))
    assert workplace.fab("plan", "--out", "friday.json").returncode == 0
    (srv / "hold").touch()
    process = workplace.start("deploy:web1", "--plan", "friday.json", "--slice", "1/3", "--yes")
    wait_for(srv / "reloading")
    process.kill()
    process.wait()
    (srv / "hold").unlink()
    (srv / "reloading").unlink()
    done = workplace.fab("deploy:web1", "--plan", "friday.json", "--slice", "1/3", "--yes", "--wait", "30")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "slice 1/3: 1 deployed" in done.stdout
    assert (srv / "reloading").exists()
    assert freeze(fleet["web1"]) == {"shop": "1.0"}
    assert not (fleet["web1"] / ".envfab" / "journal.json").exists()


def test_a_saved_plan_that_was_carried_out_is_refused_once_packages_changed(
    workplace: Workplace, fleet: dict[str, Path]
) -> None:
    """By hand, or by a rollback."""
    assert workplace.fab("plan", "--out", "friday.json").returncode == 0
    assert workplace.fab("deploy", "--plan", "friday.json", "--slice", "1/3", "--yes").returncode == 0
    for one in fleet["web1"].glob("lib/python3.11/site-packages/shop*"):
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    assert workplace.fab("rollback:web4", "--yes").returncode == 0
    done = workplace.fab("deploy", "--plan", "friday.json", "--slice", "1/3", "--yes")
    assert done.returncode == 1
    assert "slice 1/3: 2 blocked" in done.stdout
    assert "the virtualenv changed after the plan was saved; nothing was done" in done.stdout
    assert deployed(fleet) == set()


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("plan", [(), ("--plan", "friday.json")], ids=["plain", "saved"])
def test_two_machines_with_the_same_slice_are_told(workplace: Workplace, srv: Path, plan: tuple[str, ...]) -> None:
    """The second one is locked out and says by whom; with `--wait` it finds all of it done."""
    assert workplace.fab("plan", "--out", "friday.json").returncode == 0
    other = clone(workplace)
    for name in SLICES["1/3"]:
        (srv / f"hold-{name}").touch()
    process = workplace.start("deploy", "--slice", "1/3", *plan, "--yes")
    begun(srv, 2)
    second = other.fab("deploy", "--slice", "1/3", *plan, "--yes")
    assert second.returncode == 1
    assert "slice 1/3: 2 locked" in second.stdout
    assert "another deployment is under way" in second.stdout
    third = other.start("deploy", "--slice", "1/3", *plan, "--yes", "--wait", "60", "--json", stdout=subprocess.PIPE)
    time.sleep(2)
    for name in SLICES["1/3"]:
        (srv / f"hold-{name}").unlink()
    said, _ = third.communicate(timeout=60)
    assert third.returncode == 0, said
    assert [one["status"] for one in json.loads(said)["virtualenvs"]] == ["current", "current"]
    assert process.wait(60) == 0
    assert sorted(order(srv)) == sorted(SLICES["1/3"])


@pytest.mark.usefixtures("fleet")
def test_databases_that_slices_may_share_are_warned_of(workplace: Workplace) -> None:
    """Hosts of other slices migrate the same settings module, and no label says whose database that is."""
    text = (workplace.folder / "fabfile.py").read_text()
    for label, warned in (("", True), (", database='x-' + '{}'", False), (", migrate=False", False)):
        written = text
        for number in range(1, HOSTS + 1):
            project = f"projects=[Project('shop.settings'{label.format(number)})], packages=['nosuch']"
            written = written.replace("packages=['shop']", project, 1)
        (workplace.folder / "fabfile.py").write_text(written)
        done = workplace.fab("deploy", "--slice", "1/3", "--yes")
        assert ("other slices migrate shop.settings too: if hosts share its database" in done.stderr) is warned
    assert not re.search("Traceback", done.stderr)

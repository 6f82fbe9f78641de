"""Going back: by itself after a failure, and by `fab rollback`; and what the history tells of it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


@pytest.fixture
def shop(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> Path:
    """A virtualenv on web1 with shop 1.0 and basket 1.0 deployed; shop 2.0, which drops basket for cart, in the wheelhouse."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.shop, pip=True)
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, user={hosts.users.shop!r}, packages=['shop'],"
        f" before='test ! -e {srv}/fail-before', reload='echo reload >> {srv}/told',"
        f" check='test ! -e {srv}/fail-check')])",
        settings="'check_retries': 0",
    )
    srv.chmod(0o777)
    workplace.add_made("shop", "1.0", requires=["basket"])
    workplace.add_made("basket", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    workplace.add_made("shop", "2.0", requires=["cart"])
    workplace.add_made("cart", "1.0")
    return path


OLD = {"basket": "1.0", "shop": "1.0"}
NEW = {"basket": "1.0", "cart": "1.0", "shop": "2.0"}


def test_a_failed_check_brings_packages_back_and_reloads_again(workplace: Workplace, srv: Path, shop: Path) -> None:
    """The virtualenv is as it was, the service reloaded twice, the next plan remembers, and exit is 1."""
    (srv / "fail-check").touch()
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "1 failed (as it was before)" in done.stdout
    assert freeze(shop) == OLD
    assert (srv / "told").read_text().split() == ["reload", "reload", "reload"]
    shown = workplace.fab("plan").stdout
    assert "failed, and all is as it was before: the check" in shown
    assert "shop 2.0" in shown


def test_a_failed_before_changes_nothing_and_reloads_nothing(workplace: Workplace, srv: Path, shop: Path) -> None:
    """Packages as before, no second reload, journal closed."""
    (srv / "fail-before").touch()
    assert workplace.statuses("deploy", "--yes", status=1) == {f"web1:{shop}": "rolled-back"}
    assert freeze(shop) == OLD
    assert (srv / "told").read_text().split() == ["reload"]
    assert not (shop / ".envfab" / "journal.json").exists()


def test_rollback_leads_back_to_before_the_last_deployment(workplace: Workplace, shop: Path) -> None:
    """Shown and confirmed like a deployment; a second one goes back one more; the history tells all."""
    rollout = workplace.json("deploy", "--yes")["rollout"]
    assert freeze(shop) == NEW
    done = workplace.fab("rollback", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"back to before {rollout} by" in done.stdout
    assert freeze(shop) == OLD
    assert "rolled back from cart 1.0, shop 2.0 by" in workplace.fab("plan").stdout
    assert workplace.fab("rollback", "--yes").returncode == 0
    assert freeze(shop) == {}
    assert "there is no deployment to roll back" in workplace.fab("rollback", "--yes").stdout
    (one,) = workplace.json("history")["virtualenvs"]
    told = [(record["status"], record["undoes"] is not None) for record in one["deployments"]]
    assert told == [("deployed", True), ("deployed", True), ("deployed", False), ("deployed", False)]
    assert one["deployments"][2]["deployment"] == f"{rollout}.1"
    assert one["deployments"][1]["undoes"] == f"{rollout}.1"
    shown = workplace.fab("history").stdout
    assert f"rolled back {rollout}.1" in shown
    assert "shop   1.0 → 2.0" in shown


def test_to_names_a_rollout_or_a_deployment(workplace: Workplace, shop: Path) -> None:
    """`--to` leads to before the one it names, whatever came after; the closing summary names that command."""
    done = workplace.fab("deploy", "--yes")
    command = next(line for line in done.stdout.splitlines() if line.startswith("to roll back: fab "))
    workplace.add_made("shop", "3.0")
    workplace.fab("deploy", "--yes")
    assert freeze(shop) == {**NEW, "shop": "3.0"}
    assert run_fab(workplace.folder, *shlex.split(command.partition(": fab ")[2]), "--yes").returncode == 0
    assert freeze(shop) == OLD


def test_an_unknown_id_is_an_error(workplace: Workplace, shop: Path) -> None:
    """Nothing is done where no virtualenv knows the id."""
    done = workplace.fab("rollback", "--to", "20200101-000000-abcd", "--yes")
    assert done.returncode == 1
    what, hint = done.stderr.splitlines()[-2:]
    assert what == "envfab: no virtualenv has a deployment or rollout '20200101-000000-abcd'"
    assert hint.endswith(" history lists them")
    assert freeze(shop) == OLD


def test_a_rollback_needs_no_wheel(workplace: Workplace, hosts: Hosts, shop: Path) -> None:
    """Without wheelhouse, cache and store it leads to the generation that is kept, and says which in the plan."""
    workplace.fab("deploy", "--yes")
    for wheel in (workplace.folder / "wheels").iterdir():
        wheel.unlink()
    shutil.rmtree(hosts.users.home(hosts.users.shop) / ".cache" / "envfab")
    done = workplace.fab("rollback", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "back to generation 1" in done.stdout
    assert "sending" not in done.stderr
    assert freeze(shop) == OLD


def test_a_generation_that_was_changed_is_composed_again(workplace: Workplace, shop: Path) -> None:
    """Somebody edited a file of it: what comes back is what was deployed, out of the wheelhouse."""
    workplace.fab("deploy", "--yes")
    kept = shop / ".envfab" / "generations" / "1" / "lib" / "python3.11" / "site-packages" / "shop.py"
    kept.unlink()
    kept.write_text("VERSION = 'another'\n")
    done = workplace.fab("rollback", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files of generation 1 were changed since: packages come from wheels again" in done.stdout
    assert "back to generation" not in done.stdout
    assert freeze(shop) == OLD
    assert (shop / "lib" / "python3.11" / "site-packages" / "shop.py").read_text() == "VERSION = '1.0'\n"


def test_generations_that_nobody_goes_back_to_go(workplace: Workplace, shop: Path) -> None:
    """Only what the last `keep` deployments replaced stays beside what is current."""
    fabfile = workplace.folder / "fabfile.py"
    fabfile.write_text(fabfile.read_text().replace("'check_retries': 0", "'check_retries': 0, 'keep': 1"))
    for version in ("2.0", "3.0", "4.0"):
        workplace.add_made("shop", version, requires=["cart"])
        workplace.fab("deploy", "--yes")
    kept = sorted(name.name for name in (shop / ".envfab" / "generations").iterdir())
    assert kept == [str(int(os.readlink(shop / ".envfab" / "current").rpartition("/")[2]) - 1), kept[-1]]
    assert len(kept) == 2


def test_what_was_installed_by_hand_comes_back(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """A version that the wheelhouse never had is in the generation that the deployment replaced."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin, pip=True)
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'], check='false')])", "'check_retries': 0"
    )
    wheel = workplace.add_made("shop", "1.0")
    (srv / wheel.name).write_bytes(wheel.read_bytes())
    done = hosts.run("web1", f"{path}/bin/python -m pip install --no-index -q --find-links {srv} shop")
    assert done.returncode == 0, done.stderr
    (workplace.folder / "wheels" / wheel.name).unlink()
    workplace.add_made("shop", "2.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "1 failed (as it was before)" in done.stdout
    assert freeze(path) == {"shop": "1.0"}


def test_a_rollout_over_several_hosts_is_taken_back_as_one(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """`--to ROLLOUT` leads each virtualenv back to before its own part of it; who had no part is left alone."""
    paths = [make_virtualenv("3.11", srv / f"v{number}", owner=hosts.users.admin) for number in (1, 2, 3)]
    workplace.fabfile(
        ",".join(
            f"Host('web{number}', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])"
            for number, path in enumerate(paths, 1)
        )
    )
    workplace.add_made("shop", "1.0")
    assert workplace.fab("deploy:web3", "--yes").returncode == 0
    rollout = workplace.json("deploy", "--yes")["rollout"]
    workplace.add_made("shop", "2.0")
    assert workplace.fab("deploy:web2", "--yes").returncode == 0
    document = workplace.json("rollback", "--to", rollout, "--yes")
    assert [one["status"] for one in document["virtualenvs"]] == ["deployed", "deployed", "current"]
    assert document["virtualenvs"][2]["warnings"] == []
    assert document["virtualenvs"][2]["notes"] == [f"{rollout} changed nothing here"]
    assert [one["actions"][0]["action"] for one in document["virtualenvs"][:2]] == ["remove", "remove"]
    assert [freeze(path) for path in paths] == [{}, {}, {"shop": "1.0"}]


def test_a_rollback_takes_back_what_was_interrupted(workplace: Workplace, shop: Path) -> None:
    """With an open journal, `rollback` leads to what was there before the deployment that was cut off."""
    workplace.fab("deploy", "--yes")
    lines = (shop / ".envfab" / "history.jsonl").read_text().splitlines()
    record = json.loads(lines[-1])
    record.update(step="reload", ended=None, status=None)
    (shop / ".envfab" / "history.jsonl").write_text(lines[0] + "\n")
    (shop / ".envfab" / "journal.json").write_text(json.dumps(record))
    done = workplace.fab("rollback", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was interrupted at reload" in done.stdout
    assert freeze(shop) == OLD
    assert not (shop / ".envfab" / "journal.json").exists()
    assert set(workplace.statuses("rollback", "--yes").values()) == {"deployed"}
    assert freeze(shop) == {}


def test_wheels_that_are_lost_block_a_rollback_and_are_named(workplace: Workplace, shop: Path) -> None:
    """The generation is gone, and the wheelhouse has them not: nothing is done."""
    workplace.fab("deploy", "--yes")
    shutil.rmtree(shop / ".envfab" / "generations" / "1")
    for wheel in (workplace.folder / "wheels").glob("*shop-1.0*"):
        wheel.unlink()
    done = workplace.fab("rollback", "--yes")
    assert done.returncode == 1
    assert "1 blocked" in done.stdout
    assert "shop 1.0   the state before " in done.stdout
    assert "its generation was removed, and the wheelhouse has no wheel of it" in done.stdout
    assert freeze(shop) == NEW


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("files", "files of generation 1 were changed since"),
        ("manifest", "nothing tells how generation 1 was left"),
        ("current", "packages of generation 1, which is current, were changed since"),
    ],
)
def test_why_a_rollback_needs_wheels_is_told(workplace: Workplace, shop: Path, what: str, why: str) -> None:
    """Where the generation is there: that it was changed, or that this cannot be told."""
    memory = shop / ".envfab"
    if what == "current":
        journal = json.loads((memory / "history.jsonl").read_text().splitlines()[-1])
        left = {
            "deployment": "cut-off",
            "ended": None,
            "status": None,
            "generation": 2,
            "previous": 1,
            "step": "migrate",
        }
        shutil.rmtree(shop / "lib/python3.11/site-packages/shop-1.0.dist-info")
        snapshot = [{"name": "shop", "version": "1.0", "origin": "wheel"}]
        (memory / "journal.json").write_text(json.dumps({**journal, **left, "snapshot": snapshot}))
        shutil.chown(memory / "journal.json", shop.owner())
    else:
        workplace.fab("deploy", "--yes")
        changed = {"files": "lib/python3.11/site-packages/shop.py", "manifest": ".envfab-manifest.json"}[what]
        (memory / "generations" / "1" / changed).unlink()
    for wheel in (workplace.folder / "wheels").glob("*shop-1.0*"):
        wheel.unlink()
    done = workplace.fab("rollback", "--yes")
    assert done.returncode == 1
    assert f"{why}, and the wheelhouse has no wheel of it" in done.stdout


def test_history_tells_programs_all_of_each_deployment(workplace: Workplace, shop: Path) -> None:
    """One document: what changed, what was there before, who, from where, when, and how it ended."""
    (one,) = workplace.json("history")["virtualenvs"]
    assert (one["error"], one["target"].endswith(f"@web1:{shop}")) == (None, True)
    (record,) = one["deployments"]
    documented = {"deployment", "rollout", "who", "origin", "began", "ended", "status", "error", "undoes"}
    assert documented | {"changes", "migrated", "planned", "snapshot", "format"} <= record.keys()
    assert [(change["name"], change["installed"], change["version"]) for change in record["changes"]] == [
        ("basket", None, "1.0"),
        ("shop", None, "1.0"),
    ]
    assert "pip" in [before["name"] for before in record["snapshot"]]

"""Ctrl-C at the terminal, and faults that nobody foresaw: what is under way is finished, and nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze, wait_for


@pytest.fixture
def three(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> list[Path]:
    """Three virtualenvs on three hosts, one host at a time; the first waits in `before` while a file says so."""
    srv.chmod(0o777)
    paths = [make_virtualenv("3.11", srv / f"v{number}", owner=hosts.users.admin) for number in (1, 2, 3)]
    workplace.fabfile(
        ",".join(
            f"Host('web{number}', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'],"
            f" before='echo {number} >> {srv}/begun; while test -e {srv}/hold; do sleep 0.05; done')])"
            for number, path in enumerate(paths, 1)
        ),
        settings="'parallel': 1",
    )
    workplace.add_made("shop", "1.0")
    return paths


def test_after_a_ctrl_c_what_is_under_way_is_finished(workplace: Workplace, srv: Path, three: list[Path]) -> None:
    """Nothing new starts, the summary names what did not, with the command that goes on; exit 1."""
    (srv / "hold").touch()
    with workplace.at_terminal("deploy", "--yes") as terminal:
        wait_for(srv / "begun")
        terminal.interrupt()
        terminal.expect("interrupted: no further deployment starts, and those under way are finished")
        (srv / "hold").unlink()
        assert terminal.finish() == 1, terminal.shown
    assert "Traceback" not in terminal.shown
    assert "1 deployed, 2 skipped" in terminal.shown
    assert "to continue with these: fab" in terminal.shown
    assert (srv / "begun").read_text().split() == ["1"]
    assert [freeze(path) for path in three] == [{"shop": "1.0"}, {}, {}]
    assert not (three[0] / ".envfab" / "journal.json").exists()
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_ctrl_c_ends_the_wait_for_a_lock(workplace: Workplace, srv: Path, three: list[Path]) -> None:
    """Whoever waits for somebody else's deployment goes away at once, and is `locked`."""
    (srv / "hold").touch()
    with workplace.at_terminal("deploy:web1", "--yes") as first:
        wait_for(srv / "begun")
        with workplace.at_terminal("deploy:web1", "--yes", "--wait", "600") as second:
            second.expect("waiting for the lock")
            second.interrupt()
            assert second.finish(20) == 1
        assert "1 locked" in second.shown
        (srv / "hold").unlink()
        assert first.finish() == 0, first.shown
    assert freeze(three[0]) == {"shop": "1.0"}


def test_what_nobody_foresaw_in_one_leaves_the_others_alone(workplace: Workplace, srv: Path, three: list[Path]) -> None:
    """A fabfile's own function raises in the middle of a deployment: that one has failed, with the exception's name."""
    fabfile = workplace.folder / "fabfile.py"
    text = fabfile.read_text()
    broken = "import os\ndef broken(virtualenv):\n"
    broken += f"    if os.path.exists('{srv}/begun'):\n        raise LookupError('no such service')\n"
    fabfile.write_text(broken + text.replace("packages=['shop'],", "packages=['shop'], reload=broken,", 1))
    document = workplace.json("deploy", "--yes", status=1)
    assert [one["status"] for one in document["virtualenvs"]] == ["failed", "deployed", "deployed"]
    error = document["virtualenvs"][0]["error"]
    assert "unforeseen LookupError: no such service\n  a function of the fabfile raised it: fab --debug" in error
    fabfile.write_text(text)
    shown = workplace.fab("plan").stdout
    assert "failed at reload" in shown
    assert "unforeseen LookupError: no such service; deploy repairs it" in shown
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [freeze(path) for path in three] == [{"shop": "1.0"}] * 3


def test_what_nobody_foresaw_in_a_shared_reload_fails_all_that_share_it(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """The host's one reload raises: its virtualenvs have failed, and all of them are told of."""
    paths = [make_virtualenv("3.11", srv / f"v{number}", owner=hosts.users.admin) for number in (1, 2)]
    srv.chmod(0o777)
    begun = f"{srv}/begun"
    listed = ", ".join(f"Virtualenv({str(path)!r}, packages=['shop'], before='touch {begun}')" for path in paths)
    fails = f"lambda _: 1 / (not __import__('os').path.exists('{begun}')) and ()"
    workplace.fabfile(f"Host('web1', reload={fails}, reload_once=True, virtualenvs=[{listed}])")
    workplace.add_made("shop", "1.0")
    document = workplace.json("deploy", "--yes", status=1)
    assert [one["status"] for one in document["virtualenvs"]] == ["failed", "failed"]
    assert all("unforeseen ZeroDivisionError" in one["error"] for one in document["virtualenvs"])


def test_a_shared_reload_that_fails_takes_all_back(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Also where they are more than a connection has places for: each gives its places to the next."""
    paths = [make_virtualenv("3.11", srv / f"v{index}", owner=hosts.users.admin) for index in range(5)]
    listed = ", ".join(f"Virtualenv({str(path)!r}, packages=['shop'])" for path in paths)
    failing = f"! ls {srv}/v*/lib/python3.11/site-packages/shop.py | grep -q v0"
    workplace.fabfile(f"Host('web1', reload={failing!r}, reload_once=True, virtualenvs=[{listed}])")
    workplace.add_made("shop", "1.0")
    document = workplace.json("deploy", "--yes", status=1)
    assert [one["status"] for one in document["virtualenvs"]] == ["rolled-back"] * 5
    assert all("ended with status 1" in one["error"] for one in document["virtualenvs"])
    assert [freeze(path) for path in paths] == [{}] * 5


@pytest.mark.parametrize("number", [2, 5])
def test_a_shared_reload_runs_again_on_the_way_back(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, number: int
) -> None:
    """A check fails after the host's one reload: whoever goes back reloads the host, or it would run what is gone.

    With five virtualenvs there are more than a connection has places for.
    """
    srv.chmod(0o777)
    paths = [make_virtualenv("3.11", srv / f"v{index}", owner=hosts.users.admin) for index in range(number)]
    listed = ", ".join(
        f"Virtualenv({str(path)!r}, packages=['shop'], check={'false' if path is paths[-1] else 'true'!r})"
        for path in paths
    )
    workplace.fabfile(
        f"Host('web1', reload='test -e {paths[-1]}/lib/python3.11/site-packages/shop.py; echo $? >> {srv}/told',"
        f" reload_once=True, virtualenvs=[{listed}])",
        settings="'check_retries': 0",
    )
    workplace.add_made("shop", "1.0")
    document = workplace.json("deploy", "--yes", status=1)
    assert [one["status"] for one in document["virtualenvs"]] == ["deployed"] * (number - 1) + ["rolled-back"]
    assert (srv / "told").read_text().split() == ["0", "1"]
    assert freeze(paths[-1]) == {}
    assert os.path.exists(paths[0] / "lib/python3.11/site-packages/shop.py")

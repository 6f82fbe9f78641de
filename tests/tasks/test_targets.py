"""`fab targets` and `fab create_virtualenv`, by the real program, locally and over SSH."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

import envfab
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path, hosts: Hosts) -> Workplace:
    """A user's folder from which real SSH hosts are reached."""
    return Workplace(tmp_path / "work", hosts)


def test_targets_are_names_that_other_tasks_take(workplace: Workplace, hosts: Hosts) -> None:
    """Owners come from the virtualenv, the host, or the SSH config; groups and requirements are shown."""
    workplace.file("shop.txt", "shop\n")
    workplace.fabfile(
        "Host('web1', groups={'prod'}, virtualenvs=[Virtualenv('/srv/a', user='shop', requirements='shop.txt'),"
        " Virtualenv('/srv/b')]), Host('web2', user='anna', virtualenvs=[Virtualenv('/srv/c', packages=['six'])])"
    )
    offset = hosts.log.stat().st_size
    assert workplace.fab("targets").stdout.splitlines() == [
        "shop@web1:/srv/a %prod   shop.txt",
        f"{hosts.users.admin}@web1:/srv/b %prod   no requirements",
        "anna@web2:/srv/c   six",
    ]
    assert [one["path"] for one in workplace.json("targets:%prod")["targets"]] == ["/srv/a", "/srv/b"]
    assert "Connection from" not in hosts.log_since(offset)


def test_a_name_that_matches_nothing_contacts_nobody(workplace: Workplace, hosts: Hosts) -> None:
    """The known targets are listed, exit 1, and no host hears of it."""
    workplace.fabfile("Host('web1', virtualenvs=[Virtualenv('/srv/a', user='shop')])")
    offset = hosts.log.stat().st_size
    done = workplace.fab("deploy:web7", "--yes")
    assert done.returncode == 1
    assert "'web7'" in done.stderr
    assert "shop@web1:/srv/a" in done.stderr
    assert "Connection from" not in hosts.log_since(offset)


def test_discover_drafts_lines_for_what_no_fabfile_has(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker
) -> None:
    """What is found can be pasted into a fabfile; what is configured already is only counted."""
    home = hosts.users.home(hosts.users.admin)
    there = make_virtualenv("3.11", home / "envs" / "tool", owner=hosts.users.admin)
    known = make_virtualenv("3.11", home / "known", owner=hosts.users.admin)
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(known)!r})])")
    done = workplace.fab("targets", "--discover", "web1")
    assert done.returncode == 0, done.stderr
    head, places = done.stdout.splitlines()[:2]
    assert re.fullmatch(r"# \d+ virtualenvs on web1, \d+ of them not configured", head)
    assert re.fullmatch(rf"# looked in (/.+, )*{re.escape(str(home))}, 4 folders down", places)
    lines = [line for line in done.stdout.splitlines() if str(there) in line]
    (call,) = ast.parse(lines[0].rstrip(",")).body
    assert isinstance(call, ast.Expr)
    made = eval(lines[0].rstrip(","), {"Virtualenv": envfab.Virtualenv})
    assert made.path == str(there)
    assert not any(str(known) in line for line in done.stdout.splitlines())


def test_an_export_says_where_it_went(tmp_path: Path, make_virtualenv: VirtualenvMaker) -> None:
    """On standard error, where standard output is for JSON."""
    local = Workplace(tmp_path / "work")
    virtualenv = make_virtualenv("3.11", tmp_path / "venv", pip=False)
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(virtualenv)!r})])")
    line = "interpreters written to i.json, for fab fetch_wheels --interpreters i.json"
    assert local.fab("targets", "--export", "i.json").stdout.splitlines()[0] == line
    assert line in local.fab("targets", "--export", "i.json", "--json").stderr
    assert (local.folder / "i.json").is_file()


def test_creates_what_does_not_exist_under_its_owner(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """A virtualenv is made with its `python` by its owner; a second time it is there already."""
    python = make_virtualenv.shared_python()
    srv.chmod(0o777)
    path = srv / "new folder" / "it's a $(venv)"
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, user={hosts.users.shop!r}, python={str(python)!r})])"
    )
    done = workplace.fab("create_virtualenv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made with venv" in done.stdout
    assert (path / "pyvenv.cfg").owner() == hosts.users.shop
    version = subprocess.run([path / "bin" / "python", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("Python 3.")
    assert "there already" in workplace.fab("create_virtualenv").stdout
    assert workplace.statuses("plan") == {f"web1:{path}": "current"}


def test_what_cannot_be_made_says_why_and_leaves_nothing(workplace: Workplace, srv: Path) -> None:
    """No such interpreter, no permission, something else in the way: one message each, exit 1, nothing left."""
    occupied = srv / "occupied"
    occupied.mkdir()
    (occupied / "data").write_text("precious")
    workplace.fabfile(
        "Host('web1', virtualenvs=[Virtualenv('/srv/none/v', python='python9.9'),"
        f" Virtualenv({str(srv / 'closed' / 'v')!r}), Virtualenv({str(occupied)!r})])"
    )
    done = workplace.fab("create_virtualenv")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "python9.9" in done.stdout
    assert "its `python` in the fabfile must be an interpreter of that host" in done.stdout
    assert "Permission denied" in done.stdout
    assert f"{occupied}: something is already there" in done.stdout
    assert [path.name for path in srv.iterdir()] == ["occupied"]

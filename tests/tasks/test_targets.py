"""`fab targets`, by the real program, locally and over SSH."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import envfab
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace


def test_targets_are_names_that_other_tasks_take(ssh_workplace: Workplace, hosts: Hosts) -> None:
    """Owners come from the virtualenv, the host, or the SSH config; groups and requirements are shown."""
    ssh_workplace.file("shop.txt", "shop\n")
    ssh_workplace.fabfile(
        "Host('web1', groups={'prod'}, virtualenvs=[Virtualenv('/srv/a', user='shop', requirements='shop.txt'),"
        " Virtualenv('/srv/b')]), Host('web2', user='anna', virtualenvs=[Virtualenv('/srv/c', packages=['six'])])"
    )
    offset = hosts.log.stat().st_size
    assert ssh_workplace.fab("targets").stdout.splitlines() == [
        "shop@web1:/srv/a %prod   shop.txt",
        f"{hosts.users.admin}@web1:/srv/b %prod   no requirements",
        "anna@web2:/srv/c   six",
    ]
    assert ssh_workplace.fab("targets:%prod").stdout.count("%prod") == 2
    assert "Connection from" not in hosts.log_since(offset)


def test_json_has_the_size_of_each_store(tmp_path: Path, make_virtualenv: VirtualenvMaker) -> None:
    """Once for each host and owner, of the first virtualenv that is there; a host that is silent is told as such."""
    local = Workplace(tmp_path / "work")
    path = make_virtualenv("3.11", tmp_path / "venv")
    there = ", ".join(f"Virtualenv({one!r}, packages=['shop'])" for one in (str(path), "/srv/none", "/srv/neither"))
    local.fabfile(f"Host('localhost', virtualenvs=[{there}])")
    assert local.json("targets")["stores"][0] | {"error": ""} == {
        "host": "localhost",
        "user": "root",
        "wheels": 0,
        "bytes": 0,
        "error": "",
    }
    assert not list(local.folder.glob(".home/.cache/envfab/wheels"))
    local.add_made("shop", "1.0", files={"shop.txt": "x" * 50_000})
    assert local.fab("deploy:localhost:" + str(path), "--yes").returncode == 0
    silent = "Host('127.0.0.9', user='anna', virtualenvs=[Virtualenv('/srv/a')])"
    local.fabfile(
        f"Host('localhost', virtualenvs=[{there.replace(str(path), '/srv/no')}, Virtualenv({str(path)!r})]), {silent}"
    )
    document = local.json("targets")
    assert len(document["targets"]) == 5
    mine, other = document["stores"]
    assert (mine["host"], mine["wheels"], mine["error"]) == ("localhost", 1, None)
    assert 50_000 < mine["bytes"] < 60_000
    assert (other["user"], other["wheels"], other["bytes"]) == ("anna", None, None)
    assert "127.0.0.9" in other["error"]


def test_a_name_that_matches_nothing_contacts_nobody(ssh_workplace: Workplace, hosts: Hosts) -> None:
    """The known targets are listed, exit 1, and no host hears of it."""
    ssh_workplace.fabfile("Host('web1', virtualenvs=[Virtualenv('/srv/a', user='shop')])")
    offset = hosts.log.stat().st_size
    done = ssh_workplace.fab("deploy:web7", "--yes")
    assert done.returncode == 1
    assert "'web7'" in done.stderr
    assert "shop@web1:/srv/a" in done.stderr
    assert "Connection from" not in hosts.log_since(offset)


def test_discover_drafts_lines_for_what_no_fabfile_has(
    ssh_workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker
) -> None:
    """What is found can be pasted into a fabfile; what is configured already is only counted."""
    home = hosts.users.home(hosts.users.admin)
    there = make_virtualenv("3.11", home / "envs" / "tool", owner=hosts.users.admin)
    known = make_virtualenv("3.11", home / "known", owner=hosts.users.admin)
    ssh_workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(known)!r})])")
    done = ssh_workplace.fab("targets", "--discover", "web1")
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
    virtualenv = make_virtualenv("3.11", tmp_path / "venv")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(virtualenv)!r})])")
    line = "interpreters written to i.json, for fab fetch_wheels --interpreters i.json"
    assert local.fab("targets", "--export", "i.json").stdout.splitlines()[0] == line
    assert line in local.fab("targets", "--export", "i.json", "--json").stderr
    assert (local.folder / "i.json").is_file()


def test_a_group_that_no_host_is_in_is_a_warning(tmp_path: Path) -> None:
    """It drains nothing; whoever selects hosts is told."""
    local = Workplace(tmp_path)
    (local.folder / "fabfile.py").write_text(
        "from envfab import *\nns = collection(Fleet(groups=[Group('web', drain='out', undrain='in')],"
        " hosts=[Host('localhost', groups='wbe', virtualenvs=[Virtualenv('/srv/v')])]))\n"
    )
    done = local.fab("targets")
    assert done.returncode == 0
    assert "no host is in the group 'web', so it drains none; did you mean 'wbe'?" in " ".join(done.stderr.split())

"""Making virtualenvs that are not there yet, and finding those that nobody configured."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from envfab.config.host import Host
from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.remote.create import ROOTS, Creation, create, discover
from envfab.remote.ssh.connections import Connections
from envfab.util.progress import Silent
from tests.remote.conftest import Connect, member
from tests.support.pythons import find_python
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker

PYTHON = os.path.realpath(sys.executable)
NAME = "a venv's $(touch x) ü"


@pytest.fixture
def links(connect: Connect, tmp_path: Path) -> Connections:
    """The way to this machine."""
    config = tmp_path / "ssh_config"
    config.touch()
    return connect(config)


def wanted(path: Path, python: str = PYTHON, *, system: bool = False) -> Member:
    """A configured virtualenv on this machine."""
    user = getpass.getuser()
    virtualenv = Virtualenv(str(path), python=python, system_site_packages=system)
    return Member(Target(user, "localhost", str(path)), Host("localhost"), virtualenv, user)


def made(members: Iterable[Member], links: Connections, umask: int = 0o022) -> list[Creation]:
    """What became of them."""
    return create(list(members), links, Settings(umask=umask), Silent())


def test_a_virtualenv_is_made_with_its_interpreter_and_only_once(links: Connections, tmp_path: Path) -> None:
    """With venv, at any path, readable as the umask says; a second time it is there already."""
    path = tmp_path / "new" / NAME
    inherited = os.umask(0o077)
    try:
        (creation,) = made([wanted(path, system=True)], links)
    finally:
        os.umask(inherited)
    assert creation.error is None
    assert creation.by in ("venv", "venv, without pip")
    assert creation.version == ".".join(map(str, sys.version_info[:3]))
    assert path.stat().st_mode & 0o777 == 0o755
    assert "include-system-site-packages = true" in (path / "pyvenv.cfg").read_text()
    assert made([wanted(path)], links)[0].by is None
    assert not list(tmp_path.rglob("x"))


def test_an_interpreter_of_the_host_is_needed(links: Connections, tmp_path: Path) -> None:
    """The message names it, and where it was said; nothing is left behind."""
    (creation,) = made([wanted(tmp_path / "new" / "venv", "python3.99")], links)
    user = getpass.getuser()
    assert str(creation.error) == (
        f"{user}@localhost:{tmp_path}/new/venv: python3.99 does not exist\n"
        "  `python` in the fabfile must be an interpreter of that host"
    )
    assert not (tmp_path / "new").exists()


def test_what_is_there_is_left_alone(links: Connections, tmp_path: Path) -> None:
    """A folder with something in it is no place for a virtualenv; an empty one is."""
    full, empty = tmp_path / "full", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    (full / "precious").touch()
    first, second = made([wanted(full), wanted(empty)], links)
    assert str(first.error).endswith(f"{full}: it exists and is not a virtualenv; remove it or name another path")
    assert os.listdir(full) == ["precious"]
    assert second.error is None


def test_a_virtualenv_whose_interpreter_is_gone_is_told_as_such(links: Connections, tmp_path: Path) -> None:
    """After an upgrade of the system, say."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3.99")
    (creation,) = made([wanted(tmp_path / "venv")], links)
    assert str(creation.error).endswith(
        "venv: its interpreter /usr/bin/python3.99 is missing; repair it: fab create_virtualenv --repair"
    )


def test_a_virtualenv_without_any_interpreter_is_told_as_such(links: Connections, tmp_path: Path) -> None:
    """Nothing else would say that there is a way to mend it."""
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (creation,) = made([wanted(tmp_path / "venv")], links)
    assert str(creation.error).endswith("venv: its bin/python is missing; repair it: fab create_virtualenv --repair")


def packages(virtualenv: Path) -> set[str]:
    """The names of what is installed, by its own interpreter."""
    program = "import importlib.metadata as m; print(*(one.name for one in m.distributions()))"
    return set(subprocess.check_output([virtualenv / "bin" / "python", "-c", program], text=True, cwd="/").split())


@pytest.mark.parametrize("lost", ["interpreter", "pyvenv.cfg"])
def test_what_a_virtualenv_lost_it_gets_back(
    links: Connections, tmp_path: Path, make_virtualenv: VirtualenvMaker, lost: str
) -> None:
    """Its packages, and its scripts, stay; a virtualenv that lacks nothing is left alone, and one that is not there is made."""
    path = make_virtualenv("3.11", tmp_path / "venv", pip=True)
    (path / "bin" / "mine").write_text("mine")
    before = packages(path)
    if lost == "interpreter":
        (path / "bin" / "python").unlink()
        (path / "bin" / "python").symlink_to("/usr/bin/python3.99")
    else:
        (path / "pyvenv.cfg").unlink()
    python = str(make_virtualenv.python("3.11"))
    wanted_ones = [wanted(path, python), wanted(tmp_path / "new", python)]
    assert [one.by for one in create(wanted_ones, links, Settings(), Silent(), repair=True)] == ["venv", "venv"]
    assert packages(path) == before != set()
    assert (path / "bin" / "mine").read_text() == "mine"
    assert [one.by for one in create(wanted_ones, links, Settings(), Silent(), repair=True)] == [None, None]


@pytest.mark.parametrize("lost", ["interpreter", "pyvenv.cfg"])
def test_one_with_generations_gets_back_what_it_lost(links: Connections, tmp_path: Path, lost: str) -> None:
    """In the current one; venv itself refuses links in the place of `bin` and site-packages. It still has generations."""
    path, python = tmp_path / "venv", PYTHON
    made([wanted(path, python)], links)
    before = packages(path)
    settings = (path / "pyvenv.cfg").read_text()
    if lost == "interpreter":
        (path / "bin" / "python").unlink()
        (path / "bin" / "python").symlink_to("/usr/bin/python3.99")
    else:
        (path / "pyvenv.cfg").unlink()
    (creation,) = create([wanted(path, python)], links, Settings(), Silent(), repair=True)
    assert (creation.error, creation.by) == (None, "venv")
    assert packages(path) == before
    assert (path / "bin").is_symlink()
    home = next(line for line in settings.splitlines() if line.startswith("home = "))
    assert home in (path / "pyvenv.cfg").read_text()
    assert "repaired" not in (path / "pyvenv.cfg").read_text()
    assert not (path / ".envfab" / "repaired").exists()
    (again,) = create([wanted(path, python)], links, Settings(), Silent(), repair=True)
    assert (again.error, again.by) == (None, None)


@pytest.mark.parametrize("lost", ["link", "generation"])
def test_one_whose_current_generation_is_not_known_is_told_how_to_name_it(
    links: Connections, tmp_path: Path, lost: str
) -> None:
    """A backup that left links out, say: the message names the generations and the command, after which all is well."""
    path = tmp_path / "venv"
    made([wanted(path)], links)
    current = path / ".envfab" / "current"
    shutil.copytree(path / ".envfab/generations/0", path / ".envfab/generations/1", symlinks=True)
    current.unlink()
    if lost == "generation":
        current.symlink_to("generations/7")
    (creation,) = create([wanted(path)], links, Settings(), Silent(), repair=True)
    command = f"ln -sfn generations/NUMBER {current}"
    assert f"{current} does not lead to a generation; correct it: {command} (0 or 1)" in str(creation.error)
    subprocess.run(command.replace("NUMBER", "1").split(), check=True)
    (again,) = create([wanted(path)], links, Settings(), Silent(), repair=True)
    assert (again.error, again.by) == (None, None)
    shutil.rmtree(path / ".envfab" / "generations")
    (creation,) = create([wanted(path)], links, Settings(), Silent(), repair=True)
    assert f"{path} has no generation left; remove it, then create it again" in str(creation.error)


def test_a_copied_interpreter_that_does_not_start_is_replaced(
    links: Connections, tmp_path: Path, make_virtualenv: VirtualenvMaker
) -> None:
    """It may lack its libraries since an upgrade of the system; "there already" was the answer to --repair."""
    path = make_virtualenv("3.11", tmp_path / "venv", pip=True)
    before = packages(path)
    for name in ("python", "python3", "python3.11"):
        (path / "bin" / name).unlink(missing_ok=True)
        (path / "bin" / name).write_text("#!/bin/sh\nexit 127\n")
        (path / "bin" / name).chmod(0o755)
    python = str(make_virtualenv.python("3.11"))
    assert [one.by for one in create([wanted(path, python)], links, Settings(), Silent(), repair=True)] == ["venv"]
    assert packages(path) == before
    assert not list((path / "bin").glob("*aside*"))


def test_what_cannot_be_repaired_is_as_it_was(
    links: Connections, tmp_path: Path, make_virtualenv: VirtualenvMaker
) -> None:
    """No link goes that was there, though it leads nowhere."""
    path = make_virtualenv("3.11", tmp_path / "venv")
    (path / "bin" / "python").unlink()
    (path / "bin" / "python").symlink_to("/usr/bin/python3.99")
    links_before = {one.name: os.readlink(one) for one in (path / "bin").iterdir() if one.is_symlink()}
    (path / "pyvenv.cfg").unlink()
    (path / "pyvenv.cfg").mkdir()
    (creation,) = create([wanted(path)], links, Settings(), Silent(), repair=True)
    assert "cannot repair it with" in str(creation.error)
    assert {one.name: os.readlink(one) for one in (path / "bin").iterdir() if one.is_symlink()} == links_before


@pytest.mark.parametrize("hidden", ["virtualenv", "interpreter"])
def test_what_may_not_be_looked_at_is_not_said_to_be_gone(
    hosts: Hosts, connect: Connect, srv: Path, make_virtualenv: VirtualenvMaker, hidden: str
) -> None:
    """Whoever has no right to a virtualenv, or to its interpreter, is told so, and not to move it away."""
    admin, shop = hosts.users.admin, hosts.users.shop
    python = str(make_virtualenv.shared_python())
    closed = srv / "closed"
    (closed / "bin").mkdir(parents=True)
    (closed / "bin" / "python").symlink_to(python)
    path = closed if hidden == "virtualenv" else srv / "open"
    if hidden == "interpreter":
        (path / "bin").mkdir(parents=True)
        (path / "bin" / "python").symlink_to(closed / "bin" / "python")
    shutil.chown(closed, shop)
    closed.chmod(0o700)
    target = Target(admin, "web1", str(path))
    one = Member(target, Host("web1", user=admin), Virtualenv(str(path), user=admin, python=python), admin)
    (creation,) = made([one], connect())
    what = {
        "virtualenv": f"{admin} has no access to {path}/bin/python",
        "interpreter": f"{admin} has no access to the virtualenv's interpreter {closed}/bin/python",
    }[hidden]
    assert str(creation.error) == f"{target}: {what}: name its owner as `user` in the fabfile"


def test_nothing_is_left_of_a_failure(links: Connections, tmp_path: Path) -> None:
    """Neither the folders on the way to it; the message has the last word of what failed."""
    python = find_python("2.7")
    if python is None:
        pytest.skip("this machine has no CPython 2.7")
    (creation,) = made([wanted(tmp_path / "a" / "b" / "venv", str(python))], links)
    assert "cannot make a virtualenv with" in str(creation.error)
    assert str(creation.error).endswith("No module named virtualenv")
    assert not (tmp_path / "a").exists()


def test_many_are_made_at_once_and_told_in_order(
    hosts: Hosts, connect: Connect, srv: Path, make_virtualenv: VirtualenvMaker
) -> None:
    """On several hosts, for owners with and without a home, one failing alone."""
    srv.chmod(0o777)
    python = str(make_virtualenv.shared_python())
    owners = [hosts.users.shop, hosts.users.homeless, "nobody-here"]
    members = [
        Member(
            Target(owner, f"web{number}", f"{srv}/{number}"),
            Host(f"web{number}", user=hosts.users.admin),
            Virtualenv(f"{srv}/{number}", user=owner, python=python),
            hosts.users.admin,
        )
        for number, owner in enumerate(owners, 1)
    ]
    creations = made(members, connect())
    assert [creation.member for creation in creations] == members
    assert [creation.error is None for creation in creations] == [True, True, False]
    assert [(srv / str(number)).owner() for number in (1, 2)] == owners[:2]
    srv.chmod(0o755)


def test_a_host_that_is_down_is_an_error_of_each(connect: Connect, hosts: Hosts, tmp_path: Path) -> None:
    """Nothing else is held up by it."""
    members = [member(tmp_path / name, "no-such-host.invalid", login=hosts.users.admin) for name in "ab"]
    creations = made(members, connect())
    assert all("unknown host" in str(creation.error) for creation in creations)


def test_virtualenvs_in_a_home_are_discovered(hosts: Hosts, connect: Connect, make_virtualenv: VirtualenvMaker) -> None:
    """Wherever the home is, by whatever made them; what is none is not."""
    shop = hosts.users.shop
    home = hosts.users.home(shop)
    one = make_virtualenv("3.11", home / "venvs" / NAME, owner=shop, system_site_packages=True)
    (home / "project" / "bin").mkdir(parents=True)
    (home / "project" / "bin" / "python").symlink_to("/bin/sh")
    (home / "loop").symlink_to(home)
    try:
        python = os.path.realpath(one / "bin" / "python")
        there = discover(Host("web1", user=shop), connect(), str(make_virtualenv.shared_python()))
    finally:
        subprocess.run(["rm", "-r", home / "venvs", home / "project", home / "loop"], check=True)
    assert there.looked_in[-1] == str(home)
    assert set(there.looked_in[:-1]) <= set(ROOTS)
    mine = [entry for entry in there.found if entry.path.startswith(str(home))]
    assert [(entry.path, entry.owner, entry.system_site_packages) for entry in mine] == [(str(one), shop, True)]
    assert mine[0].python == python

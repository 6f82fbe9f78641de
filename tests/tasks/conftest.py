"""What tests of several tasks start from: folders with a fabfile, virtualenvs, servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.registration_server import RecordingServer, running_server
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace
from tests.tasks.registration import PYTHON, install
from tests.tasks.statistics_place import Place
from tests.usagestats import server as usage_server


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """A user's folder with a fabfile that has no host."""
    made = Workplace(tmp_path / "work")
    made.fabfile("")
    return made


@pytest.fixture
def unhashed(workplace: Workplace) -> Path:
    """A wheel that an older tool logged, without a hash."""
    wheel = make_wheel(workplace.folder / "wheels", "shop", "1.0")
    workplace.file("release_log", f"release: shop==1.0 {wheel.name} at 2014-03-01T12:30:00\n")
    return wheel


@pytest.fixture
def installed(workplace: Workplace, make_virtualenv: VirtualenvMaker) -> Workplace:
    """A virtualenv with shop 1.0 in it, deployed from the wheelhouse."""
    venv = make_virtualenv("3.11", workplace.folder / "venv")
    workplace.file("shop.txt", "shop<2\n")
    workplace.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(venv)!r}, requirements='shop.txt')])")
    workplace.add_made("Shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    return workplace


@pytest.fixture
def ssh_workplace(tmp_path: Path, hosts: Hosts) -> Workplace:
    """A user's folder from which real SSH hosts are reached."""
    return Workplace(tmp_path / "work", hosts)


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A registration server."""
    with running_server() as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, make_virtualenv: VirtualenvMaker) -> Path:
    """A virtualenv with one package, of another Python than fab's where there is one."""
    virtualenv = make_virtualenv(PYTHON, tmp_path / "shop")
    install(virtualenv, "Typing_Extensions", "4.12.2")
    return virtualenv


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder with a fabfile of no hosts, and a server."""
    with usage_server.running_server() as server:
        made = Place(tmp_path / "work", server)
        made.fabfile()
        yield made

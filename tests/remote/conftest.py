"""Ways to the hosts, and agents at work."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from fabric import Config

from envfab.config.host import Host
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.remote import agent_sources
from envfab.remote.agent_session import Session, start_agent
from envfab.remote.process import HostConnection, local_link
from envfab.remote.ssh.connections import Connections
from envfab.remote.startup import Identity
from tests.support.pythons import VERSIONS
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker


class Connect(Protocol):
    """Opens the way to the hosts."""

    def __call__(
        self,
        config: Path | None = None,
        *,
        rule: str = "strict",
        timeout: float = 10,
        sudo_password: str | None = None,
        **overrides: Any,
    ) -> Connections:
        """`config` is an SSH configuration (the hosts' own by default), `overrides` are Fabric's settings."""
        ...


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes `Connections`, and closes them at the end."""
    with ExitStack() as stack:

        def make(
            config: Path | None = None,
            *,
            rule: str = "strict",
            timeout: float = 10,
            sudo_password: str | None = None,
            parallel: int = 20,
            jump_parallel: int = 10,
            **overrides: Any,
        ) -> Connections:
            if config is None:
                hosts: Hosts = request.getfixturevalue("hosts")
                config = hosts.config
            if sudo_password is not None:
                overrides["sudo"] = {"password": sudo_password}
            connections = Connections(
                Config(runtime_ssh_path=str(config), overrides=overrides),
                rule,
                timeout,
                parallel=parallel,
                jump_parallel=jump_parallel,
            )
            stack.callback(connections.close)
            return connections

        yield make


def member(path: Path, host: str = "localhost", *, login: str | None = None, owner: str | None = None) -> Member:
    """A configured virtualenv; the one who logs in owns it unless told otherwise."""
    user = login or getpass.getuser()
    return Member(Target(owner or user, host, str(path)), Host(host, user=login), Virtualenv(str(path)), user)


StartAgent = Callable[..., Session]


@pytest.fixture
def agent() -> Iterator[StartAgent]:
    """Starts agents on this machine: `agent(virtualenv, "lock", …)`."""
    with ExitStack() as stack:
        link = local_link()

        def start(path: Path, *modules: str, starter: HostConnection = link, python: Path | None = None) -> Session:
            executable = str(python or path / "bin" / "python")
            session = start_agent(
                starter, executable, str(path), where=str(path), identity=Identity(), modules=agent_sources.PROBE
            )
            stack.callback(session.close)
            session.load(modules)
            return session

        yield start


@pytest.fixture(scope="session", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Every version of CPython that is managed, one after another."""
    return str(request.param)


@pytest.fixture(scope="session")
def pristine(make_virtualenv: VirtualenvMaker, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Virtualenvs to look at and not to change, one for each version: pip and nothing else."""
    made: dict[str, Path] = {}

    def get(version: str) -> Path:
        if version not in made:
            made[version] = make_virtualenv(version, tmp_path_factory.mktemp("pristine") / "venv", pip=True)
        return made[version]

    return get

"""Virtualenvs to work in, wheels to install, and a way to hand them to an agent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from envfab.remote import agent_sources
from envfab.remote.agent_session import Session, start_agent
from envfab.remote.process import local_link
from envfab.remote.startup import Identity
from tests.remote.conftest import agent, connect, pristine, version
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import sha256

__all__ = ["agent", "connect", "pristine", "version"]
AWKWARD = "a venv's $(touch x) !"


def store(session: Session, *wheels: Path) -> None:
    """Send wheels to the host's cache."""
    for wheel in wheels:
        session.tell_file(
            "store", [wheel.read_bytes()], wheel.stat().st_size, sha256=sha256(wheel), filename=wheel.name
        )
    session.settle()


def fields(wheel: Path) -> dict[str, str]:
    """What an installation is told of a wheel."""
    name, version = wheel.name.split("-")[:2]
    return {"name": name, "version": version, "filename": wheel.name, "sha256": sha256(wheel)}


WHEN = "2026-11-27T02:00:00+00:00"
KIND = {"compile": False, "umask": 0o022}


def compose(session: Session, *wheels: Path, remove: Sequence[str] = (), **options: Any) -> int:
    """Store wheels, unpack them and compose the next generation with them: its number."""
    kind = {name: options.get(name, value) for name, value in KIND.items()}
    probe = session.ask("probe")
    store(session, *wheels)
    named = [fields(wheel) for wheel in wheels]
    session.ask("fill", wheels=named, **kind)
    base = max([*probe["generations"], -1]) + 1
    number: int = base + 1 if probe["plain"] else base
    asked = {"pinned": False, "link": True, **kind} | {
        key: value for key, value in options.items() if key in ("pinned", "link")
    }
    requested = [{**one, "requested": True} for one in named]
    told = {"deployment": f"test.{number}", "when": WHEN, "drop": options.get("drop", [])}
    session.ask("compose", number=number, base=base, wheels=requested, remove=list(remove), **told, **asked)
    return number


def install(session: Session, *wheels: Path, remove: Sequence[str] = (), **options: Any) -> dict[str, Any]:
    """Compose the next generation and make it current; the probe afterwards."""
    number = compose(session, *wheels, remove=remove, **options)
    session.ask("switch", number=number, base=number - 1)
    return session.ask("probe")


def versions(reply: dict[str, Any]) -> dict[str, str]:
    """The names and versions that a probe found in the virtualenv."""
    return {entry["name"]: entry["version"] for entry in reply["own"]}


def site_packages(virtualenv: Path) -> Path:
    """Where a virtualenv's distributions are."""
    return next(virtualenv.glob("lib/python*/site-packages"))


def freeze(virtualenv: Path) -> list[str]:
    """What the virtualenv's own pip says."""
    done = subprocess.run(
        [virtualenv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "freeze"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"},
    )
    return done.stdout.split()


Starter = Callable[..., Session]


@pytest.fixture(scope="session")
def workbench(make_virtualenv: VirtualenvMaker, tmp_path_factory: pytest.TempPathFactory, version: str) -> Path:
    """A virtualenv of each version to install into, at a path that would break a careless program."""
    # the last pip for 2.7 cannot install below a folder with an umlaut
    name = AWKWARD if version == "2.7" else f"{AWKWARD} ü"
    return make_virtualenv(version, tmp_path_factory.mktemp("workbench") / name, pip=True)


@pytest.fixture
def deploying() -> Iterator[Starter]:
    """Starts agents that can deploy: `deploying(virtualenv)`."""
    sessions: list[Session] = []
    link = local_link()

    def start(virtualenv: Path) -> Session:
        session = start_agent(
            link,
            f"{virtualenv}/bin/python",
            str(virtualenv),
            where=str(virtualenv),
            identity=Identity(),
            modules=agent_sources.PROBE,
        )
        sessions.append(session)
        session.load(agent_sources.DEPLOY)
        session.load(agent_sources.GENERATIONS)
        return session

    yield start
    for session in sessions:
        session.close()

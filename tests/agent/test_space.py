"""What the agent tells of its store and of file systems, by every interpreter it must run on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.agent.conftest import Starter, install
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel

OLDEST_AND_NEWEST = pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"])


@OLDEST_AND_NEWEST
def test_the_store_and_the_room_for_it_are_told(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str
) -> None:
    """The bytes of the trees, as they were noted; what is free on both file systems; nothing is made for the former."""
    venv = make_virtualenv(version, tmp_path / "v")
    session = deploying(venv)
    home = Path(os.environ["HOME"])
    before = sorted(home.rglob("*"))
    assert session.ask("measure") == {"wheels": 0, "bytes": 0}
    assert sorted(home.rglob("*")) == before
    install(session, make_wheel(tmp_path, "alpha", "1.0", files={"alpha.txt": "x" * 10_000}, tags=["py2.py3-none-any"]))
    told = session.ask("measure")
    assert told["wheels"] == 1
    assert 10_000 < told["bytes"] < 12_000
    reply = session.ask("missing", hashes=[], compile=False, umask=0o022)
    assert reply["store"]["folder"] == str(home / ".cache" / "envfab" / "store")
    assert reply["virtualenv"]["folder"] == str(venv)
    status = os.statvfs(venv)
    assert abs(reply["virtualenv"]["free"] - status.f_bfree * status.f_frsize) < 1 << 30
    assert reply["virtualenv"]["device"] == str(venv.stat().st_dev)

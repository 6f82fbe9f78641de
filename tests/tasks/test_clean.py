"""The task `clean`: what hosts keep unpacked of wheels, and no virtualenv uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


@pytest.fixture
def local(tmp_path: Path) -> Workplace:
    """A user's folder for this machine alone."""
    return Workplace(tmp_path / "work")


def test_unpacked_wheels_go_that_nothing_uses(local: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """Two virtualenvs of one owner share a store, which is cleaned once; `--all` empties it, and harms nothing."""
    paths = [make_virtualenv("3.11", local.folder / name) for name in ("a", "b")]
    listed = ", ".join(f"Virtualenv({str(path)!r}, packages=['shop'])" for path in paths)
    local.fabfile(f"Host('localhost', virtualenvs=[{listed}])", "'keep': 1")
    for version in ("1.0", "2.0", "3.0", "4.0"):
        local.add_made("shop", version, files={"shop.py": f"V = {version!r}\n" * 1000})
        assert local.fab("deploy", "--yes").returncode == 0
    done = local.fab("clean")
    assert done.returncode == 0, done.stderr
    freed = r"root@localhost: removed \d wheels from the store, which freed 0\.\d MB; the store has 0\.\d MB now\n"
    assert re.fullmatch(freed, done.stdout), done.stdout
    (one,) = local.json("clean")["stores"]
    assert (one["host"], one["user"], one["removed"], one["error"]) == ("localhost", "root", 0, None)
    assert one["left"] > 1000
    (one,) = local.json("clean", "--all")["stores"]
    assert (one["removed"] > 0, one["left"]) == (True, 0)
    assert [freeze(path) for path in paths] == [{"shop": "4.0"}] * 2
    assert local.fab("rollback", "--yes").returncode == 0
    assert [freeze(path) for path in paths] == [{"shop": "3.0"}] * 2

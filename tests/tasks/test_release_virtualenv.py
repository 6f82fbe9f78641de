"""The task `release_virtualenv`: a virtualenv with generations becomes a plain one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


@pytest.fixture
def local(tmp_path: Path) -> Workplace:
    """A user's folder for this machine alone."""
    return Workplace(tmp_path / "work")


@pytest.fixture
def shop(local: Workplace, make_virtualenv: VirtualenvMaker) -> Path:
    """A virtualenv of this machine with shop deployed."""
    path = make_virtualenv("3.11", local.folder / "v")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])")
    local.add_made("shop", "1.0")
    assert local.fab("deploy", "--yes").returncode == 0
    return path


def test_packages_stay_and_generations_go(local: Workplace, shop: Path) -> None:
    """Told for people and for programs; a second time there is nothing to do; the next deployment makes them anew."""
    done = local.fab("release_virtualenv", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"root@localhost:{shop}: released\n"
    assert not (shop / "bin").is_symlink()
    assert {path.name for path in (shop / ".envfab").iterdir()} == {"lock", "history.jsonl"}
    assert freeze(shop) == {"shop": "1.0"}
    (one,) = local.json("release_virtualenv", "--yes")["virtualenvs"]
    assert one == {"target": f"root@localhost:{shop}", "status": "current", "error": None}
    local.add_made("shop", "2.0")
    assert local.fab("deploy", "--yes").returncode == 0
    assert freeze(shop) == {"shop": "2.0"}


def test_it_asks_first(local: Workplace, shop: Path) -> None:
    """Without a terminal, and without --yes, nothing is done."""
    done = local.fab("release_virtualenv")
    assert done.returncode == 1
    assert "pass --yes" in done.stderr
    assert (shop / "bin").is_symlink()


def test_what_is_under_way_is_finished_first(local: Workplace, shop: Path) -> None:
    """An open journal: its deployment knows generations that must not go."""
    (shop / ".envfab" / "journal.json").write_text("{}")
    done = local.fab("release_virtualenv", "--yes")
    assert done.returncode == 1
    assert "a deployment was interrupted\n  finish it first: fab deploy" in done.stdout
    assert (shop / "bin").is_symlink()

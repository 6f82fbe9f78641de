"""The store of unpacked wheels, which several agents of one owner use at the same time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import store as source
from envfab.agent import unpack as unpacking
from tests.support.wheels import make_wheel


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".cache" / "envfab" / "store"


def test_two_agents_may_make_the_store_at_the_same_time(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that comes second takes what the first has made."""
    real = os.mkdir

    def late(path: Any, mode: int = 0o777) -> None:
        if Path(path) == other:
            real(path, mode)
        real(path, mode)

    monkeypatch.setattr(os, "mkdir", late)
    assert source.folder(str(other.parent)) == str(other)  # type: ignore[no-untyped-call]
    assert other.is_dir()


def test_a_draft_that_gets_its_name_meanwhile_is_passed_over(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another agent unpacks a wheel while this one looks for what was left behind."""
    place = Path(source.folder(str(other.parent)))  # type: ignore[no-untyped-call]
    (place / ".1-draft").mkdir()
    real = os.listdir

    def early(path: Any) -> list[str]:
        found = real(path)
        (place / ".1-draft").rename(place / "tree")
        return found

    monkeypatch.setattr(os, "listdir", early)
    source.sweep(str(place))  # type: ignore[no-untyped-call]
    assert (place / "tree").is_dir()


def test_two_agents_may_remove_a_changed_tree_at_the_same_time(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one has removed is no error of the other, at whatever moment."""
    tree = Path(source.folder(str(other.parent))) / "tree"  # type: ignore[no-untyped-call]
    source.remove(str(tree), False)  # type: ignore[no-untyped-call]
    (tree / "package").mkdir(parents=True)
    real = shutil.rmtree

    def both(path: Any, **options: Any) -> None:
        monkeypatch.undo()
        source.remove(str(tree), False)  # type: ignore[no-untyped-call]
        real(path, **options)

    monkeypatch.setattr(shutil, "rmtree", both)
    source.remove(str(tree), False)  # type: ignore[no-untyped-call]
    assert list(tree.parent.iterdir()) == []


def test_a_tree_that_another_agent_has_unpacked_anew_stays(other: Path) -> None:
    """It was damaged when it was looked at, and is whole when it is to go."""
    place = Path(source.folder(str(other.parent))) / "tree"  # type: ignore[no-untyped-call]
    unpacking.unpack(str(make_wheel(other.parent, "shop", "1.0")), str(place), 0o022, False)  # type: ignore[no-untyped-call]
    source.remove(str(place), False)  # type: ignore[no-untyped-call]
    assert list(place.parent.iterdir()) == [place]
    assert unpacking.is_whole(str(place))  # type: ignore[no-untyped-call]

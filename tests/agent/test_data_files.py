"""Files that are put in the place of others: links where links can be made, copies elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import data_files as source

agent_data_files: Any = source


@pytest.fixture
def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has no hard links."""

    def link(*_arguments: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", link)


def test_a_link_takes_the_place_of_what_is_there(tmp_path: Path) -> None:
    """It does not write into it, for that may be the content of other names, too; a second time changes nothing."""
    for name in ("good", "bad"):
        (tmp_path / name).write_text(name)
    os.link(tmp_path / "bad", tmp_path / "other")
    for _ in range(2):
        agent_data_files.put(str(tmp_path / "good"), str(tmp_path / "bad"))
    assert (tmp_path / "bad").samefile(tmp_path / "good")
    assert (tmp_path / "other").read_text() == "bad"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.usefixtures("without_links")
def test_a_copy_has_the_time_and_mode_of_the_original(tmp_path: Path) -> None:
    """A `.pyc` is valid for a source of just that time; and a copy is known for one."""
    (tmp_path / "one").write_text("x")
    (tmp_path / "one").chmod(0o640)
    os.utime(tmp_path / "one", (1_500_000_000, 1_500_000_000))
    agent_data_files.put(str(tmp_path / "one"), str(tmp_path / "two"))
    two = (tmp_path / "two").stat()
    assert (two.st_mtime, two.st_mode & 0o777, two.st_nlink) == (1_500_000_000, 0o640, 1)
    assert agent_data_files.same(str(tmp_path / "one"), str(tmp_path / "two"))


@pytest.mark.usefixtures("without_links")
def test_a_copy_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash leaves the whole, or nothing; a draft that was left by one is no obstacle."""
    place = tmp_path / "place"
    place.mkdir()
    synced: list[tuple[int, list[str]]] = []

    def fsync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, [path.name for path in place.iterdir()]))

    monkeypatch.setattr(os, "fsync", fsync)
    (tmp_path / "one").write_text("content")
    draft = agent_data_files.DRAFT
    (place / draft).write_text("what a crash left of another")
    agent_data_files.put(str(tmp_path / "one"), str(place / "two"))
    assert synced == [(7, [draft])]
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [("two", "content")]


@pytest.mark.usefixtures("without_links")
def test_what_cannot_be_read_is_named_with_what_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another owner's file, which this user can neither link nor copy."""

    def copyfile(*_arguments: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.copyfile", copyfile)
    with pytest.raises(Exception, match="one cannot be read: give it to the virtualenv's owner"):
        agent_data_files.link_or_copy(str(tmp_path / "one"), str(tmp_path / "two"))


def test_a_file_of_equal_size_and_time_is_replaced(tmp_path: Path) -> None:
    """Wheels that are built reproducibly have the same time for all files, in each version."""
    for name, text in (("old", "1"), ("new", "2")):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1_500_000_000, 1_500_000_000))
    agent_data_files.put(str(tmp_path / "new"), str(tmp_path / "old"))
    assert (tmp_path / "old").read_text() == "2"


def test_folders_have_the_modes_of_those_that_they_are_made_like(tmp_path: Path) -> None:
    """Whatever umask this program has: others are to read what is in them."""
    (tmp_path / "generation" / "share" / "doc").mkdir(parents=True)
    (tmp_path / "generation" / "share").chmod(0o755)
    (tmp_path / "generation" / "share" / "doc").chmod(0o775)
    (tmp_path / "generation" / "share" / "doc" / "file").touch()
    before = os.umask(0o077)
    try:
        agent_data_files.put(str(tmp_path / "generation/share/doc/file"), str(tmp_path / "share/doc/file"))
    finally:
        os.umask(before)
    assert (tmp_path / "share").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "share" / "doc").stat().st_mode & 0o777 == 0o775

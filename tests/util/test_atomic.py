"""Files come into their places whole, and are on disk then."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from envfab.util.atomic import replacing, write_file


def test_a_file_is_replaced_through_a_link_with_its_mode(tmp_path: Path) -> None:
    """The link stays; without a mode the umask decides, as for every new file."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", b"new", 0o640)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640
    umask = os.umask(0o027)
    try:
        write_file(tmp_path / "plain", b"")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "plain").stat().st_mode) == 0o640


def test_what_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    """Neither half a file nor a draft."""
    (tmp_path / "file").write_text("old")

    def write_half() -> None:
        with replacing(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path, b"new")
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "none" / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_content_is_on_disk_before_its_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order that a power cut must find: fsync, rename, fsync of the folder."""
    calls: list[str] = []
    # a power cut cannot be had in a test
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def replaced(old: Path, new: Path) -> None:
        calls.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_file(tmp_path / "file", b"new")
    assert calls == ["file", "rename", "folder"]


def test_a_link_to_itself_is_an_error_of_the_system(tmp_path: Path) -> None:
    """As whoever writes expects it, in the file's place and above it; nothing is left beside it."""
    link = tmp_path / "loop"
    link.symlink_to("loop")
    for place in (link, link / "file"):
        with pytest.raises(OSError, match="Too many levels of symbolic links"):
            write_file(place, b"new")
    assert list(tmp_path.iterdir()) == [link]

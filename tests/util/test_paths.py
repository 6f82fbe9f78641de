"""Files that others name: read if they are some, of a bounded size, without waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envfab.util.paths import read_file


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    """One byte more is too much."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_file(file, 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_file(file, 4)


def test_pipes_devices_and_folders_are_none(tmp_path: Path) -> None:
    """Opening a pipe would wait for its other end, and a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="it is not a regular file"):
            read_file(path, 10)
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path, 10)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_what_cannot_be_a_path_is_an_os_error(name: str) -> None:
    """Python's own `ValueError` would be taken for a fault of the contents."""
    with pytest.raises(OSError, match="it cannot be the name of a file"):
        read_file(Path(name), 10)

"""Files that others name: read if they are some, of a bounded size, without waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envfab.errors import UsageError
from envfab.util.paths import output_path, read_file, user_path


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


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("a\0b", "has a NUL character in it"),
        ("~nosuchuser/x", "the user 'nosuchuser' does not exist"),
    ],
)
def test_what_names_no_path_is_told(text: str, why: str) -> None:
    """In words that name the argument."""
    with pytest.raises(UsageError, match=why) as caught:
        user_path(text, "--out")
    assert str(caught.value).startswith("--out: ")


def test_an_output_is_a_file_in_a_folder_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before anything is done for it."""
    monkeypatch.chdir(tmp_path)
    assert output_path("new", "--out") == Path("new")
    assert output_path("~/new", "--out") == Path.home() / "new"
    with pytest.raises(UsageError, match="is a folder: name a file"):
        output_path(".", "--out")
    with pytest.raises(UsageError, match="the folder 'none' does not exist"):
        output_path("none/new", "--out")

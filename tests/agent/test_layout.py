"""Where the folders of a virtualenv lie, and which of them cannot be exchanged for links."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import generations, layout

agent_layout: Any = layout
agent_generations: Any = generations


@pytest.mark.parametrize(
    ("name", "number"),
    [("0", 0), ("12", 12), ("007", None), ("", None), ("²", None), ("٣", None), ("-1", None), ("1.aside", None)],
)
def test_a_generation_is_called_by_its_number_alone(name: str, number: int | None) -> None:
    """Two names of one number would be two generations."""
    assert agent_layout.number(name) == number


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is exchanged, with who needs to write to it."""
    monkeypatch.setattr(os, "access", lambda folder, _mode: not folder.endswith("locked"))
    (tmp_path / "locked").mkdir()
    agent_layout.refuse_read_only(str(tmp_path))
    with pytest.raises(Exception, match=r"cannot write to .*locked: change its mode"):
        agent_layout.refuse_read_only(str(tmp_path / "locked"))


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSPC])
def test_a_file_system_without_symbolic_links_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As FAT is; an error of another kind is told as it is, and nothing is left behind."""
    (tmp_path / ".envfab" / "generations").mkdir(parents=True)
    agent_generations.refuse_without_symlinks(str(tmp_path))
    assert not list((tmp_path / ".envfab" / "generations").iterdir())

    def symlink(target: str, link: str) -> None:
        raise OSError(number, os.strerror(number), target, link)

    monkeypatch.setattr(os, "symlink", symlink)
    expected = "without symbolic links" if number == errno.EPERM else "No space left"
    with pytest.raises(Exception, match=expected):
        agent_generations.refuse_without_symlinks(str(tmp_path))


@pytest.mark.parametrize("number", [errno.EXDEV, errno.ENOTEMPTY])
def test_a_folder_that_cannot_be_renamed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As of a lower layer of an overlay (`test_generations` mounts one); to try it renames nothing elsewhere."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".envfab" / "generations").mkdir(parents=True)
    of_overlay = object.__new__(agent_layout.Layout)
    of_overlay.path, of_overlay.folders = str(tmp_path), ["bin"]
    of_overlay.refuse_immovable()
    assert (tmp_path / "bin").is_dir()

    def rename(one: str, other: str) -> None:
        raise OSError(number, os.strerror(number), one, other)

    monkeypatch.setattr(os, "rename", rename)
    if number == errno.EXDEV:
        with pytest.raises(Exception, match=r"bin is part of a lower layer .* cp -a "):
            of_overlay.refuse_immovable()
    else:
        of_overlay.refuse_immovable()

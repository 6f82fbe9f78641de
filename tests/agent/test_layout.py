"""Where the folders of a virtualenv lie, and which of them cannot be exchanged for links."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import layout as source

agent_layout: Any = source


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


@pytest.mark.parametrize("number", [errno.EXDEV, errno.ENOTEMPTY])
def test_a_folder_that_cannot_be_renamed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As of a lower layer of an overlay (`test_generations` mounts one); to try it renames nothing elsewhere."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".envfab" / "generations").mkdir(parents=True)
    layout = object.__new__(agent_layout.Layout)
    layout.path, layout.folders = str(tmp_path), ["bin"]
    layout.refuse_immovable()
    assert (tmp_path / "bin").is_dir()

    def rename(one: str, other: str) -> None:
        raise OSError(number, os.strerror(number), one, other)

    monkeypatch.setattr(os, "rename", rename)
    if number == errno.EXDEV:
        with pytest.raises(Exception, match=r"bin is part of a lower layer .* cp -a "):
            layout.refuse_immovable()
    else:
        layout.refuse_immovable()

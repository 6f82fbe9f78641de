"""Wheels that were logged are found again in folders and in indexes, by their SHA-256."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envfab.errors import SupplyError, UsageError
from envfab.fetch.originals import originals
from envfab.models.wheel import Wheel
from tests.support.faulty_index import faulty
from tests.support.wheels import make_wheel, sha256


def logged(path: Path) -> Wheel:
    """A wheel as the log has it."""
    return Wheel.from_filename(path.name, sha256(path))


def test_a_folder_has_wheels_beside_each_other_or_by_project(tmp_path: Path) -> None:
    """The second is how a published index lies on disk; another file of that name is not the one."""
    flat = make_wheel(tmp_path / "flat", "shop", "1.0")
    nested = make_wheel(tmp_path / "simple" / "my-shop", "My.Shop", "1.0")
    with originals([str(tmp_path / "flat"), str(tmp_path / "simple")]) as (first, second):
        assert first.find(logged(flat)) == flat
        assert second.find(logged(nested)) == nested
        assert (first.find(logged(nested)), second.find(logged(flat))) == (None, None)
        assert first.find(Wheel.from_filename(flat.name, "0" * 64)) is None
        assert first.name == str(tmp_path / "flat")


def test_an_index_has_wheels_by_their_hash(tmp_path: Path) -> None:
    """What was downloaded is gone at the end; a password of the address is not shown."""
    made = make_wheel(tmp_path / "there", "shop", "1.0")
    with faulty(tmp_path / "there") as server, originals([server.url.replace("//", "//me:secret@")]) as (index,):
        assert server.asked == []
        assert index.name == server.url
        path = index.find(logged(made))
        assert path is not None
        assert path.read_bytes() == made.read_bytes()
        assert index.find(Wheel.from_filename(made.name, "0" * 64)) is None
        assert index.find(Wheel.from_filename("basket-1.0-py3-none-any.whl", "0" * 64)) is None
    assert not path.exists()
    cache = Path(os.environ["XDG_CACHE_HOME"])
    assert [file for file in cache.rglob("*") if file.is_file()] == []


def test_an_index_that_does_not_answer_is_one_clear_message() -> None:
    """With its address, and without a password."""
    with originals(["http://me:secret@127.0.0.1:9/simple/"]) as (index,), pytest.raises(SupplyError) as caught:
        index.find(Wheel.from_filename("shop-1.0-py3-none-any.whl", "0" * 64))
    assert str(caught.value).startswith("http://127.0.0.1:9/simple/shop/: cannot be reached")


def test_a_folder_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    """Before anything is repaired."""
    with pytest.raises(UsageError, match="the folder does not exist"), originals([str(tmp_path / "nowhere")]):
        pass

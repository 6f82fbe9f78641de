"""Digests remembered between runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envfab.wheelhouse.digest_cache import SETTLED, DigestMemory, cache_folder
from tests.support.wheels import sha256


def remembered(cache: Path) -> dict[str, list[object]]:
    """What the memory's one file holds."""
    (file,) = (cache / "digests").iterdir()
    files: dict[str, list[object]] = json.loads(file.read_text(encoding="utf-8"))["files"]
    return files


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders for one test each, with a file that has not changed for as long as counts: one wait for all tests."""
    made = [tmp_path_factory.mktemp("wheels") for _ in range(9)]
    for folder in made:
        (folder / "a.whl").write_bytes(b"content")
    time.sleep(SETTLED / 1e9 + 0.1)
    return iter(made)


@pytest.fixture
def folder(folders: Iterator[Path]) -> Path:
    """A folder with a settled file."""
    return next(folders)


def learned(folder: Path, cache: Path) -> Path:
    """Have the file in the folder remembered; the memory's file."""
    memory = DigestMemory(cache, folder)
    assert memory.sha256("a.whl") == sha256(folder / "a.whl")
    memory.save()
    (file,) = (cache / "digests").iterdir()
    return file


def test_a_file_that_did_not_change_is_not_read_again(folder: Path, tmp_path: Path) -> None:
    """The remembered digest is answered while the file's stamp is the same, and no longer; gone files are forgotten."""
    file = learned(folder, cache := tmp_path / "cache")
    file.write_text(file.read_text(encoding="utf-8").replace(sha256(folder / "a.whl"), "f" * 64), encoding="utf-8")
    assert DigestMemory(cache, folder).sha256("a.whl") == "f" * 64
    (folder / "a.whl").write_bytes(b"changed")
    assert DigestMemory(cache, folder).sha256("a.whl") == sha256(folder / "a.whl")


def test_what_changed_just_now_is_not_remembered(tmp_path: Path) -> None:
    """A file may change twice within a tick of the clock: a fresh one is read again next time."""
    (tmp_path / "a.whl").write_bytes(b"content")
    memory = DigestMemory(tmp_path / "cache", tmp_path)
    memory.sha256("a.whl")
    memory.save()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 2, "files": {"a.whl": []}}', '{"format": 1, "files": {"a.whl": 3}}']
)
def test_a_damaged_or_newer_memory_is_an_empty_one(folder: Path, tmp_path: Path, content: str) -> None:
    """Whatever the file holds, the digest is right."""
    file = learned(folder, cache := tmp_path / "cache")
    file.write_text(content, encoding="utf-8")
    memory = DigestMemory(cache, folder)
    assert memory.sha256("a.whl") == sha256(folder / "a.whl")
    memory.save()
    assert list(remembered(cache)) == ["a.whl"]


def test_what_a_newer_memory_says_of_a_file_is_not_believed(folder: Path, tmp_path: Path) -> None:
    """Its entries may mean something else, even where they look like ours."""
    file = learned(folder, cache := tmp_path / "cache")
    document = json.loads(file.read_text(encoding="utf-8"))
    document["files"]["a.whl"][-1] = "0" * 64
    file.write_text(json.dumps(document), encoding="utf-8")
    assert DigestMemory(cache, folder).sha256("a.whl") == "0" * 64
    file.write_text(json.dumps({**document, "format": 2}), encoding="utf-8")
    assert DigestMemory(cache, folder).sha256("a.whl") == sha256(folder / "a.whl")


@pytest.mark.parametrize("cache", [None, Path("/proc/nowhere")])
def test_a_missing_or_read_only_home_is_fine(folder: Path, cache: Path | None) -> None:
    """Without a place to remember, digests are worked out each time."""
    memory = DigestMemory(cache, folder)
    assert memory.sha256("a.whl") == sha256(folder / "a.whl")
    memory.save()


def test_where_the_cache_is() -> None:
    """XDG_CACHE_HOME counts where it is a full path, then HOME; a user without either has no cache."""
    assert cache_folder({"XDG_CACHE_HOME": "/x", "HOME": "/home/me"}) == Path("/x/envfab")
    assert cache_folder({"XDG_CACHE_HOME": "x", "HOME": "/home/me"}) == Path("/home/me/.cache/envfab")
    assert cache_folder({}) is None

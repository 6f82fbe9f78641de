"""The estimate of what a deployment needs on its host: never more than it then takes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import space as space_source
from envfab.agent import unpack as unpack_source
from envfab.deployment.space import Need, of_generation, of_tree
from envfab.remote.agent_replies import Room
from envfab.wheelhouse.unpacked import read_unpacked
from tests.support.wheels import make_wheel

space: Any = space_source
unpacking: Any = unpack_source
PLAIN = Room("/srv", "1", None, None, plain=True)
FILES: dict[str, str | bytes] = {
    "shop/__init__.py": "",
    "shop/views/list.py": "A = 1\n" * 500,
    "shop/data.bin": os.urandom(5000),
    "shop-1.0.data/data/share/shop/logo.svg": "<svg/>" * 100,
    "shop-1.0.data/purelib/shop/data.bin": b"the same file, from another folder of the wheel",
    "shop-1.0.data/scripts/shop": "#!python\n",
    "shop-1.0.data/headers/shop.h": "int shop;\n",
}


@pytest.mark.parametrize("scripts", [None, {"shop": "shop.views:main"}])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_tree_takes_no_less_than_was_estimated(
    tmp_path: Path, scripts: dict[str, str] | None, *, compiled: bool
) -> None:
    """In bytes and in inodes; without bytecode the inodes are told exactly."""
    wheel = make_wheel(tmp_path, "shop", "1.0", files=FILES, entry_points=scripts)
    tree = tmp_path / "tree"
    unpacking.unpack(str(wheel), str(tree), 0o022, compiled)
    there = [tree, *tree.rglob("*")]
    need = of_tree(read_unpacked(wheel), PLAIN)
    assert sum(path.stat().st_size for path in there if path.is_file() and path.suffix != ".pyc") >= need.size > 4000
    assert len(there) >= need.inodes
    if not compiled:
        assert len(there) == need.inodes


def test_where_files_may_be_compressed_they_need_what_they_do_in_the_wheel(tmp_path: Path) -> None:
    """A file system that compresses, as btrfs and ZFS do, may hold more than it has bytes."""
    wheel = read_unpacked(make_wheel(tmp_path, "shop", "1.0", files={"shop.txt": "text " * 10_000}))
    assert of_tree(wheel, PLAIN).size > 50_000
    assert of_tree(wheel, replace(PLAIN, plain=False)).size < 5_000


def test_a_generation_of_links_needs_folders_and_one_of_copies_files_too(tmp_path: Path) -> None:
    """A folder, or a file, that two wheels have is there once."""
    first = read_unpacked(make_wheel(tmp_path, "a", "1.0", files={"shared/one.py": "x" * 100}))
    second = read_unpacked(make_wheel(tmp_path, "b", "1.0", files={"shared/one.py": "x" * 100}))
    # the folder of packages, shared/, two of dist-info; a RECORD and an INSTALLER for each
    assert of_generation([first, second], PLAIN, by_links=True) == Need(0, 4 + 4)
    alone, both = (of_generation(wheels, PLAIN, by_links=False) for wheels in ([first], [first, second]))
    assert both.size < 2 * alone.size
    assert both.inodes == 4 + 4 + len(first.files) + len(second.files) - 1


def test_what_a_file_system_does_not_tell_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inodes are 0 in all on btrfs, and blocks on file systems of the network."""
    told = os.statvfs(tmp_path)
    silent = os.statvfs_result((*told[:2], 0, 0, 0, 0, 0, 0, *told[8:10]))
    monkeypatch.setattr(os, "statvfs", lambda _path: silent)
    found = space.room(str(tmp_path))
    assert (found["free"], found["inodes"]) == (None, None)


def test_the_kind_of_a_file_system_is_that_of_the_innermost_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the kernel's own list, with blanks in it as octal numbers; of two at one place the later one counts."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "none / overlay rw 0 0\n/dev/a /srv ext4 rw 0 0\n/dev/b /srv/a\\040b btrfs rw 0 0\n"
        "/dev/c /srv/a\\040b xfs rw 0 0\n/dev/d /sr zfs rw 0 0\n"
    )
    monkeypatch.setattr(space, "MOUNTS", str(mounts))
    assert [space.kind(path) for path in ("/", "/srv", "/srv/a b/c", "/srv/a", "/srvx")] == [
        "overlay",
        "ext4",
        "xfs",
        "ext4",
        "overlay",
    ]
    monkeypatch.setattr(space, "MOUNTS", str(tmp_path / "none"))
    assert space.kind("/srv") is None

"""What a wheel unpacks to, by its archive's directory and its RECORD."""

from __future__ import annotations

from pathlib import Path

import pytest

from envfab.errors import WheelError
from envfab.wheelhouse.unpacked import read_unpacked
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.wheels import make_wheel

FILES = {
    "shop/__init__.py": "A = 1\n",
    "shop-1.0.data/platlib/shop/fast.so": "code",
    "shop-1.0.data/data/share/shop.svg": "<svg/>",
    "shop-1.0.data/scripts/shop": "#!python\n",
}


def test_files_are_named_by_where_they_go(tmp_path: Path) -> None:
    """Packages of both kinds to one place; only packages and data have hashes, and RECORD's own folder has none."""
    found = read_unpacked(make_wheel(tmp_path, "shop", "1.0", files=FILES))
    assert set(found.hashes) == {
        ("packages", "shop/__init__.py"),
        ("packages", "shop/fast.so"),
        ("data", "share/shop.svg"),
    }
    assert all(said.startswith("sha256=") and not said.endswith("=") for said in found.hashes.values())
    assert found.files["packages", "shop/__init__.py"][0] == len("A = 1\n")
    assert ("scripts", "shop") in found.files
    assert found.folders == {
        ("packages", ""),
        ("packages", "shop"),
        ("packages", "shop-1.0.dist-info"),
        ("data", ""),
        ("data", "share"),
        ("scripts", ""),
    }


def test_scripts_are_left_out_where_entry_points_make_some(tmp_path: Path) -> None:
    """An installer does not unpack those that it makes itself."""
    made = make_wheel(tmp_path, "shop", "1.0", files=FILES, entry_points={"shop": "shop:main"})
    assert ("scripts", "shop") not in read_unpacked(made).files


def test_a_damaged_wheel_is_an_error_and_has_no_hashes(tmp_path: Path) -> None:
    """What is wrong with it is told where it is needed."""
    wheelhouse = Wheelhouse(tmp_path / "wheels", tmp_path / "release_log")
    wheel = wheelhouse.add(make_wheel(tmp_path, "shop", "1.0")).wheel
    wheelhouse.path_of(wheel).write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(WheelError, match="damaged or cut short"):
        wheelhouse.unpacked(wheel)
    assert wheelhouse.hashes(wheel) == {}


def test_a_wheel_is_read_once(tmp_path: Path) -> None:
    """It is asked for by each virtualenv."""
    wheelhouse = Wheelhouse(tmp_path / "wheels", tmp_path / "release_log")
    wheel = wheelhouse.add(make_wheel(tmp_path, "shop", "1.0")).wheel
    assert wheelhouse.unpacked(wheel) is wheelhouse.unpacked(wheel)

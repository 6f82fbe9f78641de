"""A wheelhouse to fill, for the conftests of rooms that need one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envfab.wheelhouse.wheelhouse import House
from tests.support.wheels import make_wheel


@pytest.fixture
def house(tmp_path: Path) -> House:
    """An empty house."""
    return House(tmp_path / "house" / "wheels", tmp_path / "house" / "release_log", cache=tmp_path / "cache")


@pytest.fixture
def add(house: House, tmp_path: Path) -> Callable[..., Path]:
    """Makes a wheel and takes it into the house: `add("shop", "1.0", requires=["six"])`."""

    def make_and_add(name: str, version: str, **options: Any) -> Path:
        made = make_wheel(tmp_path / "made", name, version, **options)
        house.add(made)
        return house.wheels / made.name

    return make_and_add

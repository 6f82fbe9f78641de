"""A wheelhouse to fill, for the conftests of rooms that need one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.wheels import make_wheel


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Wheelhouse:
    """An empty wheelhouse."""
    return Wheelhouse(
        tmp_path / "wheelhouse" / "wheels", tmp_path / "wheelhouse" / "release_log", cache=tmp_path / "cache"
    )


@pytest.fixture
def add(wheelhouse: Wheelhouse, tmp_path: Path) -> Callable[..., Path]:
    """Makes a wheel and takes it into the wheelhouse: `add("shop", "1.0", requires=["six"])`."""

    def make_and_add(name: str, version: str, **options: Any) -> Path:
        made = make_wheel(tmp_path / "made", name, version, **options)
        wheelhouse.add(made)
        return wheelhouse.wheels / made.name

    return make_and_add

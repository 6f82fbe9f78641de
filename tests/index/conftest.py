"""A wheelhouse to fill."""

from __future__ import annotations

from tests.support.wheelhouse import add, house

__all__ = ["add", "house"]

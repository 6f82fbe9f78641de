"""A wheelhouse to fill."""

from __future__ import annotations

from tests.support.wheelhouse import add, wheelhouse

__all__ = ["add", "wheelhouse"]

"""What ends a benchmark, in words for whoever runs it."""

from __future__ import annotations


class BenchmarkError(Exception):
    """The benchmark cannot be run, or a contender did not do what was asked of it."""

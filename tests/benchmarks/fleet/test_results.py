"""Tests for medians, and for what is kept of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fleet.results import Figure, load, save, seconds
from tests.benchmarks.fleet.recorded import EVERYTHING, MIB


def test_figure_is_the_median_with_least_and_most() -> None:
    """Runs are told of by their median, the least and the most, in whatever order they came."""
    assert Figure.of([3.0, 1.0, 10.0]) == Figure(3.0, 1.0, 10.0)
    assert Figure.of([4.0, 1.0]) == Figure(2.5, 1.0, 4.0)


def test_seconds_of_the_memory_round_do_not_count() -> None:
    """A run in which memory was looked for gives its memory and no time."""
    assert EVERYTHING.wall("nothing", "envfab") == Figure(1.1, 1.0, 1.2)
    assert EVERYTHING.controller("nothing", "envfab") == Figure(0.55, 0.5, 0.6)
    assert EVERYTHING.managed("cold", "shell-uv") == Figure(3.0, 3.0, 3.0)
    assert EVERYTHING.memory("nothing", "envfab") == 64 * MIB


def test_what_was_not_measured_has_no_figure() -> None:
    """A contender that did not take part in a workload has no time there, and is not ranked."""
    assert EVERYTHING.wall("cold", "pyinfra") is None
    assert [one.name for one, _figure in EVERYTHING.ranked("cold")] == ["shell-uv", "envfab"]


def test_ranks_are_kept_apart_by_bytecode() -> None:
    """Those that compile and those that do not are ranked apart where that is asked for."""
    assert [one.name for one, _figure in EVERYTHING.ranked("upgrade", compiles=True)] == ["envfab", "pyinfra"]
    assert [one.name for one, _figure in EVERYTHING.ranked("upgrade", compiles=False)] == ["shell-uv"]


def test_results_come_back_as_they_were_kept(tmp_path: Path) -> None:
    """What is saved is what is loaded."""
    save(EVERYTHING, tmp_path / "new" / "fleet.json")
    assert load(tmp_path / "new" / "fleet.json") == EVERYTHING


def test_results_of_another_format_are_refused(tmp_path: Path) -> None:
    """A file that another version wrote is not taken for figures of today."""
    save(EVERYTHING, tmp_path / "fleet.json")
    path = tmp_path / "fleet.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ValueError, match="another format"):
        load(path)


@pytest.mark.parametrize(("number", "text"), [(0.734, "0.73"), (9.994, "9.99"), (9.996, "10.0"), (133.21, "133.2")])
def test_seconds_have_two_decimals_up_to_ten(number: float, text: str) -> None:
    """Short times are told more exactly than long ones."""
    assert seconds(number) == text

"""Tests for the bars' arithmetic."""

from __future__ import annotations

import pytest

from benchmarks.fleet import contenders
from benchmarks.fleet.bars import (
    BARS,
    Verdict,
    controller_milliseconds,
    later_nine,
    ratio,
    rollback_to_plan,
    to_fastest_pip,
    verdicts,
)
from benchmarks.fleet.results import Results
from tests.benchmarks.fleet.recorded import EVERYTHING, recorded


def judged(results: Results, text: str) -> Verdict:
    """The verdict on the one bar whose text begins so."""
    (found,) = [verdict for verdict in verdicts(results) if verdict.bar.text.startswith(text)]
    return found


def test_ratio_is_of_medians() -> None:
    """How many times as long one takes as another is told of their medians."""
    assert ratio("nothing", "pyinfra", "envfab")(EVERYTHING) == pytest.approx(6.6 / 1.1)


def test_bar_without_figures_is_not_judged() -> None:
    """A bar whose contenders were left out is neither met nor missed."""
    assert ratio("nothing", "ansible", "envfab")(EVERYTHING) is None
    assert not [verdict for verdict in verdicts(EVERYTHING) if verdict.bar.text.startswith("Ansible")]


@pytest.mark.parametrize(("pyinfra", "met", "by"), [(6.0, True, 0.0), (7.5, True, 0.25), (5.4, False, 0.1)])
def test_bar_from_below(pyinfra: float, met: bool, by: float) -> None:
    """A peer that has to be so many times slower at least: fewer times is a miss."""
    verdict = judged(recorded({("nothing", "envfab"): [1.0], ("nothing", "pyinfra"): [pyinfra]}), "pyinfra takes")
    assert verdict.met is met
    assert verdict.by == pytest.approx(by)


@pytest.mark.parametrize(("ours", "met"), [(1.4, True), (1.5, True), (1.51, False)])
def test_bar_from_above(ours: float, met: bool) -> None:
    """Being at most so many times as slow: more times is a miss."""
    verdict = judged(recorded({("nothing", "envfab"): [ours], ("nothing", "fabric-list"): [1.0]}), "envfab takes")
    assert verdict.met is met


def test_controller_is_judged_by_the_virtualenv() -> None:
    """CPU seconds of the controller are told in milliseconds a virtualenv."""
    results = recorded({("nothing", "envfab"): [1.2]}, hosts=20)
    assert controller_milliseconds("nothing", "envfab")(results) == pytest.approx(30)


def test_fastest_of_those_that_call_pip_counts() -> None:
    """Being faster than every row with pip is being faster than the fastest."""
    results = recorded(
        {
            ("cold", "mine"): [8.0],
            ("cold", "shell-pip"): [10.0],
            ("cold", "pyinfra"): [20.0],
            ("cold", "shell-uv"): [1.0],
        }
    )
    assert to_fastest_pip("cold", "mine")(results) == pytest.approx(0.8)


def test_later_nine_are_compared_with_the_first() -> None:
    """Nine virtualenvs together cost so many times what the first cost."""
    results = recorded({("ten-first", "envfab"): [2.0], ("ten-rest", "envfab"): [3.0]})
    assert later_nine("envfab")(results) == pytest.approx(1.5)


def test_a_rollback_is_compared_with_a_plan() -> None:
    """A rollback costs so many times what a plan costs."""
    results = recorded({("plan", "envfab"): [2.0], ("rollback", "envfab"): [2.4]})
    assert rollback_to_plan("envfab")(results) == pytest.approx(1.2)


def test_bars_name_contenders_that_there_are() -> None:
    """With everybody measured at everything, there is a verdict on every bar."""
    everybody = [*contenders.ENVFAB, *contenders.PEERS]
    workloads = ("nothing", "upgrade", "cold", "ten-first", "ten-rest", "plan", "rollback")
    results = recorded({(workload, one.name): [1.0] for workload in workloads for one in everybody})
    assert len(verdicts(results)) == len(BARS)

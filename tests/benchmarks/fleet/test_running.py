"""Tests for who does what when."""

from __future__ import annotations

from benchmarks.fleet.contenders import ENVFAB, PEERS
from benchmarks.fleet.running import order
from benchmarks.fleet.workloads import NAMES

EVERYBODY = [*ENVFAB, *PEERS]


def test_everybody_is_measured_as_often_as_asked() -> None:
    """Each contender does each of its workloads once a round, save where it has fewer rounds."""
    steps = [(workload.name, contender.name) for turn, workload, contender in order(EVERYBODY, NAMES, 3) if turn]
    for contender in EVERYBODY:
        for workload in ("nothing", "upgrade", "cold"):
            times = contender.rounds.get(workload, 3) if contender.runs(workload) else 0
            assert steps.count((workload, contender.name)) == times


def test_contenders_take_turns() -> None:
    """Nobody is measured a second time before everybody was measured once."""
    turns = [turn for turn, _workload, _contender in order(EVERYBODY, NAMES, 3)]
    assert turns == sorted(turns)
    assert set(turns) == {0, 1, 2, 3}


def test_each_has_run_cold_before_anything_else() -> None:
    """What a workload begins with was left by the same contender's cold run, also where cold runs are not asked for."""
    seen = set()
    for _turn, workload, contender in order(EVERYBODY, ("upgrade", "nothing"), 2):
        if workload.name == "cold":
            seen.add(contender.name)
        assert (contender.base or contender.name) in seen


def test_nothing_is_run_where_no_hosts_are_asked_for() -> None:
    """The ten virtualenvs on one host need none of the other runs."""
    assert list(order(EVERYBODY, ("ten",), 3)) == []


def test_a_rollback_begins_with_what_a_cold_run_left() -> None:
    """It needs the state that is kept after the first cold run, and no other run."""
    assert {(turn, workload.name) for turn, workload, _ in order(EVERYBODY, ("rollback",), 3)} == {(0, "cold")}

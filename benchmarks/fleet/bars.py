"""The bars: what the figures have to reach. Each compares medians of the same run on the same machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.fleet.results import Results
from benchmarks.fleet.workloads import PLAN, ROLLBACK, TEN_FIRST, TEN_REST

PIP_ROWS = ("pyinfra", "ansible", "fabric", "shell-pip")
MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Bar:
    """What is asked for. `measured` gives a number, or None where the results lack something that it needs."""

    workload: str
    text: str
    limit: float
    unit: str
    at_least: bool
    measured: Callable[[Results], float | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar with what was measured; `by` is how far from the limit that is, as a part of the limit."""

    bar: Bar
    measured: float

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.measured >= self.bar.limit if self.bar.at_least else self.measured <= self.bar.limit

    @property
    def by(self) -> float:
        """How far off the limit, whichever way."""
        return abs(self.measured - self.bar.limit) / self.bar.limit


def verdicts(results: Results) -> list[Verdict]:
    """All bars for which there are figures."""
    found = [(bar, bar.measured(results)) for bar in BARS]
    return [Verdict(bar, measured) for bar, measured in found if measured is not None]


def ratio(workload: str, one: str, other: str) -> Callable[[Results], float | None]:
    """How many times as long as `other` `one` takes."""

    def measured(results: Results) -> float | None:
        first, second = results.wall(workload, one), results.wall(workload, other)
        return first.median / second.median if first and second else None

    return measured


def to_fastest_pip(workload: str, one: str) -> Callable[[Results], float | None]:
    """How many times as long as the fastest of those that call pip `one` takes."""

    def measured(results: Results) -> float | None:
        mine = results.wall(workload, one)
        others = [figure.median for name in PIP_ROWS if (figure := results.wall(workload, name))]
        return mine.median / min(others) if mine and others else None

    return measured


def later_nine(one: str) -> Callable[[Results], float | None]:
    """How many times as long as the first virtualenv of a host the later nine take together."""

    def measured(results: Results) -> float | None:
        first, rest = results.wall(TEN_FIRST, one), results.wall(TEN_REST, one)
        return rest.median / first.median if first and rest else None

    return measured


def rollback_to_plan(one: str) -> Callable[[Results], float | None]:
    """How many times as long as a plan with nothing to do a rollback takes."""

    def measured(results: Results) -> float | None:
        plan, rollback = results.wall(PLAN, one), results.wall(ROLLBACK, one)
        return rollback.median / plan.median if plan and rollback else None

    return measured


def controller_milliseconds(workload: str, one: str) -> Callable[[Results], float | None]:
    """The controller's CPU time, a virtualenv."""

    def measured(results: Results) -> float | None:
        figure = results.controller(workload, one)
        return MILLISECONDS * figure.median / results.hosts if figure else None

    return measured


def _times(workload: str, text: str, limit: float, one: str, other: str, *, at_least: bool) -> Bar:
    return Bar(workload, text, limit, "times", at_least, ratio(workload, one, other))


BARS = (
    _times("nothing", "pyinfra takes at least 6 times as long", 6, "pyinfra", "envfab", at_least=True),
    _times("nothing", "Ansible takes at least 18 times as long", 18, "ansible", "envfab", at_least=True),
    _times(
        "nothing", "Ansible's pip task alone takes at least 18 times as long", 18, "ansible-pip", "envfab",
        at_least=True,
    ),
    _times(
        "nothing", "envfab takes at most 1.5 times as long as plain Fabric that lists", 1.5,
        "envfab", "fabric-list", at_least=False,
    ),
    Bar(
        "nothing", "the controller's CPU is at most 30 ms a virtualenv", 30, "ms", False,
        controller_milliseconds("nothing", "envfab"),
    ),
    _times(
        "upgrade", "pyinfra takes at least 3 times as long", 3, "pyinfra", "envfab", at_least=True,
    ),
    _times(
        "upgrade", "envfab, with bytecode, takes at most as long as the shell with uv without", 1, "envfab", "shell-uv",
        at_least=False,
    ),
    _times(
        "cold", "envfab takes at most a third of the time of the shell with uv, compiled", 1 / 3,
        "envfab", "shell-uv-compiled", at_least=False,
    ),
    _times(
        "cold", "envfab, not compiled, takes at most 1.15 times as long as the shell with uv", 1.15,
        "envfab-source", "shell-uv", at_least=False,
    ),
    *(
        Bar(
            workload, "envfab takes less long than the fastest that calls pip", 1, "times", False,
            to_fastest_pip(workload, "envfab"),
        )
        for workload in ("upgrade", "cold")
    ),
    Bar(
        "rollback", "a rollback takes at most 1.3 times as long as a plan", 1.3, "times", False,
        rollback_to_plan("envfab"),
    ),
    Bar("ten", "the later nine take at most 0.8 times the first's time", 0.8, "times", False, later_nine("envfab")),
)  # fmt: skip

"""The rounds: everybody once, in turn, then everybody again, so that the machine's mood is the same for all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.fleet.contenders import Contender
from benchmarks.fleet.measuring import Cost
from benchmarks.fleet.results import Run
from benchmarks.fleet.stage import Stage
from benchmarks.fleet.workloads import (
    COLD,
    EVERYWHERE,
    PLAN,
    ROLLBACK,
    TEN,
    TEN_FIRST,
    TEN_REST,
    UPGRADE,
    Workload,
)

TEN_NAMES = tuple(f"ten{number}" for number in range(1, 11))


@dataclass(slots=True)
class Progress:
    """Says what was just done, and how long the rest may take, after what the same took before."""

    took: dict[tuple[str, str], float] = field(default_factory=dict)
    left: list[tuple[str, str]] = field(default_factory=list)

    def say(self, turn: int, workload: str, contender: str, cost: Cost, seconds: float) -> None:
        """One line for a run that took `seconds` with all around it."""
        self.took[workload, contender] = seconds
        with_them = [self.took[one] for one in self.left if one in self.took]
        rest = f" · about {sum(with_them) / 60:.0f} min left" if len(with_them) == len(self.left) > 0 else ""
        which = f"round {turn}" if turn else "memory "
        print(
            f"{which}  {workload:<10}{contender:<22}{cost.wall:7.2f} s   CPU {cost.controller:6.2f} + "
            f"{cost.managed:7.2f} s{rest}",
            flush=True,
        )


def run_all(stage: Stage, contenders: Sequence[Contender], names: Sequence[str], rounds: int) -> list[Run]:
    """Every workload in `names` by everybody who takes part in it, so many rounds."""
    steps = list(order(contenders, names, rounds))
    progress = Progress(left=[(workload.name, contender.name) for _turn, workload, contender in steps])
    runs = []
    for turn, workload, contender in steps:
        stage.prepare(contender)
        progress.left.pop(0)
        runs.append(_once(stage, turn, workload, contender, progress))
        if turn == 0 and workload is COLD:
            stage.keep(contender)
    if TEN in names:
        ours = [contender for contender in contenders if contender.ours]
        for turn in range(1, rounds + 1):
            for contender in ours:
                stage.prepare(contender)
                runs += _ten(stage, turn, contender, progress)
    if ROLLBACK in names:
        for turn in range(1, rounds + 1):
            for contender in (contender for contender in contenders if contender.ours):
                runs += _rollback(stage, turn, contender, progress)
    return runs


def order(
    contenders: Sequence[Contender], names: Sequence[str], rounds: int
) -> Iterator[tuple[int, Workload, Contender]]:
    """Who does what in which round; in round 0 memory is looked for, and nobody's hosts are there yet.

    In each round a contender does one workload after another, in the order in which each leaves what the next begins
    with; so hosts need not be filled again in between, which takes longer than most runs.
    """
    everywhere = ROLLBACK in names or any(workload.name in names for workload in EVERYWHERE)
    for turn in range(rounds + 1 if everywhere else 0):
        for owner in contenders:
            group = [contender for contender in contenders if owner.name in (contender.name, contender.base)]
            for workload in () if owner.base else EVERYWHERE:
                for contender in group:
                    first = turn == 0 and workload is COLD
                    wanted = workload.name in names and turn <= contender.rounds.get(workload.name, rounds)
                    if contender.runs(workload.name) and (wanted or first):
                        yield turn, workload, contender


def _once(stage: Stage, turn: int, workload: Workload, contender: Contender, progress: Progress) -> Run:
    began = time.monotonic()
    cost = stage.play(contender, workload, memory=turn == 0)
    progress.say(turn, workload.name, contender.name, cost, time.monotonic() - began)
    return _run(contender, workload.name, turn, cost, len(stage.hosts.all))


def _ten(stage: Stage, turn: int, contender: Contender, progress: Progress) -> Iterator[Run]:
    """The first virtualenv of a host, and the nine after it."""
    stage.bring(contender, "empty", 1)
    stage.states.add_virtualenvs(*TEN_NAMES)
    for name, virtualenvs in ((TEN_FIRST, TEN_NAMES[:1]), (TEN_REST, TEN_NAMES[1:])):
        cost = stage.play_some(contender, virtualenvs)
        progress.say(turn, name, contender.name, cost, 0)
        yield _run(contender, name, turn, cost, 1)


def _rollback(stage: Stage, turn: int, contender: Contender, progress: Progress) -> Iterator[Run]:
    """The way back from an upgrade that is not measured here, and the plan that it is compared with."""
    stage.play(contender, UPGRADE)
    for name, goal, task in ((PLAN, "after", ("plan",)), (ROLLBACK, "before", ("rollback", "--yes"))):
        cost = stage.play_task(contender, goal, *task)
        progress.say(turn, name, contender.name, cost, 0)
        yield _run(contender, name, turn, cost, len(stage.hosts.all))


def _run(contender: Contender, workload: str, turn: int, cost: Cost, hosts: int) -> Run:
    wall, controller, managed = (round(number, 4) for number in (cost.wall, cost.controller, cost.managed / hosts))
    return Run(contender.name, workload, turn, wall, controller, managed, cost.memory)

"""What was measured, as it is kept: in benchmarks/results/fleet.json, so that it can be shown again without a run."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds on the clock, CPU seconds of the controller and of the managed side, a host.

    Round 0 is the one in which memory was looked for (`memory`, bytes); its seconds are not used.
    """

    contender: str
    workload: str
    round: int
    wall: float
    controller: float
    managed: float
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """A contender as it was when it was measured."""

    name: str
    title: str
    about: str
    compiles: bool
    ours: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """A median with the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Figure:
        """The figure of at least one number."""
        return cls(statistics.median(numbers), min(numbers), max(numbers))


@dataclass(frozen=True, slots=True)
class Results:
    """All runs on one machine; `facts` tell of it, and of the versions that took part."""

    date: str
    hosts: int
    packages: int
    facts: Mapping[str, str]
    contenders: tuple[Played, ...]
    runs: tuple[Run, ...]

    def timed(self, workload: str, contender: str) -> list[Run]:
        """The runs whose seconds count."""
        return [one for one in self.runs if (one.workload, one.contender) == (workload, contender) and one.round]

    def wall(self, workload: str, contender: str) -> Figure | None:
        """Seconds on the clock; None where it was not measured."""
        found = [one.wall for one in self.timed(workload, contender)]
        return Figure.of(found) if found else None

    def controller(self, workload: str, contender: str) -> Figure | None:
        """CPU seconds of the controlling side."""
        found = [one.controller for one in self.timed(workload, contender)]
        return Figure.of(found) if found else None

    def managed(self, workload: str, contender: str) -> Figure | None:
        """CPU seconds of the managed side, a host."""
        found = [one.managed for one in self.timed(workload, contender)]
        return Figure.of(found) if found else None

    def memory(self, workload: str, contender: str) -> int:
        """The most bytes that the controller had at once; nought where nobody looked."""
        wanted = (workload, contender)
        return max((one.memory for one in self.runs if (one.workload, one.contender) == wanted), default=0)

    def ranked(self, workload: str, *, compiles: bool | None = None) -> list[tuple[Played, Figure]]:
        """Who was measured at a workload (those that leave bytecode, or none, or all), the fastest first."""
        found = [
            (one, figure)
            for one in self.contenders
            if compiles in (None, one.compiles) and (figure := self.wall(workload, one.name))
        ]
        return sorted(found, key=lambda pair: pair[1].median)

    @property
    def rounds(self) -> int:
        """How often most was measured."""
        return max((one.round for one in self.runs), default=0)


def seconds(number: float) -> str:
    """A time as people read it: two decimals up to ten, one beyond."""
    return f"{number:.2f}" if number < 9.995 else f"{number:.1f}"


def save(results: Results, path: Path) -> None:
    """Write results, a run a line."""
    whole = asdict(results)
    runs = ",\n".join(f"  {json.dumps(run)}" for run in whole.pop("runs"))
    head = json.dumps({"format": FORMAT, **whole}, indent=1, ensure_ascii=False).removesuffix("\n}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{head},\n "runs": [\n{runs}\n ]\n}}\n', encoding="utf-8")


def load(path: Path) -> Results:
    """Read what `save` wrote."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    if whole.pop("format") != FORMAT:
        raise ValueError(f"{path} is of another format than {FORMAT}")
    played = tuple(Played(**one) for one in whole.pop("contenders"))
    return Results(contenders=played, runs=tuple(Run(**one) for one in whole.pop("runs")), **whole)

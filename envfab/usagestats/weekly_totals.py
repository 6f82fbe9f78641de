"""Weekly totals of counters, and the file that keeps them: what was counted, how often, in which week.

They are bounded: a pair of name and value that is one too many counts as the pair `OTHER`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from envfab.usagestats.report import Entry, clean_text

FORMAT = 1
PREFIX = "count."
MAX_PAIRS = 200  # a week
MAX_NAME = 100  # bytes
MAX_VALUE = 100  # bytes
MAX_SUM = 10**12
MAX_WEEKS = 20  # in the file, which normally has one
OTHER = ("other", "")

Pair = tuple[str, str]
Totals = dict[Pair, int]


@dataclass(frozen=True, slots=True)
class WeeklyTotals:
    """The totals of each week that was not reported yet, and the last week that was."""

    weeks: Mapping[int, Totals] = field(default_factory=dict)
    reported: int = -1

    def add(self, counted: Mapping[int, Totals], this_week: int) -> WeeklyTotals:
        """With what was `counted`.

        In this week count also what comes after its week was reported, and weeks ahead, since the clock was set back.
        """
        weeks: dict[int, Totals] = {}
        for week, totals in [*self.weeks.items(), *counted.items()]:
            target = weeks.setdefault(week if self.reported < week <= this_week else this_week, {})
            for pair, number in totals.items():
                add_to(target, pair, number)
        return replace(self, weeks=weeks)

    def finished(self, this_week: int) -> list[int]:
        """The weeks that are over, the oldest first."""
        return sorted(week for week in self.weeks if week < this_week)

    def without(self, week: int) -> WeeklyTotals:
        """After the report of `week` was made."""
        others = {other: totals for other, totals in self.weeks.items() if other != week}
        return WeeklyTotals(others, max(self.reported, week))


def pair_of(name: object, value: object) -> Pair:
    """A name and a value as they are counted, and as a report can have them."""
    text = clean_text(value, MAX_VALUE) if value is not None else ""
    return clean_text(name, MAX_NAME).replace(":", "_"), text.strip()


def add_to(totals: Totals, pair: Pair, number: int) -> None:
    """Add to the total of `pair`, or of `OTHER` where there are too many pairs."""
    kept = pair if pair in totals or len(totals) < MAX_PAIRS - 1 else OTHER
    totals[kept] = min(MAX_SUM, totals.get(kept, 0) + number)


def count_entries(totals: Mapping[Pair, int]) -> list[Entry]:
    """Totals as entries of a report, `count.NAME` with `NUMBER VALUE`, in the order of their names."""
    return [(f"{PREFIX}{name}", f"{number} {value}".rstrip()) for (name, value), number in sorted(totals.items())]


def parse_count(key: str, value: str) -> tuple[str, str, int] | None:
    """The name, the value and the number of an entry that counts; None for any other entry."""
    number, _, text = value.partition(" ")
    total = _number(number, 13)
    if not key.startswith(PREFIX) or total is None or total > MAX_SUM:
        return None
    return key.removeprefix(PREFIX), text, total


def format_totals(totals: WeeklyTotals) -> bytes:
    """The text of the file `counts`: its format, the last week reported, and a line `WEEK NUMBER NAME:VALUE` a pair."""
    lines = [f"format:{FORMAT}", f"reported:{totals.reported}"]
    for week, pairs in totals.weeks.items():
        lines += [f"{week} {number} {name}:{value}" for (name, value), number in pairs.items()]
    return "".join(f"{line}\n" for line in lines).encode()


def parse_totals(data: bytes) -> WeeklyTotals:
    """What the file says; lines that cannot be understood are left out, and of a newer format all of them."""
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[0] != f"format:{FORMAT}":
        return WeeklyTotals()
    reported = _number(lines[1].removeprefix("reported:"), 5) if len(lines) > 1 else None
    weeks: dict[int, Totals] = {}
    for line in lines[2:]:
        before, _, rest = line.partition(" ")
        number, _, pair = rest.partition(" ")
        name, colon, value = pair.partition(":")
        week, total = _number(before, 5), _number(number, 13)
        if week is not None and total and colon and (week in weeks or len(weeks) < MAX_WEEKS):
            add_to(weeks.setdefault(week, {}), pair_of(name, value), total)
    return WeeklyTotals(weeks, -1 if reported is None else reported)


def _number(text: str, digits: int) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None

"""The numbers of a program's finished week that anybody may see: pure, from reports and the policy to what is shown.

A number is one of installations, at least `LEAST` of them, rounded. What fewer say is "other", which is shown only
where that, too, is at least `LEAST`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envfab.collector.value_labels import label
from envfab.usagestats import installation
from envfab.usagestats.policy import ReportPolicy
from envfab.usagestats.report import Report
from envfab.usagestats.weekly_totals import parse_count

LEAST = 5  # installations
OTHER = "other"
FORMAT = 1
MAX_LABELS = 50  # of a key; rarer ones are "other"

Numbers = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class PublicWeek:
    """What is shown of a week: how many installations, and how many of them said what under each key."""

    week: int
    installations: int
    keys: Mapping[str, Numbers] = field(default_factory=dict)


class WeekSums:
    """Adds up the reports of a week; `policy` says which keys are public (None: none is)."""

    def __init__(self, policy: ReportPolicy | None) -> None:
        self._policy = policy
        self._numbers: dict[str, int] = {}
        self._said: dict[str, dict[str, set[int]]] = {}

    def add(self, report: Report, name: str) -> None:
        """Count a report that is called `name`; one that does not tell installations apart is not counted.

        An installation is an id, or a report that says how old an installation is, which is one a week.
        """
        told = dict(report.entries)
        if report.user is not None:
            who = f"user {report.user}"
        elif installation.parse_installation(told.get(installation.KEY, "")) is not None:
            who = f"report {name}"
        else:
            return
        number = self._numbers.setdefault(who, len(self._numbers))
        for key, value in report.entries:
            shown = self._public_label(key, value, told.get("version", ""))
            if shown is not None:
                self._said.setdefault(key, {}).setdefault(shown, set()).add(number)

    def finished(self, week: int) -> PublicWeek:
        """What may be shown of them."""
        keys = {key: suppress(said) for key, said in sorted(self._said.items())}
        installations = len(self._numbers)
        if installations < LEAST:
            return PublicWeek(week, 0)
        return PublicWeek(week, rounded(installations), {key: numbers for key, numbers in keys.items() if numbers})

    def _public_label(self, key: str, value: str, version: str) -> str | None:
        """What is shown of an entry: a group of values, or of a counter its value; None for what is not public."""
        rule = self._policy.keys.get(key) if self._policy is not None else None
        if self._policy is None or rule is None or not rule.public or not self._policy.allows(key, value, version):
            return None
        counted = parse_count(key, value)
        if counted is not None:
            return counted[1] or f"any ({counted[0]})"
        told = installation.parse_installation(value) if key == installation.KEY else None
        return told[1] if told is not None else label(key, value)


def suppress(said: Mapping[str, set[int]]) -> Numbers:
    """How many installations said what, the most common first; what less than `LEAST` of them said is "other"."""
    ranked = sorted(said.items(), key=lambda one: (-len(one[1]), one[0]))
    shown = [(name, who) for name, who in ranked[:MAX_LABELS] if len(who) >= LEAST and name != OTHER]
    hidden = [who for name, who in ranked if (name, who) not in shown]
    others = set().union(*hidden)
    # Fewer than LEAST others are not shown at all; as all numbers are rounded, the difference does not tell them.
    numbers = [(name, rounded(len(who))) for name, who in shown]
    return (*numbers, (OTHER, rounded(len(others)))) if len(others) >= LEAST else tuple(numbers)


def rounded(number: int) -> int:
    """To the nearest multiple of `LEAST`, so that one installation more or less is seldom seen."""
    return (number + LEAST // 2) // LEAST * LEAST


def format_week(shown: PublicWeek) -> str:
    """A week as JSON, for the database."""
    keys = {key: [list(one) for one in numbers] for key, numbers in shown.keys.items()}
    return json.dumps({"format": FORMAT, "installations": shown.installations, "keys": keys})


def parse_week(week: int, text: str) -> PublicWeek:
    """The week that `format_week` wrote."""
    told = json.loads(text)
    keys = {key: tuple((name, number) for name, number in numbers) for key, numbers in told["keys"].items()}
    return PublicWeek(week, told["installations"], keys)


def count_all(reports: Iterable[tuple[Report, str]], policy: ReportPolicy | None, week: int) -> PublicWeek:
    """What may be shown of a week's reports, each with a name of its own."""
    sums = WeekSums(policy)
    for report, name in reports:
        sums.add(report, name)
    return sums.finished(week)

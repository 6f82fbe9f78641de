"""When to try again: pauses that double, for a server that gives no answer and for a report that it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from envfab.usagestats.report import MalformedReport, format_time, parse_time

FORMAT = 1
FIRST = 60_000  # milliseconds
LONGEST = 24 * 3600 * 1000  # milliseconds


@dataclass(frozen=True, slots=True)
class Pause:
    """So many failures in a row, and the time (milliseconds since 1970) before which nothing is tried."""

    failures: int = 0
    until: int = 0

    def over(self, now: int) -> bool:
        """Whether a new attempt may begin; a time too far ahead shows a clock that was set back."""
        return self.until <= now or self.until > now + LONGEST

    def longer(self, now: int, at_least: int = 0) -> Pause:
        """The pause after one more failure at `now`; a server may ask for more, up to `LONGEST`."""
        doubled = FIRST * 2 ** min(self.failures, 20)
        return Pause(self.failures + 1, now + min(max(doubled, at_least), LONGEST))


@dataclass(frozen=True, slots=True)
class Pauses:
    """The pause of the server as a whole, and those of reports that it refused, by name."""

    server: Pause = Pause()
    reports: Mapping[str, Pause] = field(default_factory=dict)

    def due(self, names: Iterable[str], now: int) -> list[str]:
        """What may be sent now, least refused first, so that a refused report is never in another's way."""
        if not self.server.over(now):
            return []
        ready = [name for name in names if self.reports.get(name, Pause()).over(now)]
        return sorted(ready, key=lambda name: self.reports.get(name, Pause()).failures)

    def unanswered(self, now: int, at_least: int = 0) -> Pauses:
        """After an attempt that found no server, or one that is in trouble."""
        return replace(self, server=self.server.longer(now, at_least))

    def refused(self, name: str, now: int) -> Pauses:
        """After the server, which is there, refused the report `name`."""
        return Pauses(Pause(), {**self.reports, name: self.reports.get(name, Pause()).longer(now)})

    def delivered(self, name: str) -> Pauses:
        """After the server took the report `name`."""
        return Pauses(Pause(), {other: pause for other, pause in self.reports.items() if other != name})

    def only(self, names: Iterable[str]) -> Pauses:
        """Without the reports that are gone."""
        waiting = set(names)
        return replace(self, reports={name: pause for name, pause in self.reports.items() if name in waiting})


def format_pauses(pauses: Pauses) -> bytes:
    """The text of the file `retry`: its format's number, the server's pause, then the reports'."""
    lines = [f"format:{FORMAT}", f"server:{_format(pauses.server)}"]
    lines += [f"{name}:{_format(pause)}" for name, pause in pauses.reports.items() if name.isprintable()]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def parse_pauses(data: bytes | None) -> Pauses:
    """What the file says; lines, and newer formats, that cannot be understood count as no pause at all."""
    lines = (data or b"").decode("utf-8", "replace").split("\n")
    if lines[0] != f"format:{FORMAT}":
        return Pauses()
    server, reports = Pause(), {}
    for line in lines[1:]:
        name, _, text = line.rpartition(":")
        pause = _parse(text)
        if name == "server":
            server = pause or Pause()
        elif name and pause is not None:
            reports[name] = pause
    return Pauses(server, reports)


def _format(pause: Pause) -> str:
    return f"{pause.failures} {format_time(pause.until)}"


def _parse(text: str) -> Pause | None:
    failures, _, until = text.partition(" ")
    if not (failures.isascii() and failures.isdigit() and len(failures) < 6):
        return None
    try:
        return Pause(int(failures), parse_time(until.encode("ascii", "replace")))
    except MalformedReport:
        return None

"""The age class of an installation, which one report a week carries in place of an id.

So installations can be counted and none can be followed, as DNF's `countme` does it: the folder keeps the week of the
first run and that of the last report with a class, and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from envfab.usagestats.calendar_week import monday
from envfab.usagestats.file_lock import locked
from envfab.usagestats.queue import read_bounded, write_atomically

FILE = "installation"
LOCK = "installation.lock"
KEY = "installation"
FORMAT = 1
# The classes of libdnf's COUNTME_BUCKETS, each with the number of full weeks at which it ends.
AGES = {"first week": 1, "first month": 4, "half a year": 24}
OLDER = "older"
CLASSES = (*AGES, OLDER)
_PATIENCE = 1.0  # seconds
_MAX_FILE = 200  # bytes
_FILE = re.compile(r"format:1\nfirst:([0-9]{1,5})\nreported:(-1|[0-9]{1,5})\n")
_VALUE = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}) ({'|'.join(CLASSES)})")


@dataclass(frozen=True, slots=True)
class Installation:
    """The weeks of the first run, and of the last report with a class (-1: none yet)."""

    first: int
    reported: int = -1

    def due(self, this_week: int) -> bool:
        """Whether this week has no report with a class yet; a week ahead shows a clock that was set back."""
        return self.reported != this_week and not this_week < self.reported <= this_week + 1

    def entry(self, this_week: int) -> tuple[str, str]:
        """The entry of a report: the week's Monday, and the age class."""
        return KEY, f"{monday(this_week)} {age_class(this_week - self.first)}"


def age_class(weeks: int) -> str:
    """The class of an installation that began so many full weeks before this week."""
    return next((name for name, end in AGES.items() if weeks < end), OLDER)


def due_entry(folder: Path, this_week: int) -> tuple[str, str] | None:
    """The entry that is due in a report of this week; None where one had it already."""
    known = _read(folder) or Installation(this_week)
    return known.entry(this_week) if known.due(this_week) else None


def claim_entry(folder: Path, this_week: int) -> tuple[str, str] | None:
    """The entry that is due, for one report alone: for any further one of this week there is none.

    None also where that cannot be noted in `folder`: an installation counts once a week, or not at all.
    """
    with locked(folder / LOCK, _PATIENCE) as mine:
        known = _read(folder) or Installation(this_week)
        if not mine or not known.due(this_week):
            return None
        noted = replace(known, reported=this_week)
        return known.entry(this_week) if _write(folder, noted) else None


def note_beginning(folder: Path, week: int) -> None:
    """Note the week of an installation's first run, unless one is noted."""
    if _read(folder) is None:
        _write(folder, Installation(week))


def parse_installation(value: str) -> tuple[str, str] | None:
    """The week's Monday and the class that an entry's value says; None where it says something else."""
    match = _VALUE.fullmatch(value)
    return (match[1], match[2]) if match else None


def forget_installation(folder: Path) -> None:
    """Remove what is kept of the installation's age."""
    (folder / FILE).unlink(missing_ok=True)


def _read(folder: Path) -> Installation | None:
    match = _FILE.fullmatch((read_bounded(folder / FILE, _MAX_FILE) or b"").decode("utf-8", "replace"))
    return Installation(int(match[1]), int(match[2])) if match else None


def _write(folder: Path, known: Installation) -> bool:
    text = f"format:{FORMAT}\nfirst:{known.first}\nreported:{known.reported}\n"
    return write_atomically(folder / FILE, text.encode())

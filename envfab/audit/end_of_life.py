"""Python versions and when the Python project ends their support: no fix of a vulnerability comes after that day.

Only CPython's: PyPy and others go on with versions as they decide. Distributions may mend an interpreter for longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from envfab.models.interpreter import Interpreter

# When the table was made, out of the Python Developer's Guide (https://devguide.python.org/versions/). Where only the
# month is published, it is the month's last day.
MADE = date(2026, 11, 27)
ENDS = {
    "2.6": date(2013, 10, 29),
    "2.7": date(2020, 1, 1),
    "3.0": date(2009, 6, 27),
    "3.1": date(2012, 4, 9),
    "3.2": date(2016, 2, 20),
    "3.3": date(2017, 9, 29),
    "3.4": date(2019, 3, 18),
    "3.5": date(2020, 9, 30),
    "3.6": date(2021, 12, 23),
    "3.7": date(2023, 6, 27),
    "3.8": date(2024, 10, 7),
    "3.9": date(2025, 10, 31),
    "3.10": date(2026, 10, 31),
    "3.11": date(2027, 10, 31),
    "3.12": date(2028, 10, 31),
    "3.13": date(2029, 10, 31),
    "3.14": date(2030, 10, 31),
    "3.15": date(2031, 10, 31),
}
STALE_AFTER = timedelta(days=365)


def end_of_life(interpreter: Interpreter, today: date) -> date | None:
    """Return the day on which support for an interpreter ended; None if it did not, or is not known to have."""
    if interpreter.implementation != "CPython":
        return None
    return ended_series(today).get(series(interpreter))


def ended_series(today: date) -> Mapping[str, date]:
    """Return the feature versions of CPython (`3.8`) that support ended for, each with its last day."""
    return {version: ended for version, ended in ENDS.items() if ended < today}


def series(interpreter: Interpreter) -> str:
    """The feature version of an interpreter: `3.11`."""
    return f"{interpreter.version.major}.{interpreter.version.minor}"


def is_stale(today: date) -> bool:
    """Whether the table is so old that versions may have ended that it does not have."""
    return today > MADE + STALE_AFTER

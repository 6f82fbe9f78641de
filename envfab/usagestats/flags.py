"""Flags of `Stats.submit()`: functions that add entries about the machine to a report.

A program's own flag is any callable that takes the `Stats` object and the list of entries.
"""

from __future__ import annotations

import platform
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envfab.usagestats.stats import Stats

Pairs = list[tuple[Any, Any]]


def OPERATING_SYSTEM(stats: Stats, info: Pairs) -> None:  # noqa: ARG001 (every flag has this shape; named as a constant)
    """The machine's architecture, its distribution, and its system with the release."""
    info.append(("architecture", platform.machine().lower()))
    info.append(("distribution", ";".join(_distribution())))
    info.append(("system", f"{platform.system()};{platform.release()}"))


def PYTHON_VERSION(stats: Stats, info: Pairs) -> None:  # noqa: ARG001 (every flag has this shape; named as a constant)
    """The interpreter's version: its five parts, then the whole text with builder and compiler."""
    whole = sys.version.replace(" \n", " ").replace("\n", " ")
    info.append(("python", ";".join((*map(str, sys.version_info), whole))))


def SESSION_TIME(stats: Stats, info: Pairs) -> None:
    """The time since the `Stats` object was made: seconds, a point, three digits of milliseconds."""
    # A clock that was set back in between must not give a negative duration.
    milliseconds = max(0, int((time.time() - stats.started_time) * 1000))
    info.append(("session_time", f"{milliseconds // 1000}.{milliseconds % 1000:03d}"))


def _distribution() -> tuple[str, str]:
    """Name and version of the Linux distribution; elsewhere those of the system itself."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ("", "") if platform.system() == "Linux" else (platform.system(), platform.release())
    return release.get("NAME", ""), release.get("VERSION_ID", "")

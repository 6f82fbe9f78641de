"""What /proc says of processes: who descends from whom, their CPU time, the memory they have."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36
# Places of numbers in /proc/PID/stat, counted from behind the name in parentheses.
PARENT, UTIME, CSTIME = 1, 11, 14


def adopt_orphans() -> None:
    """Let descendants whose parents end become children of this process, so that their CPU time can be had."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> dict[int, list[int]]:
    """Every process with its children."""
    found: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        with suppress(OSError, ValueError):
            found.setdefault(int(_stat(int(entry))[PARENT]), []).append(int(entry))
    return found


def descendants(pid: int, without: frozenset[int] = frozenset()) -> list[int]:
    """Children of `pid`, their children and so on, save those in `without` with all below them."""
    tree = children()
    found, queue = [], [pid]
    while queue:
        new = [child for child in tree.get(queue.pop(), []) if child not in without]
        found += new
        queue += new
    return found


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and of all descendants that ended and were waited for; it has to be there."""
    return sum(int(number) for number in _stat(pid)[UTIME : CSTIME + 1]) / TICKS


def memory(pids: list[int]) -> int:
    """Bytes that processes have in memory, a page that several share being counted once among them."""
    total = 0
    for pid in pids:
        with suppress(OSError, IndexError, ValueError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += 1024 * int(text.partition("\nPss:")[2].split(maxsplit=1)[0])
    return total


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

"""What the contenders are to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """A task for every contender: hosts begin in one state and are to reach another.

    `begins` is "empty" (virtualenvs as `python -m venv` makes them, no wheel on the host), or "before" (what the same
    contender's own run into the empty virtualenv left); `goal` is a file of requirements.
    """

    name: str
    title: str
    begins: str
    goal: str


NOTHING = Workload("nothing", "Nothing to do", "before", "before")
UPGRADE = Workload("upgrade", "One package upgraded", "before", "after")
COLD = Workload("cold", "Cold: an empty virtualenv", "empty", "before")
EVERYWHERE = (COLD, NOTHING, UPGRADE)
"""Those of all hosts and contenders, in the order in which each leaves what the next begins with."""

TEN = "ten"
"""Ten empty virtualenvs on one host, for envfab alone: the first in one run, the others in another."""
TEN_FIRST, TEN_REST = "ten-first", "ten-rest"
ROLLBACK, PLAN = "rollback", "plan"
"""For envfab alone, after the upgrade: a plan with nothing to do, and then the rollback of all hosts."""
NAMES = (*(workload.name for workload in EVERYWHERE), TEN, ROLLBACK)

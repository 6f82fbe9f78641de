"""What is told of a deployment: its id, how far it came, how it ended."""

from __future__ import annotations

import getpass
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

from envfab.config.target import Target
from envfab.errors import EnvfabError
from envfab.models.probe import LingeringProcess, Probe
from envfab.planning.plan import Plan


class Ending(Enum):
    """How a deployment ended."""

    CURRENT = "current"
    DEPLOYED = "deployed"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    LOCKED = "locked"
    UNREACHABLE = "unreachable"
    MISSING = "missing"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"


# what makes a rollout end with exit status 1
BAD = frozenset({Ending.BLOCKED, Ending.LOCKED, Ending.UNREACHABLE, Ending.MISSING, Ending.FAILED, Ending.ROLLED_BACK})


def spoken_ending(ending: Ending, undoes: str | None) -> str:
    """How a deployment ended, in words; of a rollback, which `undoes` a deployment, it is said as such."""
    if undoes is None:
        return ending.value
    return {Ending.DEPLOYED: "rolled back", Ending.ROLLED_BACK: "failed, as it was before"}.get(ending, ending.value)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One plan on one virtualenv, and what became of it.

    `done` are the steps that were finished, in order; `output` is the end of what the failing child printed;
    `migrated` the migrations that were applied, as Django names them, `planned` those that were to be, `uncertain`
    those of them that may or may not have run, `unapplied` those that failed or were never begun; `left_open` why
    the journal stays open.
    """

    id: str | None
    target: Target
    plan: Plan
    ending: Ending
    done: tuple[str, ...] = ()
    error: EnvfabError | None = None
    output: str = ""
    migrated: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    unapplied: tuple[str, ...] = ()
    # the deployment that it took back, or was to take back, where it is a rollback
    undoes: str | None = None
    left_open: str = ""
    # what still runs the packages of before
    lingering: tuple[LingeringProcess, ...] = ()
    # how many of its wheels were compiled on this machine, and how many on the host
    compiled: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    # the virtualenv as it was found at the end of a deployment that succeeded
    after: Probe | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who deploys, and from where."""

    who: str
    origin: str

    @classmethod
    def here(cls) -> Caller:
        """The user of this process, on this machine."""
        return cls(getpass.getuser(), socket.gethostname())


def now() -> str:
    """The time as every record has it: ISO 8601, UTC, whole seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def new_rollout_id() -> str:
    """An id that sorts by time and that two people do not draw at once: `20261120-214900-9f3a`."""
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"

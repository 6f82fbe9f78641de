"""Results of deployments: how far each got and how it ended."""

from __future__ import annotations

import getpass
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from envfab.config.target import Target
from envfab.errors import EnvfabError
from envfab.models.probe import LingeringProcess, Probe
from envfab.planning.migration_verdicts import Verdict, to_json
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


AS_BEFORE = "failed (as it was before)"

# endings that make a rollout exit with status 1
BAD = frozenset({Ending.BLOCKED, Ending.LOCKED, Ending.UNREACHABLE, Ending.MISSING, Ending.FAILED, Ending.ROLLED_BACK})


def spoken_ending(ending: Ending, undoes: str | None) -> str:
    """Return how a deployment ended, in words; `undoes` is set for a rollback, which people ask for.

    A recovery is not called a rollback: what failed, and is as it was before, says so.
    """
    if ending is Ending.ROLLED_BACK:
        return AS_BEFORE
    return "rolled back" if ending is Ending.DEPLOYED and undoes is not None else ending.value


@dataclass(frozen=True, slots=True)
class Deployment:
    """The result of carrying out one plan on one virtualenv.

    `done` are the names of the completed steps, in order. `output` is the end of the output of the command that failed.
    Migrations are named as Django does: `planned` were to be applied, `migrated` were applied by this deployment,
    `uncertain` may or may not have run, `unapplied` failed or were never started. `left_open` is the reason why the
    journal stays open, if it does.
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
    # what is wrong with the planned migrations
    verdicts: tuple[Verdict, ...] = ()
    # the id of the deployment to take back, if this is a rollback
    undoes: str | None = None
    left_open: str = ""
    # processes that still run the previous generation
    lingering: tuple[LingeringProcess, ...] = ()
    # how many of its wheels were compiled on this machine, and how many on the host
    compiled: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    # whether the rollout ended before it, so that its `ending` is not known
    given_up: bool = False
    # the virtualenv as probed at the end of a deployment that succeeded
    after: Probe | None = None
    # the virtualenv as probed for its plan
    before: Probe | None = None

    @property
    def spoken(self) -> str:
        """How it ended, in words."""
        return "not finished" if self.given_up else spoken_ending(self.ending, self.undoes)


def outcome_json(deployment: Deployment) -> dict[str, Any]:
    """Convert to the JSON object of `fab deploy --json`, without the plan that was carried out."""
    return {
        "status": deployment.ending.value,
        "deployment": deployment.id,
        "done": list(deployment.done),
        "migrated": list(deployment.migrated),
        "planned": list(deployment.planned),
        "uncertain": list(deployment.uncertain),
        "unapplied": list(deployment.unapplied),
        "verdicts": [to_json(verdict) for verdict in deployment.verdicts],
        "error": str(deployment.error) if deployment.error else deployment.plan.error,
        "compiled": {"here": deployment.compiled[0], "there": deployment.compiled[1]},
        "lingering": [{"pid": one.pid, "name": one.name} for one in deployment.lingering],
        "seconds": round(deployment.seconds, 3),
    }


@dataclass(frozen=True, slots=True)
class Caller:
    """The user that deploys, and the machine that the user deploys from."""

    who: str
    origin: str

    @classmethod
    def here(cls) -> Caller:
        """Return the user of this process and this machine's name."""
        return cls(getpass.getuser(), socket.gethostname())


def new_rollout_id() -> str:
    """Return a new id, such as `20261120-214900-9f3a`: sorts by time, and is random enough for two people at once."""
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"

"""Observers of a rollout: they hear of what happens in it, and can neither fail nor delay it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from envfab.config.target import Target
from envfab.deployment.proposal import Proposal
from envfab.deployment.result import Deployment
from envfab.errors import EnvfabError
from envfab.util.progress import Reporter, Silent

# seconds for which observers together may delay the end of a rollout, and of one that was given up
PATIENCE = 2.0
HURRY = 0.5


@dataclass(frozen=True, slots=True)
class RolloutBegan:
    """A rollout begins: the proposals that it carries out are `chosen` from all the `proposals` that were made."""

    proposals: Sequence[Proposal]
    chosen: Sequence[Proposal]


@dataclass(frozen=True, slots=True)
class DeploymentBegan:
    """A deployment takes its first step."""

    deployment: str
    target: Target


@dataclass(frozen=True, slots=True)
class LockAwaited:
    """A deployment begins to wait for the virtualenv's lock, for this reason."""

    deployment: str
    target: Target
    reason: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step has ended, after so many seconds."""

    deployment: str
    target: Target
    step: str
    seconds: float
    failed: bool = False


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """A command of the fabfile, or of a project, has ended; a `status` of None means that it is not known.

    `title` is what it is for, such as `reload`. `user` is None for the user who logs in. `output` is the end of what it
    printed.
    """

    deployment: str
    target: Target
    title: str
    command: str
    user: str | None
    status: int | None
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DeploymentEnded:
    """A deployment that had begun has ended."""

    result: Deployment


@dataclass(frozen=True, slots=True)
class RolloutEnded:
    """A rollout has ended: `deployments` has a result for each proposal, also for those that were not begun.

    `failed` means that something was not deployed to that should have been. `given_up` means that a second Ctrl-C ended
    it while deployments were under way. `out_of_service` are hosts that may still be that, by name, and why they were
    not put back, where that is known.
    """

    deployments: Sequence[Deployment]
    seconds: float
    failed: bool
    given_up: bool
    out_of_service: Mapping[str, EnvfabError | None] = field(default_factory=dict)


Happening = (
    RolloutBegan | DeploymentBegan | LockAwaited | StepEnded | CommandEnded | DeploymentEnded | RolloutEnded
)  # fmt: skip


class Observer(Protocol):
    """Hears of what happens in one rollout."""

    def hear(self, what: Happening) -> None:
        """Take note, and return at once; called by several threads.

        After `RolloutEnded` only deployments that were given up may still tell something, until the program ends.
        """
        ...

    def close(self, until: float) -> None:
        """Finish what is under way, at the latest at the time `until` of the monotonic clock."""
        ...


class Observers:
    """All observers of a rollout; one that raises hears nothing more, and a warning says so."""

    def __init__(self, reporter: Reporter | None = None) -> None:
        self._observers: tuple[Observer, ...] = ()
        self._reporter = reporter or Silent()

    def add(self, observer: Observer) -> None:
        """Let it hear what happens from now on."""
        self._observers = (*self._observers, observer)

    def hear(self, what: Happening) -> None:
        """Tell all observers."""
        for one in self._observers:
            try:
                one.hear(what)
            except Exception as error:  # noqa: BLE001 - a rollout goes on without its observers
                self._drop(one, error)

    def close(self, patience: float) -> None:
        """Let all observers finish, for at most `patience` seconds."""
        until = time.monotonic() + patience
        for one in self._observers:
            try:
                one.close(until)
            except Exception as error:  # noqa: BLE001 - as above
                self._drop(one, error)

    def _drop(self, observer: Observer, error: Exception) -> None:
        self._observers = tuple(one for one in self._observers if one is not observer)
        name = type(observer).__name__
        logging.getLogger("envfab").debug("%s failed", name, exc_info=error)
        self._reporter.warning(
            f"internal error: {name} of this rollout ended: {type(error).__name__}; the rollout goes on without it"
        )

"""One deployment under way, and what it shares with the others of its rollout."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from envfab.config.settings import Settings
from envfab.config.target import Target
from envfab.deployment.barriers import Barriers
from envfab.deployment.bytecode import Compilers
from envfab.deployment.journal import Record, to_json
from envfab.deployment.proposal import Proposal
from envfab.deployment.result import Caller, now
from envfab.errors import DeploymentError, Locked
from envfab.models.probe import LingeringProcess, Probe
from envfab.planning.plan import Status
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_locked
from envfab.remote.agent_session import Session
from envfab.remote.probe import TargetSession
from envfab.util.progress import Reporter
from envfab.wheelhouse.wheelhouse import Wheelhouse


@dataclass(frozen=True, slots=True)
class RolloutContext:
    """What all deployments of a rollout share; `wait` is how many seconds a lock is waited for."""

    rollout: str
    caller: Caller
    wheelhouse: Wheelhouse
    settings: Settings
    gates: Barriers
    reporter: Reporter
    # asked where a virtualenv changed since its plan was made: the proposal to go on with, or None
    reconsider: Callable[[Proposal, Probe], Proposal | None]
    wait: float = 0.0
    # deployed to first, before all waves
    canaries: frozenset[Target] = frozenset()
    # the package index that targets fetch wheels from, with its credentials; None where they are sent from here
    wheel_source: str | None = field(default=None, repr=False)
    # what compiles for the targets on this machine
    compilers: Compilers = field(default_factory=Compilers)
    # set by a Ctrl-C: nothing new starts, and nobody waits for a lock any more
    interrupted: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class DeploymentContext:
    """One deployment under way; `record` is its open journal, once it has begun."""

    id: str
    proposal: Proposal
    site: TargetSession
    around: RolloutContext
    # where the host's own reload runs once for all of its virtualenvs, it is not this work's
    host_reload: bool = True
    going_back: bool = False
    done: list[str] = field(default_factory=list)
    migrated: list[str] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    # of the planned ones: those whose end is not known, and those that failed or were never begun
    uncertain: list[str] = field(default_factory=list)
    unapplied: list[str] = field(default_factory=list)
    record: Record | None = None
    # the records of earlier deployments, as far as going back may need them
    past: Sequence[Record] = ()
    # how many of its wheels came with bytecode, and how many were compiled on the host
    compiled_here: int = 0
    compiled_there: int = 0
    # what still runs the generation before, at the end
    lingering: tuple[LingeringProcess, ...] = ()
    # how it was found after what was changed last; None again once a command ran that may have changed it
    after: Probe | None = None

    @property
    def where(self) -> str:
        """The target, as messages name it."""
        return str(self.proposal.member.target)

    @property
    def probe(self) -> Probe:
        """The virtualenv as the plan saw it."""
        if self.proposal.probe is None:
            raise DeploymentError("nobody looked at it", where=self.where)
        return self.proposal.probe

    @property
    def composes(self) -> bool:
        """Whether a new generation is made, and not an old one made current again, nor packages left alone."""
        return bool(self.proposal.plan.actions) and self.proposal.plan.generation is None

    @property
    def next_generation(self) -> int | None:
        """The generation that is to become current, as long as it is not; None where packages stay."""
        record = self.record
        return record.generation if record is not None and record.generation != self.probe.generation else None

    @property
    def agent(self) -> Session:
        """The owner's agent; one that is started anew in the middle of a deployment takes the lock again.

        Raises `Locked` where somebody else deployed meanwhile: what was begun is theirs now.
        """
        fresh = self.site.session is None
        agent = self.site.agent()
        if fresh:
            agent.load(agent_sources.DEPLOY)
            if self.record is not None:
                found = to_locked(agent.ask("lock", holder=self.holder), self.proposal.member.target)
                journal = found.journal if found is not None else None
                if not isinstance(journal, Mapping) or journal.get("deployment") != self.id:
                    self.record = None
                    raise Locked(
                        "another deployment came in between while the host's other virtualenvs were made",
                        where=self.where,
                        hint="fab history tells which; it filed this one as interrupted",
                    )
        return agent

    @property
    def holder(self) -> dict[str, Any]:
        """What a second comer is told of this deployment."""
        caller = self.around.caller
        return {"format": 1, "who": caller.who, "from": caller.origin, "since": now(), "deployment": self.id}

    def says(self, step: str) -> None:
        """Tell that it has come to a step."""
        self.around.reporter.working(self.where, step)

    @property
    def nothing_left(self) -> bool:
        """Whether, seen under the lock, there is nothing to do after all."""
        return self.proposal.plan.status is Status.CURRENT

    def plans_migrations(self, names: Sequence[str], applied: bool = False) -> None:
        """Write into the journal, before anything is migrated, what the rollout is to apply to a database.

        With `applied` another deployment of the rollout has applied them already.
        """
        self.planned += [name for name in names if name not in self.planned]
        if not applied:
            self.uncertain += [name for name in names if name not in self.uncertain]
        if names:
            self.note_migrations()

    def note_migrations(self) -> None:
        """Write into the journal how far the migrations are."""
        if self.record is not None:
            self.come_to(self.record.step)

    def with_migrations(self, record: Record) -> Record:
        """The record with what is known of the migrations now."""
        return replace(
            record,
            migrated=tuple(self.migrated),
            planned=tuple(self.planned),
            uncertain=tuple(self.uncertain),
            unapplied=tuple(self.unapplied),
        )

    def come_to(self, step: str, wait: bool = True) -> None:
        """Write into the journal, where it is open, that `step` begins.

        Without `wait` it is written before the agent does what it is asked next, and no sooner: that is enough for what
        happens by this agent alone.
        """
        if self.record is not None:
            self.record = self.with_migrations(self.record).at(step)
            send = self.agent.ask if wait else self.agent.tell
            send("step", record=to_json(self.record))

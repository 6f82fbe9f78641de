"""The contexts that a deployment's steps work with: that of the deployment, and that of the whole rollout."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from envfab.config.settings import Settings
from envfab.config.slices import Slice
from envfab.config.target import Target
from envfab.deployment.barriers import Barriers
from envfab.deployment.compilers import Compilers
from envfab.deployment.journal import Record, to_json
from envfab.deployment.observers import Happening, Observers
from envfab.deployment.old_code import OldCode
from envfab.deployment.proposal import Proposal
from envfab.deployment.result import Caller
from envfab.errors import DeploymentError, Locked
from envfab.models.probe import LingeringProcess, Probe
from envfab.planning.migration_verdicts import Verdict
from envfab.planning.plan import Status
from envfab.remote import agent_sources
from envfab.remote.agent_session import Session
from envfab.remote.host_commands import HostCommands
from envfab.remote.probe import TargetSession
from envfab.remote.probe_replies import to_locked
from envfab.util.progress import Reporter
from envfab.util.times import now
from envfab.wheelhouse.wheelhouse import Wheelhouse


class HostService(Protocol):
    """The protocol of what takes a deployment's host out of service (`drain.HostDrain`)."""

    @property
    def is_configured(self) -> bool:
        """Whether the fabfile says how to take the host out of service."""
        ...

    def take_out(self, work: DeploymentContext) -> None:
        """Take the host out of service, unless it is; raises `EnvfabError` if that fails."""
        ...

    def was_left_out(self, work: DeploymentContext) -> None:
        """Take over from an earlier run that left the host out of service."""
        ...


@dataclass(frozen=True, slots=True)
class RolloutContext:
    """What all deployments of a rollout share; `wait` is for how many seconds to wait for a virtualenv's lock."""

    rollout: str
    caller: Caller
    wheelhouse: Wheelhouse
    settings: Settings
    gates: Barriers
    reporter: Reporter
    # called if a virtualenv changed since its plan was made: returns the proposal to continue with, or None to stop
    reconsider: Callable[[Proposal, Probe], Proposal | None]
    wait: float = 0.0
    # virtualenvs to deploy to first, before all waves
    canaries: frozenset[Target] = frozenset()
    # all that the waves are made of, if a saved plan has its own; else the waves are made of what is deployed to
    whole: Sequence[Target] = ()
    # the slice of the fleet that is deployed to
    slice: Slice | None = None
    # URL of the package index that hosts fetch wheels from, with credentials; None if this machine sends them
    wheel_source: str | None = field(default=None, repr=False)
    # the virtualenvs that run older code while a database is migrated, and whether migrations may break that
    old_code: OldCode = field(default_factory=OldCode)
    allow_breaking: bool = False
    # who approved the saved plan
    approved_by: tuple[str, ...] = ()
    # interpreters of this machine that compile bytecode for the targets
    compilers: Compilers = field(default_factory=Compilers)
    # set by Ctrl-C: no further deployment starts or waits for a lock
    interrupted: threading.Event = field(default_factory=threading.Event)
    # how commands are run on hosts apart from deployments
    host_commands: HostCommands | None = None
    # whether registrations list licences and bundled libraries
    needs_materials: bool = False
    # what hears of what happens: the rollout's log, events
    observers: Observers = field(default_factory=Observers)


@dataclass(slots=True)
class DeploymentContext:
    """One deployment under way; `record` is what its open journal holds, None before the journal is opened."""

    id: str
    proposal: Proposal
    site: TargetSession
    around: RolloutContext
    # False if the host's own reload runs once for all of its virtualenvs, and not in this deployment
    host_reload: bool = True
    # its host, if that is taken out of service meanwhile
    host_drain: HostService | None = None
    going_back: bool = False
    done: list[str] = field(default_factory=list)
    migrated: list[str] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    # planned migrations that may or may not have run, and those that failed or were never started
    uncertain: list[str] = field(default_factory=list)
    unapplied: list[str] = field(default_factory=list)
    # those of the planned migrations that break older code
    breaking: list[str] = field(default_factory=list)
    # what is wrong with the migrations that this deployment was to apply
    verdicts: list[Verdict] = field(default_factory=list)
    record: Record | None = None
    # the records of earlier deployments that a recovery may need
    past: Sequence[Record] = ()
    # how many of its wheels were sent with bytecode, and how many were compiled on the host
    compiled_here: int = 0
    compiled_there: int = 0
    # processes that still run the previous generation when the deployment ends
    lingering: tuple[LingeringProcess, ...] = ()
    # the virtualenv as probed after the last change; None once a command has run that may have changed it
    after: Probe | None = None

    @property
    def where(self) -> str:
        """The target's name in messages."""
        return str(self.proposal.member.target)

    @property
    def probe(self) -> Probe:
        """The probe that the plan was made from; raises `DeploymentError` if there is none."""
        if self.proposal.probe is None:
            raise DeploymentError("internal error: the virtualenv was not probed", where=self.where)
        return self.proposal.probe

    @property
    def composes(self) -> bool:
        """Whether the deployment composes a new generation: not if it switches to an old one or changes no package."""
        return self.proposal.composes

    @property
    def next_generation(self) -> int | None:
        """The number of the generation to switch to; None after the switch, and if packages do not change."""
        record = self.record
        return record.generation if record is not None and record.generation != self.probe.generation else None

    @property
    def agent(self) -> Session:
        """The agent that runs as the virtualenv's owner; one that is restarted during a deployment locks again.

        Raises `Locked` if another deployment began meanwhile: it has taken over what this one began.
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
                        "another deployment began while this one waited for the host's other virtualenvs",
                        where=self.where,
                        hint="fab history shows it; it recorded this deployment as interrupted",
                    )
        return agent

    @property
    def holder(self) -> dict[str, Any]:
        """The lock holder's description of this deployment, which a deployment that finds it locked is told."""
        caller = self.around.caller
        return {"format": 1, "who": caller.who, "from": caller.origin, "since": now(), "deployment": self.id}

    def says(self, step: str) -> None:
        """Report progress: the deployment has reached `step`."""
        self.around.reporter.working(self.where, step)

    def tell(self, what: Happening) -> None:
        """Tell the rollout's observers what happened."""
        self.around.observers.hear(what)

    @property
    def nothing_left(self) -> bool:
        """Whether there turned out to be nothing to do once the lock was held."""
        return self.proposal.plan.status is Status.CURRENT

    def plans_migrations(self, names: Sequence[str], applied: bool = False) -> None:
        """Write the migrations that the rollout will apply to a database into the journal, before any of them runs.

        `applied` says that another deployment of the rollout has applied them already.
        """
        self.planned += [name for name in names if name not in self.planned]
        if not applied:
            self.uncertain += [name for name in names if name not in self.uncertain]
        if names:
            self.note_migrations()

    def note_migrations(self) -> None:
        """Write the state of the migrations into the journal."""
        if self.record is not None:
            self.come_to(self.record.step)

    def with_migrations(self, record: Record) -> Record:
        """Return the record with the present state of the migrations."""
        return replace(
            record,
            migrated=tuple(self.migrated),
            planned=tuple(self.planned),
            uncertain=tuple(self.uncertain),
            unapplied=tuple(self.unapplied),
            breaking=tuple(self.breaking),
        )

    def come_to(self, step: str, wait: bool = True) -> None:
        """Write into the journal, if it is open, that `step` begins.

        Without `wait` this does not wait for the reply: the agent writes it before it handles the next request, which
        is enough for a step that only this agent carries out.
        """
        if self.record is not None:
            self.record = self.with_migrations(self.record).at(step)
            send = self.agent.ask if wait else self.agent.tell
            send("step", record=to_json(self.record))

"""The steps of a deployment, functions of its `DeploymentContext`.

`STEPS` is their order; a step that has nothing to do returns at once. An exception of a step ends the deployment, and
`Step.back` says how it recovers.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from envfab.config.command import Command
from envfab.deployment import composition
from envfab.deployment.closing import finish
from envfab.deployment.context import DeploymentContext
from envfab.deployment.django import migrate_all
from envfab.deployment.journal import (
    FAILED,
    INTERRUPTED,
    Record,
    changes,
    from_json,
    has_switched,
    readable,
    snapshot,
    to_json,
)
from envfab.deployment.observers import LockAwaited
from envfab.deployment.proposal import Proposal
from envfab.deployment.run_commands import run_all, run_one
from envfab.deployment.upload import send
from envfab.errors import DeploymentError, Locked
from envfab.models.probe import Probe
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_records
from envfab.remote.agent_session import OperationFailed
from envfab.remote.probe_replies import to_locked
from envfab.remote.process import Silence
from envfab.util.times import now

CHECK_PAUSE = 1.0
LOCK_PAUSE = 0.5


class PlanChanged(DeploymentError):
    """Raised if the virtualenv changed after its plan was made, and a new plan was not accepted."""


def lock(work: DeploymentContext) -> None:
    """Take the virtualenv's lock, and check that the virtualenv did not change after its plan was made."""
    deadline, waits = time.monotonic() + work.around.wait, False
    work.agent.load(agent_sources.DEPLOY)
    while True:
        try:
            reply = work.agent.ask("lock", holder=work.holder, known=work.proposal.plan.fingerprint)
            break
        except Locked as error:
            if time.monotonic() + LOCK_PAUSE > deadline:
                raise
            if not waits:
                work.tell(LockAwaited(work.id, work.proposal.member.target, error.what))
            waits = True
            work.says("waiting for the lock")
            if work.around.interrupted.wait(LOCK_PAUSE):
                raise
    probe = to_locked(reply, work.proposal.member.target)
    if probe is None:
        return
    again = work.around.reconsider(work.proposal, probe)
    if again is None:
        raise PlanChanged(
            "the virtualenv changed after the plan was made; nothing was done",
            where=work.where,
            hint="make a new plan: fab plan" if work.proposal.undoes is None else "try again: fab rollback",
        )
    work.proposal = again


def upload(work: DeploymentContext) -> None:
    """Send the wheels that the host lacks, and have them unpacked in its store."""
    send(work, work.proposal.wheels)


def begin(work: DeploymentContext) -> None:
    """Open the journal, with what is installed and what will change; an interrupted deployment goes to the history."""
    plan, caller, wheelhouse = work.proposal.plan, work.around.caller, work.around.wheelhouse
    probe = work.probe
    left = from_json(probe.journal, work.where) if probe.journal is not None else None
    generation, previous = _generations(work.proposal, probe, left)
    record = Record(
        rollout=work.around.rollout,
        deployment=work.id,
        who=caller.who,
        origin=caller.origin,
        began=now(),
        step="begin",
        # a recovery leads to the state before the interrupted deployment, not to what that left behind
        snapshot=left.snapshot if left and (left.changed_in_place or has_switched(left, probe)) else snapshot(probe),
        changes=changes(plan, {wheel.filename: wheelhouse.sha256(wheel) for wheel in work.proposal.wheels}),
        undoes=work.proposal.undoes,
        upgrade=plan.upgrade,
        generation=generation,
        previous=previous,
        slice=str(work.around.slice) if work.around.slice is not None else None,
        plan=work.proposal.saved,
        approved_by=work.around.approved_by,
    )
    ended = to_json(_ended(left)) if left else None
    reply = work.agent.ask("begin", record=to_json(record), interrupted=ended, limit=work.around.settings.keep)
    # set before older records are read, which may be invalid: the journal is open from here on
    work.record = record
    if probe.drained is not None and work.host_drain is not None:
        work.host_drain.was_left_out(work)
    work.past = readable(to_records(reply, work.where))


def _generations(proposal: Proposal, probe: Probe, left: Record | None) -> tuple[int | None, int | None]:
    """(the generation to make current, the one to recover to); both None if packages do not change.

    A deployment that was interrupted after its switch is finished by this one, which then recovers to its previous
    generation.
    """
    plan, current = proposal.plan, probe.generation
    switched = left is not None and has_switched(left, probe)
    if plan.generation is not None and plan.generation != current:
        return plan.generation, current
    if proposal.composes:
        if current is None or probe.plain:
            return probe.next_generation + 1, probe.next_generation
        return probe.next_generation, left.previous if left is not None and switched else current
    if left is not None and switched and left.previous is not None:
        return current, left.previous
    return None, None


def _ended(left: Record) -> Record:
    """A journal's record for the history: `failed` if the deployment recorded its failure, else `interrupted`."""
    return left if left.status == FAILED else replace(left, ended=now(), status=INTERRUPTED)


def compose(work: DeploymentContext) -> None:
    """Compose the next generation beside the current one, and check that it breaks no requirements."""
    record = work.record
    if record is None:
        return
    composition.take_back_interrupted(work)
    if work.next_generation is None:
        return
    if work.composes:
        composition.compose(work, record)
    work.after = composition.inspect(work, record, work.probe)
    composition.require_consistent(work, work.probe, work.after)


def verify(work: DeploymentContext) -> None:
    """Check that new files match their RECORD, and run the fabfile's `smoke` commands."""
    if work.record is not None and work.record.generation is not None:
        composition.require_intact(work, work.record)
    commands = work.proposal.member.virtualenv.commands("smoke")
    run_all(work, "smoke", tuple(_by_generation(work, command) for command in commands))


def _by_generation(work: DeploymentContext, command: Command) -> Command:
    """A command of the fabfile, with the programs of the next generation instead of the current one's."""
    number, path = work.next_generation, work.proposal.member.virtualenv.path
    if number is None:
        return command
    now, then = f"{path}/bin/", f"{path}/.envfab/generations/{number}/bin/"
    if command.arguments is not None:
        return replace(command, text=[argument.replace(now, then) for argument in command.arguments])
    text = command.shown.replace(now, then)
    return replace(command, text=f"PATH={shlex.quote(then.rstrip('/'))}:$PATH; export PATH; {text}")


def before(work: DeploymentContext) -> None:
    """Run the fabfile's `before` commands, which come before migrations and the switch."""
    run_all(work, "before", work.proposal.member.virtualenv.commands("before"))


def migrate(work: DeploymentContext) -> None:
    """Bring each project's database up to date, once a database, and run the projects' own commands."""
    migrate_all(work)


def drain(work: DeploymentContext) -> None:
    """Take the host out of service, unless another of its virtualenvs has done that."""
    if work.host_drain is not None and work.host_drain.is_configured:
        work.host_drain.take_out(work)


def switch(work: DeploymentContext) -> None:
    """Make the new generation current."""
    if work.record is not None and work.next_generation is not None:
        work.agent.load(agent_sources.GENERATIONS)
        virtualenv = work.proposal.member.virtualenv
        ran = work.composes and bool(virtualenv.smoke or virtualenv.before or virtualenv.projects)
        work.agent.ask("switch", number=work.next_generation, base=work.record.previous, ran=ran)


def reload(work: DeploymentContext) -> None:
    """Reload the services that use the virtualenv."""
    member = work.proposal.member
    run_all(work, "reload", member.virtualenv.commands("reload"))
    # a host that reloads once for all of its virtualenvs does that later; a recovery has to do it here
    if work.host_reload or work.going_back:
        run_all(work, "reload", member.host.reload_commands(member.virtualenv))


def check(work: DeploymentContext) -> None:
    """Run the fabfile's `check` commands, each until it succeeds, or `check_timeout` or `check_retries` is used up."""
    settings = work.around.settings
    for command in work.proposal.member.virtualenv.commands("check"):
        deadline = time.monotonic() + settings.check_timeout
        for attempt in range(settings.check_retries + 1):
            work.says(f"checking ({attempt + 1})" if attempt else "checking")
            left = deadline - time.monotonic()
            try:
                status, output = run_one(work, "check", command, max(left, 1.0))
            except Silence as error:
                status, output = None, error.output
            if status == 0:
                break
            if attempt == settings.check_retries or deadline - time.monotonic() < CHECK_PAUSE:
                ending = f"ended with status {status}"
                if status is None:
                    ending = f"did not end within the check_timeout of {settings.check_timeout:g} s"
                raise OperationFailed(
                    f"the check {command.shown!r} {ending}" + (f" ({attempt + 1} tries)" if attempt else ""),
                    where=work.where,
                    kind="check",
                    output=output,
                )
            time.sleep(CHECK_PAUSE)


class Recovery(Enum):
    """The recovery that a failing step asks for."""

    NOTHING = "nothing was changed"
    PACKAGES = "the new generation is removed"
    PACKAGES_AND_RELOAD = "the previous generation becomes current again, and what uses it is reloaded"


def _always(_work: DeploymentContext) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """A step: what it does, and the recovery that its failure asks for.

    It is written into the journal if there is something `to_do`. A step that is `by_agent` changes the host only by
    requests to the virtualenv's agent.
    """

    name: str
    run: Callable[[DeploymentContext], None]
    back: Recovery
    to_do: Callable[[DeploymentContext], bool] = _always
    by_agent: bool = False

    def begin(self, work: DeploymentContext) -> None:
        """Write into the journal that it begins."""
        if self.to_do(work):
            work.come_to(self.name, wait=not self.by_agent)


def _reloads(work: DeploymentContext) -> bool:
    member = work.proposal.member
    return bool(member.virtualenv.reload or member.host.reload)


def _drains(work: DeploymentContext) -> bool:
    return work.host_drain is not None and work.host_drain.is_configured


# the steps before the reload that a host's virtualenvs may share
MAKING = (
    Step("lock", lock, Recovery.NOTHING),
    Step("upload", upload, Recovery.NOTHING),
    Step("begin", begin, Recovery.NOTHING),
    Step("compose", compose, Recovery.PACKAGES, by_agent=True),
    Step("verify", verify, Recovery.PACKAGES, by_agent=True),
    Step("before", before, Recovery.PACKAGES, to_do=lambda work: bool(work.proposal.member.virtualenv.before)),
    Step("migrate", migrate, Recovery.PACKAGES, to_do=lambda work: bool(work.proposal.member.virtualenv.projects)),
    Step("drain", drain, Recovery.PACKAGES, to_do=_drains),
    Step("switch", switch, Recovery.PACKAGES, by_agent=True),
    Step("reload", reload, Recovery.PACKAGES_AND_RELOAD, to_do=_reloads),
)
ENDING = (
    Step(
        "check",
        check,
        Recovery.PACKAGES_AND_RELOAD,
        to_do=lambda work: bool(work.proposal.member.virtualenv.check),
    ),
    Step("finish", finish, Recovery.NOTHING, by_agent=True),
)
STEPS = MAKING + ENDING

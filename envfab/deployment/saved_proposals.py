"""Proposals that carry out a saved plan: as it was saved, or what an interrupted deployment has left of it to do."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.deployment.host_checks import checked_on_host
from envfab.deployment.journal import DEPLOYED, Record, from_json, has_switched, snapshot
from envfab.deployment.notes import out_of_service, past, spoken
from envfab.deployment.proposal import Proposal
from envfab.deployment.proposal_work import NOTHING_REQUIRED, ProposalWork
from envfab.deployment.propose import Proposals, WheelFiles
from envfab.errors import DeploymentError, EnvfabError, FormatError, UsageError
from envfab.models.probe import Probe
from envfab.planning.plan import ActionKind, Plan, Status, status_without
from envfab.planning.plan_json import plan_digest
from envfab.remote.probe import Links, ProbeResult, TargetSession
from envfab.remote.probe_processes import probe_in_processes
from envfab.util.progress import Reporter
from envfab.wheelhouse.wheelhouse import Wheelhouse


class SavedProposals:
    """Makes the proposals of a saved plan. Thread-safe.

    `force` lets the plans break packages outside of the requirements, as if they had been saved so. With `commands`,
    those of the fabfile must be these. `targets` are all of the fabfile.
    """

    def __init__(
        self,
        plans: Mapping[Target, Plan],
        targets: Container[Target],
        wheelhouse: Wheelhouse,
        force: bool = False,
        commands: Mapping[Target, Sequence[tuple[str, str]]] | None = None,
    ) -> None:
        self._plans = plans
        self._targets = targets
        self._wheelhouse = wheelhouse
        self._files = WheelFiles(wheelhouse)
        self._force = force
        self._commands = commands

    @contextmanager
    def propose(
        self, members: Sequence[Member], links: Links, settings: Settings, reporter: Reporter
    ) -> Iterator[Proposals]:
        """Probe `members` and yield their saved plans; those that cannot be carried out any more are blocked.

        Raises `UsageError` if the saved plans are for none of `members`.
        """
        work, planned = ProposalWork(self._look), self._planned(members, reporter)
        with probe_in_processes(planned, links, settings, reporter, work) as arrivals:
            yield Proposals(arrivals, lambda _all: None)

    def _planned(self, members: Sequence[Member], reporter: Reporter) -> list[Member]:
        """The members that have a plan, with a warning about plans left over; raises `UsageError` if there are none."""
        chosen = [member for member in members if member.target in self._plans]
        if not chosen:
            raise UsageError(
                "the saved plan has none of the selected virtualenvs", hint="fab plan --out FILE makes a new plan"
            )
        left_out = self._plans.keys() - {member.target for member in members}
        for known, reason in ((True, "not selected"), (False, "not in the fabfile any more")):
            names = sorted(str(target) for target in left_out if (target in self._targets) == known)
            if names:
                reporter.warning(f"in the saved plan, but {reason}: {', '.join(names)}")
        return chosen

    def _look(self, found: ProbeResult) -> Proposal:
        if found.error is None and found.probe is not None and found.site is not None:
            return self.proposal(found.site, found.probe)
        lost = Plan(found.member.target, status_without(found.error), error=str(found.error))
        return Proposal(found.member, NOTHING_REQUIRED, lost, error=found.error)

    def proposal(self, site: TargetSession, probe: Probe) -> Proposal:
        """Return the proposal for a probed virtualenv; it is blocked if that or one of its wheels has changed."""
        saved = self._plans[site.member.target]
        plan = replace(saved, force=saved.force or self._force)
        proposal = Proposal(site.member, NOTHING_REQUIRED, plan, site, probe, saved=plan_digest(saved))
        if plan.status is not Status.CHANGES:
            return proposal
        try:
            proposal = replace(proposal, plan=remaining(plan, plan_digest(saved), probe))
            self._files.verify(proposal)
            return self._with_same_commands(checked_on_host(proposal, self._wheelhouse))
        except EnvfabError as error:
            return proposal.blocked(error)

    def _with_same_commands(self, proposal: Proposal) -> Proposal:
        """The proposal; raises `DeploymentError` if the fabfile's commands are not those of the saved plan."""
        target = proposal.member.target
        if self._commands is None or proposal.plan.status is not Status.CHANGES:
            return proposal
        why = _difference(self._commands[target], proposal.commands)
        if why is not None:
            hint = "make a new plan, and have it approved: fab plan --out FILE"
            raise DeploymentError(why, where=str(target), hint=hint)
        return proposal


def _difference(approved: Sequence[tuple[str, str]], present: Sequence[tuple[str, str]]) -> str | None:
    """How the fabfile's commands differ from those that were approved; None if they do not."""
    for field, shown in approved:
        if (field, shown) not in present:
            return f"the {field} command {shown!r} was approved, and is not in the fabfile any more"
    for field, shown in present:
        if (field, shown) not in approved:
            return f"the {field} command {shown!r} is in the fabfile, and was not approved"
    return None if tuple(approved) == tuple(present) else "the fabfile has its commands in another order than approved"


def remaining(plan: Plan, digest: str, probe: Probe) -> Plan:
    """Return what is left to do of a plan with changes: all of it, if the virtualenv is as it was planned for.

    What was carried out or begun under the `digest` of this very plan counts as done: so whoever was cut off runs the
    same command again, from any machine. While another deployment is under way the plan stays as it is, since the
    lock decides. Raises `DeploymentError` if the virtualenv has changed otherwise.
    """
    if probe.fingerprint == plan.fingerprint or probe.holder is not None:
        return plan
    as_it_is = replace(plan, fingerprint=probe.fingerprint)
    left = from_json(probe.journal, str(plan.target)) if probe.journal is not None else None
    if left is not None and left.plan == digest:
        as_it_is = replace(as_it_is, notes=past(probe, left))
        if has_switched(left, probe) and _is_as_planned(plan, probe):
            return replace(as_it_is, actions=())
        if not has_switched(left, probe) and left.snapshot == snapshot(probe):
            return as_it_is
    last = _last(probe) if left is None else None
    if last is not None and last.plan == digest and last.status == DEPLOYED and _is_as_planned(plan, probe):
        note = f"this plan was carried out by deployment {last.deployment}, {spoken(last.ended or last.began)}"
        # it has to put its host back, if it was cut off before that
        status = Status.CURRENT if probe.drained is None else Status.CHANGES
        return replace(as_it_is, status=status, actions=(), notes=(*out_of_service(probe), note))
    raise DeploymentError(
        "the virtualenv changed after the plan was saved; nothing was done",
        where=str(plan.target),
        hint="make a new plan: fab plan --out FILE",
    )


def _last(probe: Probe) -> Record | None:
    """The last deployment that ended; None if there is none that can be read."""
    try:
        return from_json(probe.last, str(probe.target), "history") if probe.last is not None else None
    except FormatError:
        return None


def _is_as_planned(plan: Plan, probe: Probe) -> bool:
    """Whether each package that the plan changes is what the plan makes of it."""
    for action in plan.actions:
        there = probe.distributions.get(action.name)
        expected = None if action.kind is ActionKind.REMOVE else action.version
        if (there.version if there else None) != expected:
            return False
    return True

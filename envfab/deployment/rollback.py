"""Rollbacks: proposals that restore what was installed before a deployment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from envfab.config.settings import Settings
from envfab.config.target import Member
from envfab.deployment.host_checks import checked_on_host
from envfab.deployment.journal import Record, from_json, open_record
from envfab.deployment.notes import changed_by_hand, past
from envfab.deployment.proposal import Proposal, damaged_by, finder
from envfab.deployment.proposal_work import NOTHING_REQUIRED, ProposalWork
from envfab.deployment.propose import Proposals
from envfab.deployment.recovery import before
from envfab.errors import EnvfabError, UsageError
from envfab.models.probe import Probe
from envfab.planning.plan import Missing, Plan, Status, status_without
from envfab.planning.rollback import restoring, switching
from envfab.remote import agent_sources
from envfab.remote.agent_replies import MAX_RECORDS, to_records, to_whole
from envfab.remote.drift import drift_by_stat
from envfab.remote.probe import Links, ProbeResult, TargetSession, probe_all
from envfab.remote.probe_processes import probe_in_processes
from envfab.remote.result_queue import ResultQueue
from envfab.util.progress import Reporter
from envfab.wheelhouse.wheelhouse import Wheelhouse


@contextmanager
def histories(
    members: Sequence[Member], links: Links, settings: Settings, reporter: Reporter
) -> Iterator[ResultQueue[tuple[ProbeResult, list[Record]]]]:
    """Probe the members and yield each one's deployments, oldest first, with one whose journal is open at the end.

    A member that could not be probed has none.
    """
    with probe_all(
        members,
        links,
        settings,
        reporter,
        look=lambda found: (found, _all_records(found)),
    ) as arrivals:
        yield arrivals


def _records(found: ProbeResult) -> list[Record]:
    return read_history(found.site) if found.site is not None and found.error is None else []


def _all_records(found: ProbeResult) -> list[Record]:
    """The history, and the deployment whose journal is open, with its present status."""
    records = _records(found)
    left = open_record(found.probe, str(found.member.target)) if found.probe is not None else None
    # it may have ended, and be in the history, if that was read later than the probe was made
    if left is not None and all(record.deployment != left.deployment for record in records):
        records.append(left)
    return records


def read_history(site: TargetSession) -> list[Record]:
    """Read a virtualenv's history, oldest record first.

    Raises `FormatError` if a record cannot be read, for example because a newer envfab wrote it.
    """
    agent = site.agent()
    agent.load(agent_sources.HISTORY)
    where = str(site.member.target)
    records = to_records(agent.ask("history", limit=MAX_RECORDS), where)
    return [from_json(record, where, "history") for record in records]


@contextmanager
def propose_undo(
    members: Sequence[Member],
    links: Links,
    wheelhouse: Wheelhouse,
    settings: Settings,
    reporter: Reporter,
    to: str | None,
) -> Iterator[Proposals]:
    """Probe the members and propose for each the state before the deployment or rollout `to`.

    Without `to`, the state before the last deployment. Raises `UsageError` if no member has a deployment `to`.
    """

    def refuse(proposals: Sequence[Proposal]) -> None:
        if to and all(proposal.undoes is None for proposal in proposals):
            raise UsageError(f"no virtualenv has a deployment or rollout {to!r}", hint="fab history lists them")

    work = ProposalWork(lambda found: undo(found, _records(found), wheelhouse, to))
    with probe_in_processes(members, links, settings, reporter, work) as arrivals:
        yield Proposals(arrivals, refuse)


def undo(found: ProbeResult, records: Sequence[Record], wheelhouse: Wheelhouse, to: str | None) -> Proposal:
    """Propose the rollback of one virtualenv; errors make a blocked, unreachable or missing proposal."""
    target = found.member.target
    if found.error is not None or found.probe is None or found.site is None:
        lost = Plan(target, status_without(found.error), error=str(found.error))
        return Proposal(found.member, NOTHING_REQUIRED, lost, error=found.error)
    try:
        return checked_on_host(undo_one(found.site, found.probe, records, wheelhouse, to), wheelhouse)
    except EnvfabError as error:
        blocked = Plan(target, Status.BLOCKED, str(found.probe.interpreter.version), error=str(error))
        return Proposal(found.member, NOTHING_REQUIRED, blocked, found.site, found.probe, error=error)


def undo_one(
    site: TargetSession, probe: Probe, records: Sequence[Record], wheelhouse: Wheelhouse, to: str | None
) -> Proposal:
    """Plan the rollback of one virtualenv; `current` with a warning if there is no deployment to roll back.

    Raises `EnvfabError` if the virtualenv cannot be asked or its journal cannot be read.
    """
    left = from_json(probe.journal, str(probe.target)) if probe.journal is not None else None
    if left is not None and to in (None, left.deployment, left.rollout):
        chosen: Record | None = left
    elif to is not None:
        chosen = next((record for record in records if to in (record.deployment, record.rollout)), None)
    else:
        chosen = next((record for record in standing(records) if _leads_elsewhere(record, probe)), None)
    plan = Plan(
        probe.target,
        Status.CURRENT,
        str(probe.interpreter.version),
        fingerprint=probe.fingerprint,
        notes=past(probe, left),
    )
    proposal = Proposal(site.member, NOTHING_REQUIRED, plan, site, probe)
    if chosen is None:
        if to is not None:
            return replace(proposal, plan=replace(plan, notes=(*plan.notes, f"{to} changed nothing here")))
        return replace(proposal, plan=replace(plan, warnings=("there is no deployment to roll back",)))
    # names the rollout, not the deployment, since virtualenvs with equal plans are shown together
    note = f"back to before {chosen.rollout} by {chosen.who}"
    plan = replace(plan, notes=(*plan.notes, note), warnings=_stay_applied(records, left, chosen))
    if _is_kept(chosen, probe, site):
        actions = switching(probe.distributions, before(chosen))
        plan = replace(plan, actions=actions, generation=chosen.previous)
    else:
        why = _why_by_wheels(chosen, probe, site)
        plan = _by_wheels(replace(proposal, plan=plan), chosen, left, wheelhouse, why)
        if plan.actions:
            plan = replace(plan, notes=(*plan.notes, f"{why}: packages come from wheels again"))
    status = Status.BLOCKED if plan.missing else Status.CHANGES if plan.actions or left else Status.CURRENT
    drift = drift_by_stat(site, probe)
    plan = replace(plan, status=status, notes=(*plan.notes, *changed_by_hand(drift, plan)))
    return replace(proposal, plan=plan, undoes=chosen.deployment, drift=drift)


def _is_kept(chosen: Record, probe: Probe, site: TargetSession) -> bool:
    """Whether the generation that a deployment replaced still exists, unchanged, with the versions of the snapshot.

    If the virtualenv was released and got generations again, other generations have the same numbers.
    """
    if chosen.previous is None or chosen.previous not in probe.generations or probe.plain:
        return False
    if chosen.previous == probe.generation:
        return not _leads_elsewhere(chosen, probe)
    agent = site.agent()
    agent.load(agent_sources.DEPLOY)
    agent.load(agent_sources.GENERATIONS)
    where = str(site.member.target)
    asked = [chosen.previous]
    versions = {name: version for name, (_, version) in before(chosen).items()}
    return chosen.previous in to_whole(agent.ask("whole", numbers=asked, versions=versions), where, asked)


def _why_by_wheels(chosen: Record, probe: Probe, site: TargetSession) -> str:
    """Why the generation that a deployment replaced cannot just become current again."""
    number, where = chosen.previous, str(site.member.target)
    if number is None or probe.plain or number not in probe.generations:
        return "its generation was removed"
    if number == probe.generation:
        return f"packages of generation {number}, which is current, were changed since"
    # without versions: a virtualenv that was released begins again with 0
    reply = site.agent().ask("whole", numbers=[number])
    if number in to_whole(reply, where, [number]):
        return "its generation was removed"
    if number in to_whole(reply, where, [number], "unrecorded"):
        return f"nothing tells how generation {number} was left"
    return f"files of generation {number} were changed since"


def _by_wheels(proposal: Proposal, chosen: Record, left: Record | None, wheelhouse: Wheelhouse, why_so: str) -> Plan:
    """The plan that composes the packages of before a deployment again, from wheels of the wheelhouse."""
    site, probe = proposal.site, proposal.probe
    if site is None or probe is None:
        return proposal.plan
    damaged = damaged_by(left, site) if left is not None and left.changed_in_place else frozenset()
    actions, lost = restoring(probe.distributions, before(chosen), finder(site, probe, wheelhouse), damaged)
    why = f"{why_so}, and the wheelhouse has no wheel of it"
    missing = tuple(Missing(name, f"the state before {chosen.deployment}", why) for name in lost)
    return replace(proposal.plan, actions=actions, missing=missing)


def _stay_applied(records: Sequence[Record], left: Record | None, chosen: Record) -> tuple[str, ...]:
    """Warnings that name the migrations which the older packages may not know: a rollback does not undo migrations."""
    start = next((at for at, record in enumerate(records) if record.deployment == chosen.deployment), len(records))
    crossed = [*records[start:], *([left] if left else [])]
    applied = dict.fromkeys(name for record in crossed for name in record.applied)
    uncertain = dict.fromkeys(name for record in crossed for name in record.uncertain if name not in applied)
    warnings = []
    if applied:
        warnings.append(f"a rollback does not undo migrations; these stay applied: {', '.join(applied)}")
    breaking = dict.fromkeys(name for record in crossed for name in record.breaking if name in applied)
    if breaking:
        warnings.append(f"older code fails on the database, or may fail, because of {', '.join(breaking)}")
    if uncertain:
        warnings.append(f"migrations that may or may not have run: {', '.join(uncertain)}")
    return tuple(warnings)


def _leads_elsewhere(record: Record, probe: Probe) -> bool:
    """Whether the versions before that deployment differ from those installed now: not if it only repaired."""
    then = {name: version for name, (_, version) in before(record).items()}
    return then != {name: there.version_text for name, there in probe.distributions.items()}


def standing(records: Sequence[Record]) -> Iterator[Record]:
    """Yield the successful deployments that were not rolled back, newest first."""
    skip_to: str | None = None
    for record in reversed(records):
        if skip_to is not None:
            skip_to = None if record.deployment == skip_to else skip_to
        elif record.status == "deployed":
            if record.undoes is None:
                yield record
            else:
                skip_to = record.undoes

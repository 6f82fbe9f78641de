"""Repairs of virtualenvs: proposals that bring back what the last deployment left, from wheels of the wheelhouse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from packaging.utils import NormalizedName, canonicalize_name

from envfab.config.settings import Settings
from envfab.config.target import Member
from envfab.deployment.host_checks import checked_on_host
from envfab.deployment.journal import from_json
from envfab.deployment.notes import first_of, past
from envfab.deployment.proposal import DriftRepair, Proposal, finder
from envfab.deployment.proposal_work import NOTHING_REQUIRED, ProposalWork
from envfab.deployment.propose import Proposals
from envfab.errors import EnvfabError
from envfab.models.drift import Drift, FileChangeKind
from envfab.models.probe import Probe
from envfab.planning.plan import Action, Missing, Plan, Status, status_without
from envfab.planning.rollback import restoring
from envfab.remote.drift import drift_by_content
from envfab.remote.probe import Links, ProbeResult, TargetSession
from envfab.remote.probe_processes import probe_in_processes
from envfab.util.progress import Reporter
from envfab.wheelhouse.wheelhouse import Wheelhouse

NOT_KNOWN = "it is not known what was deployed: fab deploy --reinstall NAME installs a package again"


@contextmanager
def propose_repairs(
    members: Sequence[Member], links: Links, wheelhouse: Wheelhouse, settings: Settings, reporter: Reporter
) -> Iterator[Proposals]:
    """Probe the members, compare each with what was deployed, and propose what brings that back."""
    work = ProposalWork(lambda found: repair(found, wheelhouse))
    with probe_in_processes(members, links, settings, reporter, work) as arrivals:
        yield Proposals(arrivals, lambda _all: None)


def repair(found: ProbeResult, wheelhouse: Wheelhouse) -> Proposal:
    """Propose the repair of one virtualenv; errors make a blocked, unreachable or missing proposal."""
    target = found.member.target
    if found.error is not None or found.probe is None or found.site is None:
        lost = Plan(target, status_without(found.error), error=str(found.error))
        return Proposal(found.member, NOTHING_REQUIRED, lost, error=found.error)
    try:
        return checked_on_host(repair_one(found.site, found.probe, wheelhouse), wheelhouse)
    except EnvfabError as error:
        blocked = Plan(target, Status.BLOCKED, str(found.probe.interpreter.version), error=str(error))
        return Proposal(found.member, NOTHING_REQUIRED, blocked, found.site, found.probe, error=error)


def repair_one(site: TargetSession, probe: Probe, wheelhouse: Wheelhouse) -> Proposal:
    """Plan the repair of one virtualenv; `current` if nothing differs, or if it is not known what was deployed.

    Raises `EnvfabError` if the virtualenv cannot be asked or its journal cannot be read.
    """
    left = from_json(probe.journal, str(probe.target)) if probe.journal is not None else None
    drift = drift_by_content(site)
    plan = Plan(
        probe.target,
        Status.CURRENT,
        str(probe.interpreter.version),
        fingerprint=probe.fingerprint,
        notes=past(probe, left),
        warnings=(NOT_KNOWN,) if drift is None else (),
    )
    proposal = Proposal(site.member, NOTHING_REQUIRED, plan, site, probe, drift=drift)
    if not drift:
        return proposal
    actions, lost = _actions(drift, site, probe, wheelhouse)
    repair = DriftRepair(tuple(file.path for file in drift.files if file.kind is FileChangeKind.ADDED))
    plan = replace(
        plan,
        actions=actions,
        missing=tuple(Missing(name, "the last deployment", "the wheelhouse has no wheel of it") for name in lost),
        notes=(*plan.notes, *_notes(drift, repair)),
        warnings=_not_repaired(drift),
    )
    status = Status.BLOCKED if lost else Status.CHANGES if actions or repair.drop else Status.CURRENT
    return replace(proposal, plan=replace(plan, status=status), repair=repair)


def _actions(
    drift: Drift, site: TargetSession, probe: Probe, wheelhouse: Wheelhouse
) -> tuple[tuple[Action, ...], tuple[str, ...]]:
    """The actions that bring back the packages that were deployed, and what has no wheel, such as `Django 5.1.3`."""
    deployed = {name: (one.shown_as, one.version_text) for name, one in probe.distributions.items()}
    unsound: set[NormalizedName] = set()
    for package in drift.packages:
        name = canonicalize_name(package.name)
        unsound.add(name)
        deployed.pop(name, None)
        if package.before is not None:
            deployed[name] = (package.name, package.before)
    for file in drift.files:
        if file.owner is not None and file.kind is not FileChangeKind.ADDED:
            unsound.add(canonicalize_name(file.owner))
    actions, lost = restoring(probe.distributions, deployed, finder(site, probe, wheelhouse), unsound)
    return tuple(replace(action, reason=_reason(action)) for action in actions), lost


def _reason(action: Action) -> str:
    return "as it was deployed" if action.wheel else "it was not deployed"


def _notes(drift: Drift, repair: DriftRepair) -> tuple[str, ...]:
    changed = [file.path for file in drift.files if file.kind is not FileChangeKind.ADDED and file.owner is not None]
    notes = [(f"brings back {first_of(changed)}", changed), (f"removes {first_of(repair.drop)}", repair.drop)]
    return tuple(note for note, files in notes if files)


def _not_repaired(drift: Drift) -> tuple[str, ...]:
    """A warning that names the files which no wheel has; nothing if there are none."""
    files = [file.path for file in drift.files if file.owner is None and file.kind is not FileChangeKind.ADDED]
    if not files:
        return ()
    return (f"belongs to no package, so that no wheel brings it back: {first_of(files)}",)

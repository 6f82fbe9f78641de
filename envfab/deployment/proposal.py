"""Proposals: the plan of one virtualenv, together with the open session to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.config.target import Member
from envfab.deployment.journal import Record, from_json
from envfab.deployment.notes import changed_by_hand, first_time, out_of_service, past
from envfab.errors import EnvfabError, UsageError
from envfab.models.drift import Drift
from envfab.models.drift import to_json as drift_json
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel
from envfab.planning.catalogue import Catalogue
from envfab.planning.lookup import wheel_of
from envfab.planning.plan import Plan, Status
from envfab.planning.plan_cache import Plans
from envfab.planning.plan_json import to_json
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_damage
from envfab.remote.drift import drift_by_stat
from envfab.remote.probe import TargetSession


@dataclass(frozen=True, slots=True)
class DriftRepair:
    """What a repair does beside its plan: `drop` are paths of files that the next generation is not to have.

    Its wheels are unpacked again if one of their files was changed in the store, by whatever edit.
    """

    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A virtualenv and its plan; `site` is None if the virtualenv could not be reached."""

    member: Member
    requirements: Requirements
    plan: Plan
    site: TargetSession | None = None
    probe: Probe | None = None
    error: EnvfabError | None = None
    # the id of the deployment that this one takes back, if it is a rollback
    undoes: str | None = None
    # the digest of the saved plan that it carries out
    saved: str | None = None
    # (field, text for people) of the commands that the fabfile has for a deployment
    commands: tuple[tuple[str, str], ...] = ()
    # set if this repairs what was changed by hand
    repair: DriftRepair | None = None
    # what was changed since the last deployment, by stat alone; None if nothing tells what was deployed
    drift: Drift | None = None

    @property
    def has_work(self) -> bool:
        """Whether a deployment may follow."""
        return self.plan.status is Status.CHANGES

    def blocked(self, error: EnvfabError) -> Proposal:
        """Return the proposal, blocked for the reason that an error gives."""
        return replace(self, error=error, plan=replace(self.plan, status=Status.BLOCKED, error=str(error)))

    @property
    def composes(self) -> bool:
        """Whether it makes a new generation: not if it switches to an old one or changes nothing in the packages."""
        return bool(self.plan.actions or (self.repair and self.repair.drop)) and self.plan.generation is None

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """The wheels that the host needs to carry out the plan."""
        return tuple(action.wheel for action in self.plan.actions if action.wheel)


def proposal_json(proposal: Proposal) -> dict[str, Any]:
    """Convert a proposal to the JSON object of `fab plan --json`."""
    document = to_json(proposal.plan)
    document["digest"] = proposal.probe.digest if proposal.probe is not None else None
    document["drift"] = drift_json(proposal.drift) if proposal.drift is not None else None
    if proposal.plan.status is Status.CHANGES:
        document["commands"] = [{"of": field, "command": shown} for field, shown in proposal.commands]
    return document


def propose_one(site: TargetSession, probe: Probe, requirements: Requirements, plans: Plans) -> Proposal:
    """Plan one virtualenv; errors make a blocked proposal.

    If a deployment was interrupted, the packages that it was changing are verified. A virtualenv with an interrupted
    deployment, or with one under way, is never `current`, since a deployment has to end it; nor is one whose host is
    still out of service.
    """
    try:
        left = from_json(probe.journal, str(probe.target)) if probe.journal is not None else None
        if left is not None and left.changed_in_place:
            again = plans.options.reinstall | damaged_by(left, site)
            plans = Plans(plans.catalogue, replace(plans.options, reinstall=again), plans.hashes)
        probe, made = _planned(site, probe, requirements, plans)
        unfinished = left is not None or probe.holder is not None or probe.drained is not None
        if unfinished and made.status is Status.CURRENT:
            made = replace(made, status=Status.CHANGES)
        # takes a stat of each file, which a deployment that changes nothing there does not need
        drift = drift_by_stat(site, probe) if made.actions or plans.options.drift else None
        changed = changed_by_hand(drift, made)
        notes = (*past(probe, left, made.status), *changed, *first_time(probe, made), *plans.oddities(probe))
        return Proposal(site.member, requirements, replace(made, notes=notes), site, probe, drift=drift)
    except UsageError as error:
        # `--only NAME`, and this virtualenv neither has nor requires NAME, though others may
        untouched = Plan(probe.target, Status.CURRENT, str(probe.interpreter.version), fingerprint=probe.fingerprint)
        return Proposal(site.member, requirements, untouched, site, probe, error=error)
    except EnvfabError as error:
        notes = out_of_service(probe, Status.BLOCKED)
        blocked = Plan(probe.target, Status.BLOCKED, str(probe.interpreter.version), error=str(error), notes=notes)
        return Proposal(site.member, requirements, blocked, site, probe, error=error)


def _planned(site: TargetSession, probe: Probe, requirements: Requirements, plans: Plans) -> tuple[Probe, Plan]:
    """The plan, and the probe that it was made from; the agent is asked for tags only if the plan depends on them."""
    if probe.interpreter.tags is None:
        made = plans.plan_without_tags(probe, requirements)
        if made is not None:
            return probe, made
        probe = replace(probe, interpreter=probe.interpreter.with_tags(site.tags()))
    return probe, plans.plan(probe, requirements)


def damaged_by(left: Record, site: TargetSession) -> frozenset[NormalizedName]:
    """Return the packages of an interrupted deployment whose installed files do not match their RECORD."""
    agent = site.agent()
    agent.load(agent_sources.DEPLOY)
    names = sorted(left.touched)
    return frozenset(to_damage(agent.ask("verify", names=names, number=None), str(site.member.target), names))


def finder(
    site: TargetSession, probe: Probe, wheelhouse: Catalogue
) -> Callable[[NormalizedName, Version], Wheel | None]:
    """Return a function that finds the best wheel of one version in the wheelhouse, or None."""

    @cache
    def interpreter() -> Interpreter:
        known = probe.interpreter
        return known if known.tags is not None else known.with_tags(site.tags())

    return lambda name, version: wheel_of(name, version, interpreter(), wheelhouse)

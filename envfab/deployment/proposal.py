"""Proposals: the plan of one virtualenv, together with the open session to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.config.target import Member
from envfab.deployment.journal import Record, from_json
from envfab.deployment.notes import first_time, past
from envfab.errors import EnvfabError, UsageError
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel
from envfab.planning.candidates import TagsNeeded
from envfab.planning.catalogue import Catalogue
from envfab.planning.lookup import wheel_of
from envfab.planning.plan import Plan, Status
from envfab.planning.plan_cache import Plans
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_damage
from envfab.remote.probe import TargetSession


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
    # (field, text for people) of the commands that the fabfile has for a deployment
    commands: tuple[tuple[str, str], ...] = ()

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """The wheels that the host needs to carry out the plan."""
        return tuple(action.wheel for action in self.plan.actions if action.wheel)


def propose_one(site: TargetSession, probe: Probe, requirements: Requirements, plans: Plans) -> Proposal:
    """The plan for one virtualenv; asks it for its tags only if there is something to choose.

    Where a deployment was interrupted, what it had in hand is looked through. Then, and where one is under way, there
    is something to do in any case: it is not over.
    """
    try:
        left = from_json(probe.journal, str(probe.target)) if probe.journal is not None else None
        if left is not None and left.changed_in_place:
            again = plans.options.reinstall | damaged_by(left, site)
            plans = Plans(plans.catalogue, replace(plans.options, reinstall=again))
        try:
            made = plans.plan(probe, requirements)
        except TagsNeeded:
            probe = replace(probe, interpreter=probe.interpreter.with_tags(site.tags()))
            made = plans.plan(probe, requirements)
        if (left is not None or probe.holder is not None) and made.status is Status.CURRENT:
            made = replace(made, status=Status.CHANGES)
        notes = (*past(probe, left), *first_time(probe, made), *plans.oddities(probe))
        return Proposal(site.member, requirements, replace(made, notes=notes), site, probe)
    except UsageError as error:
        # `--only NAME` where this one virtualenv has nothing of that name
        untouched = Plan(probe.target, Status.CURRENT, str(probe.interpreter.version), fingerprint=probe.fingerprint)
        return Proposal(site.member, requirements, untouched, site, probe, error=error)
    except EnvfabError as error:
        blocked = Plan(probe.target, Status.BLOCKED, str(probe.interpreter.version), error=str(error))
        return Proposal(site.member, requirements, blocked, site, probe, error=error)


def damaged_by(left: Record, site: TargetSession) -> frozenset[NormalizedName]:
    """Return the packages of an interrupted deployment whose installed files do not match their RECORD."""
    agent = site.agent()
    agent.load(agent_sources.DEPLOY)
    names = sorted(left.touched)
    return frozenset(to_damage(agent.ask("verify", names=names, number=None), str(site.member.target), names))


def finder(
    site: TargetSession, probe: Probe, wheelhouse: Catalogue
) -> Callable[[NormalizedName, Version], Wheel | None]:
    """Finds the wheel of one version in the wheelhouse."""
    interpreters = [probe.interpreter]

    def find(name: NormalizedName, version: Version) -> Wheel | None:
        """The wheel, or None."""
        try:
            return wheel_of(name, version, interpreters[-1], wheelhouse)
        except TagsNeeded:
            interpreters.append(probe.interpreter.with_tags(site.tags()))
            return wheel_of(name, version, interpreters[-1], wheelhouse)

    return find

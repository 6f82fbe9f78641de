"""What would be done to one virtualenv: its plan, while its agent still waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.config.target import Member
from envfab.deployment.installer import OWN_PIP, Installer, choose
from envfab.deployment.journal import Record, from_json
from envfab.deployment.notes import past
from envfab.errors import EnvfabError, UsageError
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel
from envfab.planning.candidates import TagsNeeded
from envfab.planning.catalogue import Catalogue
from envfab.planning.lookup import wheel_of
from envfab.planning.plan import Missing, Options, Plan, Status
from envfab.planning.plan_cache import Plans
from envfab.planning.restore import unrestorable
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_damage
from envfab.remote.probe import TargetSession


@dataclass(frozen=True, slots=True)
class Proposal:
    """A virtualenv and its plan; `site` is None where it could not be spoken with."""

    member: Member
    requirements: Requirements
    plan: Plan
    site: TargetSession | None = None
    probe: Probe | None = None
    installer: Installer = OWN_PIP
    error: EnvfabError | None = None
    # the deployment that this one takes back, where it is a rollback
    undoes: str | None = None
    # what the fabfile wants run, by its fields, as people read it
    commands: tuple[tuple[str, str], ...] = ()

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """All wheels that must be on the host to carry out the plan."""
        return self.installer.and_its_own([action.wheel for action in self.plan.actions if action.wheel])


def propose_one(
    site: TargetSession, probe: Probe, requirements: Requirements, plans: Plans, installer: str
) -> Proposal:
    """The plan for one virtualenv; asks it for its tags only if there is something to choose.

    Where a deployment was interrupted, what it had in hand is looked through. Then, and where one is under way, there
    is something to do in any case: it is not over.
    """
    try:
        left = from_json(probe.journal, str(probe.target)) if probe.journal is not None else None
        if left is not None:
            plans = Plans(plans.catalogue, _mending(plans.options, left, site, probe, installer))
        try:
            made = plans.plan(probe, requirements)
        except TagsNeeded:
            probe = replace(probe, interpreter=probe.interpreter.with_tags(site.tags()))
            made = plans.plan(probe, requirements)
        if (left is not None or probe.holder is not None) and made.status is Status.CURRENT:
            made = replace(made, status=Status.CHANGES)
        notes = (*past(probe, left), *plans.oddities(probe))
        proposal = Proposal(site.member, requirements, replace(made, notes=notes), site, probe)
        if made.status is not Status.CHANGES:
            return proposal
        return with_installer(_warned_of_losses(proposal, plans.catalogue), plans.catalogue, installer)
    except UsageError as error:
        # `--only NAME` where this one virtualenv has nothing of that name
        untouched = Plan(probe.target, Status.CURRENT, str(probe.interpreter.version), fingerprint=probe.fingerprint)
        return Proposal(site.member, requirements, untouched, site, probe, error=error)
    except EnvfabError as error:
        blocked = Plan(probe.target, Status.BLOCKED, str(probe.interpreter.version), error=str(error))
        return Proposal(site.member, requirements, blocked, site, probe, error=error)


def _mending(options: Options, left: Record, site: TargetSession, probe: Probe, installer: str) -> Options:
    """`options`, and to reinstall whatever of an interrupted deployment is there but not whole.

    Beside its files a package has bytecode, which uv leaves to us: where the installation was not over, it may lack.
    """
    again = damaged_by(left, site)
    if installer != "pip" and left.step == "install":
        again |= left.touched & probe.distributions.keys()
    return replace(options, reinstall=options.reinstall | again)


def damaged_by(left: Record, site: TargetSession) -> frozenset[NormalizedName]:
    """What an interrupted deployment had in hand and whose files are not as its RECORD says."""
    agent = site.agent()
    agent.load(agent_sources.DEPLOY)
    names = sorted(left.touched)
    return frozenset(to_damage(agent.ask("verify", names=names), str(site.member.target), names))


def finder(
    site: TargetSession, probe: Probe, wheelhouse: Catalogue
) -> Callable[[NormalizedName, Version], Wheel | None]:
    """Finds the wheel of one version: among those that the virtualenv keeps, or in the wheelhouse."""
    kept = {}
    for name in probe.kept:
        digest, _, filename = name.partition(".")
        wheel = Wheel.from_filename(filename, digest)
        kept[wheel.name, wheel.version] = wheel
    interpreters = [probe.interpreter]

    def find(name: NormalizedName, version: Version) -> Wheel | None:
        """The wheel, or None."""
        if (name, version) in kept:
            return kept[name, version]
        try:
            return wheel_of(name, version, interpreters[-1], wheelhouse)
        except TagsNeeded:
            interpreters.append(probe.interpreter.with_tags(site.tags()))
            return wheel_of(name, version, interpreters[-1], wheelhouse)

    return find


def _warned_of_losses(proposal: Proposal, wheelhouse: Catalogue) -> Proposal:
    """The proposal with a warning for what could not be brought back if the deployment failed."""
    if proposal.site is None or proposal.probe is None:
        return proposal
    lost = unrestorable(proposal.plan.actions, finder(proposal.site, proposal.probe, wheelhouse))
    warnings = tuple(f"{name} could not be brought back: no wheel of it is in the wheelhouse" for name in lost)
    return replace(proposal, plan=replace(proposal.plan, warnings=(*proposal.plan.warnings, *warnings)))


def with_installer(proposal: Proposal, wheelhouse: Catalogue, wanted: str) -> Proposal:
    """The proposal with what the setting `wanted` installs with, blocked where there is none."""
    made, probe = proposal.plan, proposal.probe
    if probe is None or not made.actions:
        return proposal
    try:
        found = choose(wanted, made.actions, probe, wheelhouse)
    except TagsNeeded:
        if proposal.site is None:
            raise
        probe = replace(probe, interpreter=probe.interpreter.with_tags(proposal.site.tags()))
        found = choose(wanted, made.actions, probe, wheelhouse)
    if isinstance(found, Missing):
        return replace(proposal, plan=replace(made, status=Status.BLOCKED, missing=(*made.missing, found)))
    return replace(proposal, installer=found)

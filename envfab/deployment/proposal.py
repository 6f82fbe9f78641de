"""What would be done: every chosen virtualenv with its plan, while its agent still waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.deployment.history import Record, from_json
from envfab.deployment.past import past
from envfab.deployment.wanted import read_requirements
from envfab.errors import EnvfabError, HouseError, UsageError
from envfab.facts.probe import Probe
from envfab.facts.requirements import Requirements
from envfab.facts.wheel import Wheel
from envfab.fleet import Fleet, Member, Target
from envfab.managed import bundle
from envfab.managed.survey import Found, Links, Site, survey
from envfab.planning.alike import Plans
from envfab.planning.candidates import TagsNeeded
from envfab.planning.catalogue import Catalogue
from envfab.planning.health import oddities
from envfab.planning.lookup import newest_wheel, wheel_of
from envfab.planning.plan import Missing, Options, Plan, Status
from envfab.planning.restoring import unrestorable
from envfab.reporter import Reporter
from envfab.settings import Settings
from envfab.wheelhouse.house import House

PIP = canonicalize_name("pip")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A virtualenv and its plan; `site` is None where it could not be spoken with.

    `pip_wheel` is the wheel of the house that pip is run from, where the virtualenv's own pip is missing or
    is itself to be changed.
    """

    member: Member
    requirements: Requirements
    plan: Plan
    site: Site | None = None
    probe: Probe | None = None
    pip_wheel: Wheel | None = None
    error: EnvfabError | None = None
    # the deployment that this one takes back, where it is a rollback
    undoes: str | None = None

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """All wheels that must be on the host to carry out the plan."""
        needed = tuple(action.wheel for action in self.plan.actions if action.wheel)
        return needed if self.pip_wheel is None or self.pip_wheel in needed else (*needed, self.pip_wheel)


@contextmanager
def propose(
    fleet: Fleet,
    members: Sequence[Member],
    links: Links,
    house: House,
    options: Options,
    settings: Settings,
    reporter: Reporter,
) -> Iterator[list[Proposal]]:
    """Look at all members at once and plan each; what the context yields is in their order."""
    requirements = read_requirements(fleet, members)
    plans = Plans(house, options)
    proposals: dict[Target, Proposal] = {}

    def look(found: Found) -> None:
        if found.site is not None and found.probe is not None:
            wanted = requirements[found.member.target]
            proposals[found.member.target] = propose_one(found.site, found.probe, wanted, plans)

    with survey(
        members, links, reporter, parallel=settings.parallel, timeout=settings.command_timeout, look=look
    ) as finds:
        for found in finds:
            if found.error is not None:
                target = found.member.target
                lost = Plan(target, Status.UNREACHABLE, error=str(found.error))
                proposals[target] = Proposal(found.member, requirements[target], lost, error=found.error)
        result = [proposals[member.target] for member in members]
        _refuse_unknown(result)
        yield _block_changed(result, house)


def propose_one(site: Site, probe: Probe, requirements: Requirements, plans: Plans) -> Proposal:
    """The plan for one virtualenv; asks it for its tags only if there is something to choose.

    Where a deployment was interrupted, what it had in hand is looked through, and there is something to do in any case.
    """
    try:
        left = from_json(probe.journal, str(probe.target)) if probe.journal else None
        if left is not None:
            plans = Plans(plans.catalogue, _mending(plans.options, left, site))
        try:
            made = plans.plan(probe, requirements)
        except TagsNeeded:
            probe = replace(probe, interpreter=probe.interpreter.with_tags(site.tags()))
            made = plans.plan(probe, requirements)
        if left is not None and made.status is Status.CURRENT:
            made = replace(made, status=Status.CHANGES)
        notes = (*past(probe, left), *oddities(probe))
        proposal = Proposal(site.member, requirements, replace(made, notes=notes), site, probe)
        if made.status is not Status.CHANGES:
            return proposal
        return with_pip(_warned_of_losses(proposal, plans.catalogue), plans.catalogue)
    except UsageError as error:
        # `--only NAME` where this one virtualenv has nothing of that name
        untouched = Plan(probe.target, Status.CURRENT, str(probe.interpreter.version), fingerprint=probe.fingerprint)
        return Proposal(site.member, requirements, untouched, site, probe, error=error)
    except EnvfabError as error:
        blocked = Plan(probe.target, Status.BLOCKED, str(probe.interpreter.version), error=str(error))
        return Proposal(site.member, requirements, blocked, site, probe, error=error)


def _mending(options: Options, left: Record, site: Site) -> Options:
    """`options`, and to reinstall whatever of an interrupted deployment is there but not whole."""
    names = sorted({str(canonicalize_name(change.name)) for change in left.changes})
    agent = site.agent()
    agent.load(bundle.DEPLOY)
    wrong = {canonicalize_name(name) for name in agent.ask("verify", names=names)["wrong"]}
    return replace(options, reinstall=options.reinstall | wrong)


def finder(site: Site, probe: Probe, house: Catalogue) -> Callable[[NormalizedName, Version], Wheel | None]:
    """Finds the wheel of one version: among those that the virtualenv keeps, or in the house."""
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
            return wheel_of(name, version, interpreters[-1], house)
        except TagsNeeded:
            interpreters.append(probe.interpreter.with_tags(site.tags()))
            return wheel_of(name, version, interpreters[-1], house)

    return find


def _warned_of_losses(proposal: Proposal, house: Catalogue) -> Proposal:
    """The proposal with a warning for what could not be brought back if the deployment failed."""
    if proposal.site is None or proposal.probe is None:
        return proposal
    lost = unrestorable(proposal.plan.actions, finder(proposal.site, proposal.probe, house))
    warnings = tuple(f"{name} could not be brought back: no wheel of it is in the house" for name in lost)
    return replace(proposal, plan=replace(proposal.plan, warnings=(*proposal.plan.warnings, *warnings)))


def with_pip(proposal: Proposal, catalogue: Catalogue) -> Proposal:
    """The proposal with a pip to install with, blocked where there is none."""
    made, probe = proposal.plan, proposal.probe
    if probe is None or not made.actions:
        return proposal
    changing = next((action.wheel for action in made.actions if action.name == PIP), None)
    if changing is not None:
        return replace(proposal, pip_wheel=changing)
    if PIP in probe.distributions:
        return proposal
    try:
        found = newest_wheel(PIP, probe.interpreter, catalogue)
    except TagsNeeded:
        if proposal.site is None:
            raise
        found = newest_wheel(PIP, probe.interpreter.with_tags(proposal.site.tags()), catalogue)
    if found is not None:
        return replace(proposal, pip_wheel=found)
    missing = Missing(
        "pip", "installing anything", "the virtualenv has no pip, and the house has no pip wheel that fits it"
    )
    return replace(proposal, plan=replace(made, status=Status.BLOCKED, missing=(*made.missing, missing)))


def _block_changed(proposals: Sequence[Proposal], house: House) -> list[Proposal]:
    """Block those that need a wheel which is not the file that was logged; all others may go on."""
    try:
        house.verify_unchanged({wheel for proposal in proposals for wheel in proposal.wheels})
    except HouseError:
        return [_blocked_if_changed(proposal, house) for proposal in proposals]
    return list(proposals)


def _blocked_if_changed(proposal: Proposal, house: House) -> Proposal:
    try:
        house.verify_unchanged(proposal.wheels)
    except HouseError as error:
        return replace(proposal, error=error, plan=replace(proposal.plan, status=Status.BLOCKED, error=str(error)))
    return proposal


def _refuse_unknown(proposals: Sequence[Proposal]) -> None:
    """Raise what is wrong with the command line, where it is wrong for every virtualenv that was planned."""
    planned = [proposal for proposal in proposals if proposal.probe is not None]
    wrong = [proposal.error for proposal in planned if isinstance(proposal.error, UsageError)]
    if wrong and len(wrong) == len(planned):
        raise wrong[0]

"""What would be done: every chosen virtualenv with its plan, while its agent still waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from envfab.errors import EnvfabError, HouseError, UsageError
from envfab.facts.probe import Probe
from envfab.facts.requirements import Requirements, parse
from envfab.facts.wheel import Wheel
from envfab.fleet import Fleet, Member, Target
from envfab.managed.survey import Found, Links, Site, survey
from envfab.planning.alike import Plans
from envfab.planning.candidates import TagsNeeded
from envfab.planning.catalogue import Catalogue
from envfab.planning.newest import newest_wheel
from envfab.planning.plan import Missing, Options, Plan, Status
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

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """All wheels that must be on the host to carry out the plan."""
        needed = tuple(action.wheel for action in self.plan.actions if action.wheel)
        return needed if self.pip_wheel is None or self.pip_wheel in needed else (*needed, self.pip_wheel)


def read_requirements(fleet: Fleet, members: Sequence[Member]) -> Mapping[Target, Requirements]:
    """The requirements of each member, each file read once; raises `RequirementsError`."""
    texts: dict[str, str] = {}

    def read(name: str) -> str:
        if name not in texts:
            texts[name] = fleet.at(name).read_text(encoding="utf-8")
        return texts[name]

    parsed: dict[tuple[object, ...], Requirements] = {}
    result = {}
    for member in members:
        files = tuple(_shown(fleet, file) for file in fleet.requirement_files(member.virtualenv))
        packages = tuple(member.virtualenv.packages)
        key = (files, packages)
        if key not in parsed:
            parsed[key] = parse(files, read, packages)
        result[member.target] = parsed[key]
    return result


def _shown(fleet: Fleet, file: Path) -> str:
    """A requirements file as messages name it: relative to the fabfile's folder where it lies below that."""
    root = fleet.at(".")
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)


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
    """The plan for one virtualenv; asks it for its tags only if there is something to choose."""
    try:
        try:
            made = plans.plan(probe, requirements)
        except TagsNeeded:
            probe = replace(probe, interpreter=probe.interpreter.with_tags(site.tags()))
            made = plans.plan(probe, requirements)
        proposal = Proposal(site.member, requirements, made, site, probe)
        return _with_pip(proposal, plans.catalogue) if made.status is Status.CHANGES else proposal
    except UsageError as error:
        # `--only NAME` where this one virtualenv has nothing of that name
        untouched = Plan(probe.target, Status.CURRENT, str(probe.interpreter.version), fingerprint=probe.fingerprint)
        return Proposal(site.member, requirements, untouched, site, probe, error=error)
    except EnvfabError as error:
        blocked = Plan(probe.target, Status.BLOCKED, str(probe.interpreter.version), error=str(error))
        return Proposal(site.member, requirements, blocked, site, probe, error=error)


def _with_pip(proposal: Proposal, catalogue: Catalogue) -> Proposal:
    """The proposal with a pip to install with, blocked where there is none."""
    made, probe = proposal.plan, proposal.probe
    if probe is None:
        return proposal
    changing = next((action.wheel for action in made.actions if action.name == PIP), None)
    if changing is not None:
        return replace(proposal, pip_wheel=changing)
    if PIP in probe.distributions:
        return proposal
    found = newest_wheel(PIP, probe.interpreter, catalogue)
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

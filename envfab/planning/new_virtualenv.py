"""Choice of the wheels of a catalogue that meet requirements in a new virtualenv of an interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.errors import SupplyError
from envfab.models.interpreter import Interpreter
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel, WheelMetadata
from envfab.planning.blocked_reasons import explain
from envfab.planning.candidates import Candidates
from envfab.planning.catalogue import Catalogue
from envfab.planning.fixpoint import resolve_stable
from envfab.planning.lock_file_checks import unfit
from envfab.planning.marker_environment import Environment, applicable
from envfab.planning.plan import Missing, Options
from envfab.planning.resolution_problem import pose_problem
from envfab.planning.resolver import NoSolution


class Unsolvable(SupplyError):
    """Raised if a catalogue cannot meet requirements: what is missing, or which requirements conflict."""

    def __init__(self, interpreter: Interpreter, missing: Sequence[Missing], conflicts: Sequence[str]) -> None:
        self.missing = tuple(missing)
        self.conflicts = tuple(conflicts)
        lines = [f"{one.requirement} ({one.required_by}): {one.why}" for one in missing]
        super().__init__("\n  ".join(["cannot be met", *lines, *conflicts]), where=interpreter.title)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A wheel with its metadata, and what requires it: `-r requirements.in`, or project names."""

    wheel: Wheel
    metadata: WheelMetadata
    via: tuple[str, ...] = field(default=())


def solve(requirements: Requirements, interpreter: Interpreter, catalogue: Catalogue) -> dict[NormalizedName, Wheel]:
    """Choose a wheel for each project that the requirements lead to; the interpreter's tags must be known.

    Raises `Unsolvable` if the catalogue has no such set of wheels.
    """
    environment = Environment(interpreter)
    candidates = Candidates(environment, {}, catalogue)
    entries = applicable(requirements.entries, environment)
    constraints = applicable(requirements.constraints, environment)
    problems = unfit(requirements, entries, environment)
    if problems:
        raise Unsolvable(interpreter, (), problems)
    problem = pose_problem(entries, constraints, candidates, Options())
    outcome = resolve_stable(problem)
    if isinstance(outcome, NoSolution):
        raise Unsolvable(interpreter, *explain(outcome, problem))
    return {name: one.wheel for name, one in outcome.chosen.items() if one.wheel is not None}


def pinned_hashes(requirements: Requirements) -> dict[NormalizedName, frozenset[str]]:
    """Return the digests that every line on a project allows; projects without hashes are left out."""
    pinned: dict[NormalizedName, frozenset[str]] = {}
    for entry in (*requirements.entries, *requirements.constraints):
        if entry.hashes:
            pinned[entry.name] = pinned.get(entry.name, entry.hashes) & entry.hashes
    return pinned


def wheels_of(
    versions: Mapping[NormalizedName, Version],
    interpreter: Interpreter,
    catalogue: Catalogue,
    hashes: Mapping[NormalizedName, frozenset[str]],
) -> dict[NormalizedName, Wheel]:
    """Return the best wheel of each version for the interpreter; raises `SupplyError` if there is none."""
    candidates = Candidates(Environment(interpreter), {}, catalogue)
    found = {}
    for name, version in versions.items():
        wheel = candidates.wheel_of(name, version, hashes.get(name))
        if wheel is None:
            raise SupplyError(f"no wheel of {name} {version} fits", where=interpreter.title)
        found[name] = wheel
    return found


def annotated(
    wheels: Mapping[NormalizedName, Wheel], requirements: Requirements, interpreter: Interpreter, catalogue: Catalogue
) -> list[Chosen]:
    """Return the wheels sorted by name, each with what requires it."""
    environment = Environment(interpreter)
    metadata = {name: catalogue.metadata(wheel) for name, wheel in wheels.items()}
    via: dict[NormalizedName, set[str]] = {name: set() for name in wheels}
    extras: dict[NormalizedName, set[NormalizedName]] = {name: set() for name in wheels}
    waiting = []
    for entry in applicable(requirements.entries, environment):
        via[entry.name].add(f"-r {entry.origin.rpartition(':')[0] or entry.origin}")
        extras[entry.name] |= {canonicalize_name(extra) for extra in entry.requirement.extras}
        waiting.append(entry.name)
    while waiting:
        name = waiting.pop()
        for requirement in environment.needed(metadata[name].requires, extras[name] & metadata[name].extras):
            needed = canonicalize_name(requirement.name)
            if needed not in wheels:
                continue
            wanted = {canonicalize_name(extra) for extra in requirement.extras}
            news = not wanted <= extras[needed] or (needed != name and name not in via[needed])
            if news:
                waiting.append(needed)
            if needed != name:
                via[needed].add(name)
            extras[needed] |= wanted
    return [Chosen(wheels[name], metadata[name], tuple(sorted(via[name]))) for name in sorted(wheels)]

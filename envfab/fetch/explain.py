"""Why wheelhouse and index together cannot meet requirements, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.index import pages
from envfab.index.client import PackageIndex, requires_python_of
from envfab.models.interpreter_kinds import InterpreterKind
from envfab.models.requirements import Requirements
from envfab.planning.marker_environment import Environment, applicable
from envfab.planning.new_virtualenv import Unsolvable
from envfab.planning.plan import Missing
from envfab.util.untrusted import shown_url


def explained(
    problem: Unsolvable, requirements: Requirements, kind: InterpreterKind, index: PackageIndex
) -> Unsolvable:
    """What a search in both found, in terms of both, with what the index says of it beside wheels that would do."""
    unknown = not index.projects() and not any(index.files(_project(one)) for one in problem.missing)
    advice = ", nor any other that is required: check that this is a simple API" if unknown else ""
    missing = [
        Missing(one.requirement, one.required_by, "\n    ".join(_why(one, requirements, kind, index, advice)))
        for one in problem.missing
    ]
    conflicts = [one.replace("the wheelhouse has", "wheelhouse and index have") for one in problem.conflicts]
    return Unsolvable(kind.interpreter, missing, conflicts)


def _project(one: Missing) -> NormalizedName:
    return canonicalize_name(Requirement(one.requirement).name)


def _why(
    one: Missing, requirements: Requirements, kind: InterpreterKind, index: PackageIndex, advice: str
) -> Iterator[str]:
    """Why; `advice` follows what the index does not know."""
    requirement = Requirement(one.requirement)
    name = canonicalize_name(requirement.name)
    if name in index.own:
        yield one.why
        return
    yield one.why.replace("the wheelhouse has", "wheelhouse and index have")
    files = index.files(name)
    if index.status(name).quarantined:
        yield f"{shown_url(index.url)} says that {name} {index.status(name).told}"
    elif not files:
        yield f"{shown_url(index.url)} does not know the project{advice}"
    elif any(wheel.sha256 is None for file in files if (wheel := pages.wheel_of(file))):
        yield "the index tells no SHA-256 of some wheels of it, and what cannot be verified is not fetched"
    source = _newest_source(requirement, requirements, kind, index)
    if source is not None:
        built = f"{name}=={source}"
        where = ", ".join(kind.targets) or "this machine"
        wheels = {wheel.version for file in files if (wheel := pages.wheel_of(file))}
        if source in wheels:
            yield f"the index has {built} as source, too, where it has no wheel for {where}:"
        else:
            yield f"the index has {built} as source only, for {where} as for any other:"
        yield f"build it on a machine like that (pip wheel --no-deps {built}), and add_wheel what that makes"


def _newest_source(
    requirement: Requirement, requirements: Requirements, kind: InterpreterKind, index: PackageIndex
) -> Version | None:
    """The newest source distribution that would do; None where there is none."""
    name = canonicalize_name(requirement.name)
    environment = Environment(kind.interpreter)
    wanted = requirement.specifier
    for constraint in applicable(requirements.constraints, environment):
        if constraint.name == name:
            wanted &= constraint.requirement.specifier
    versions = {
        Version(version)
        for file in index.files(name)
        if (version := pages.sdist_version(file, name)) is not None
        and file.yanked is None
        and environment.supports(requires_python_of(file))
    }
    return max(SpecifierSet(str(wanted)).filter(versions), default=None)

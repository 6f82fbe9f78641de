"""The requirements of a `pyproject.toml`: its project's dependencies, chosen extras, and chosen dependency groups.

Dependency groups are those of PEP 735; the rest is the `[project]` table of PEP 621.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from packaging.dependency_groups import DependencyGroupInclude, DependencyGroupResolver
from packaging.errors import ExceptionGroup
from packaging.requirements import InvalidRequirement
from packaging.utils import NormalizedName, canonicalize_name

from envfab.errors import RequirementsError
from envfab.models.group_choice import Choice
from envfab.models.toml_text import parse_toml
from envfab.util.versions import parse_requirement, shortened

NAME = re.compile(r"(^|/)pyproject\.toml$")
MOST_INCLUDES = 100

Line = tuple[str, str]


def parse_project_file(text: str, name: str, choice: Choice) -> tuple[list[Line], list[str]]:
    """Return (requirements, each with its place; notes about what was ignored); raises `RequirementsError`."""
    document = parse_toml(text, name, "pyproject.toml")
    project, groups = _table(document, "project", name), _table(document, "dependency-groups", name)
    optional = _table(project, "optional-dependencies", name)
    lines = list(_strings(project.get("dependencies", []), f"{name}:dependencies"))
    wanted = choice.extras_of(optional)
    chosen = choice.groups_of(groups)
    lines += _of_extras(project, optional, wanted, name)
    for group in sorted(chosen):
        lines += _of_group(groups, group, name)
    notes = _dynamic(project, name)
    if not lines:
        there = [*(f"group {one}" for one in groups), *(f"extra {one}" for one in optional)]
        empty = ", ".join(sorted({*wanted, *chosen}))
        raise RequirementsError(
            "it has no dependencies of a project, and "
            + (f"{empty} of it has none" if empty else "no group or extra of it is chosen"),
            where=name,
            hint=f"choose with groups=[…] or extras=[…]: {', '.join(there)}" if there else "add a [dependency-groups]",
        )
    return lines, notes


def _of_extras(
    project: Mapping[str, Any], optional: Mapping[str, Any], wanted: Container[str], name: str
) -> Iterator[Line]:
    """The requirements of the wanted extras; one on the project itself (`shop[fast]`) stands for the extras in it."""
    own, names = (
        canonicalize_name(str(project.get("name", ""))),
        {canonicalize_name(extra): extra for extra in optional},
    )
    coming, seen = [names[extra] for extra in names if extra in wanted], set[str]()
    while coming:
        extra = coming.pop(0)
        if extra in seen:
            continue
        seen.add(extra)
        for text, where in _strings(optional[extra], f"{name}:{extra}"):
            included = _extras_of_itself(text, own)
            unknown = [one for one in included if one not in names]
            if unknown:
                raise RequirementsError(f"{text!r}: there is no extra {', '.join(unknown)}", where=where)
            coming += [names[one] for one in included]
            if not included:
                yield text, where


def _extras_of_itself(text: str, own: str) -> list[NormalizedName]:
    """The extras in a requirement on the project itself; with a marker it is a requirement as any other."""
    try:
        requirement = parse_requirement(text)
    except InvalidRequirement:
        return []
    if canonicalize_name(requirement.name) != own or requirement.marker or requirement.url:
        return []
    return sorted(map(canonicalize_name, requirement.extras))


def _table(document: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, Mapping):
        raise RequirementsError(f"{key} must be a table", where=name)
    return table


def _strings(texts: object, where: str) -> Iterator[Line]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RequirementsError("must be a list of requirements", where=where)
    return ((text, where) for text in texts)


def _dynamic(project: Mapping[str, Any], name: str) -> list[str]:
    dynamic = project.get("dynamic", [])
    names = [one for one in ("dependencies", "optional-dependencies") if isinstance(dynamic, list) and one in dynamic]
    return [f"{name}: {' and '.join(names)} of the project are dynamic and were not read"] if names else []


def _of_group(groups: Mapping[str, Any], group: str, name: str) -> list[Line]:
    """The requirements of a group, those of the groups that it includes too; each group once."""
    try:
        resolver = DependencyGroupResolver(groups)
        return list(_walk(resolver, canonicalize_name(group), name, (), set()))
    except ExceptionGroup as error:
        problem = str(error.exceptions[0])
    except (ValueError, RecursionError):
        problem = "a requirement cannot be read"
    raise _broken(group, problem, name)


def _walk(
    resolver: DependencyGroupResolver, group: str, name: str, path: tuple[str, ...], seen: set[str]
) -> Iterator[Line]:
    if group in path:
        raise _broken(
            path[0], f"the groups include each other: {' → '.join([*path[path.index(group) :], group])}", name
        )
    if len(path) > MOST_INCLUDES:
        raise _broken(path[0], f"more than {MOST_INCLUDES} groups include each other", name)
    if group in seen:
        return
    seen.add(group)
    for one in resolver.lookup(group):
        if isinstance(one, DependencyGroupInclude):
            yield from _walk(resolver, canonicalize_name(one.include_group), name, (*path, group), seen)
        else:
            yield str(one), f"{name}:{group}"


def _broken(group: str, problem: str, name: str) -> RequirementsError:
    return RequirementsError(f"the group {group!r} cannot be used: {shortened(problem, 200)}", where=name)

"""What each virtualenv must satisfy, as its requirements files say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from envfab.facts.requirements import Requirements, parse
from envfab.fleet import Fleet, Member, Target


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

"""What each virtualenv must satisfy, as its requirements files say."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from envfab.config.fleet import Fleet
from envfab.config.target import Member, Target
from envfab.errors import ConfigurationError, RequirementsError, SeveralErrors
from envfab.models.requirements import Requirements, parse
from envfab.util.paths import expand, read_file

# bytes; the lock file of a large project has 3 million
LIMIT = 32 << 20


def read_requirements(fleet: Fleet, members: Sequence[Member]) -> Mapping[Target, Requirements]:
    """The requirements of each member, each file read once; raises `RequirementsError`, with all that is wrong."""
    texts: dict[str, str] = {}
    on_disk = file_reader(fleet.at)

    def read(name: str) -> str:
        if name not in texts:
            texts[name] = on_disk(name)
        return texts[name]

    parsed: dict[tuple[object, ...], Requirements] = {}
    errors: list[RequirementsError] = []
    result = {}
    for member in members:
        virtualenv = member.virtualenv
        files = tuple(_shown(fleet, file) for file in fleet.requirement_files(virtualenv))
        key = (files, virtualenv.packages, virtualenv.groups, virtualenv.extras)
        if key not in parsed:
            try:
                parsed[key] = parse(
                    files,
                    read,
                    tuple(virtualenv.packages),
                    groups=virtualenv.groups,
                    extras=virtualenv.extras,
                    environment=os.environ,
                )
            except RequirementsError as error:
                errors.append(error)
                parsed[key] = Requirements(())
        result[member.target] = parsed[key]
    if errors:
        raise SeveralErrors.of(errors)
    return result


def file_reader(place: Callable[[str], Path] = expand) -> Callable[[str], str]:
    """What `parse` reads files with; `place` says where the file of a name lies."""

    def read(name: str) -> str:
        try:
            path = place(name)
        except (ConfigurationError, ValueError):
            raise OSError(errno.EINVAL, "it cannot be the name of a file", name) from None
        return read_file(path, LIMIT).decode("utf-8")

    return read


def _shown(fleet: Fleet, file: Path) -> str:
    """A requirements file as messages name it: relative to the fabfile's folder where it lies below that."""
    root = fleet.at(".")
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)

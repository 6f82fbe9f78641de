"""Requirements of each virtualenv, read from its requirements files."""

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

# bytes; the lock file of a large project takes 3 million
LIMIT = 32 << 20


def read_requirements(fleet: Fleet, members: Sequence[Member]) -> Mapping[Target, Requirements]:
    """Read the requirements of each member; each file is read once.

    Raises `SeveralErrors` with a `RequirementsError` for each set of files that is invalid.
    """
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
                _refuse_missing(fleet, member)
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


def _refuse_missing(fleet: Fleet, member: Member) -> None:
    for file in fleet.requirement_files(member.virtualenv):
        if not file.exists():
            raise RequirementsError(
                f"the requirements file {file} does not exist",
                where=f"Virtualenv.requirements of {member.host.name}:{member.virtualenv.path}",
                hint="relative paths start at the folder of the file that makes the Fleet",
            )


def file_reader(place: Callable[[str], Path] = expand) -> Callable[[str], str]:
    """Return the function that `parse` reads files with; `place` turns a file's name into its path.

    It raises `OSError` if the file cannot be read or is larger than `LIMIT`, `UnicodeDecodeError` if it is not UTF-8.
    """

    def read(name: str) -> str:
        try:
            path = place(name)
        except (ConfigurationError, ValueError):
            raise OSError(errno.EINVAL, "it cannot be the name of a file", name) from None
        return read_file(path, LIMIT).decode("utf-8")

    return read


def _shown(fleet: Fleet, file: Path) -> str:
    """A requirements file's name in messages: relative to the fabfile's folder if it is below that."""
    root = fleet.at(".")
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)

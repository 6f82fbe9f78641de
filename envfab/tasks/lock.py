"""The task `lock`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.output.wheelhouse import warn_of_wheelhouse
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count
from envfab.util.paths import user_path


def task(fleet: Fleet) -> Any:
    """`lock` for `fleet`."""

    @ours(
        "requirements",
        True,
        requirements="the requirements to lock: a requirements.in",
        output="the lock file to write (default: beside the requirements, as .txt or pylock.toml)",
        pylock="write pylock.toml (PEP 751) instead of requirements.txt",
    )
    def lock(
        c: Context,
        requirements: str = "",
        name: Iterable[str] = (),
        output: str = "",
        pylock: bool = False,
        json: bool = False,
    ) -> None:
        """Pin requirements to releases of the wheelhouse, with hashes, for the interpreters of the targets."""
        from envfab.deployment.requirements_files import file_reader
        from envfab.lockfile import write
        from envfab.models.requirements import parse
        from envfab.tasks.shared.incoming import MaliciousCheck
        from envfab.tasks.shared.target_interpreters import interpreters_of

        run = TaskContext(fleet, c, json)
        if not requirements:
            raise UsageError("lock needs a file", hint="fab lock:requirements/shop.in")
        place = _place_of_lock(requirements, output, pylock)
        wanted = parse([requirements], file_reader(), environment=os.environ)
        command = _command(requirements, list(name), output)
        wheelhouse = run.open_wheelhouse()
        with run.console as console, run.connections() as links:
            warn_of_wheelhouse(console, wheelhouse)
            found, complete = interpreters_of(run, links, run.select(list(name)))
            locks = [write.lock(wanted, kind, wheelhouse) for kind in found]
            check = MaliciousCheck(run, run.settings.own)
            check.refuse(wheel for one in locks for pin in one.pins for wheel in pin.wheels)
            wheelhouse.verify_unchanged(wheel for one in locks for pin in one.pins for wheel in pin.wheels)
            files = write.files_of(locks, place)
            for file, one in files.items():
                made = write.to_pylock(one, wheelhouse, file) if pylock else write.to_requirements(one, command)
                write.write(file, made)
                console.print(
                    f"{file}   {count(len(one.pins), 'release')} for {one.kind.interpreter.title}, by {one.by}"
                )
            if json:
                console.json(
                    {"format": 1, "files": [
                        {"file": str(file), "python": str(one.kind.interpreter.version), "by": one.by,
                         "targets": list(one.kind.targets),
                         "pins": {str(pin.chosen.wheel.name): str(pin.chosen.wheel.version) for pin in one.pins}}
                        for file, one in files.items()
                    ]}
                )  # fmt: skip
        if not complete:
            raise Exit(code=1)

    return lock


def _command(requirements: str, names: list[str], output: str) -> str:
    """Return the command that makes the same lock file again, on one line."""
    words = ["fab", "lock", requirements, *(word for name in names for word in ("--name", name))]
    return " ".join(shlex.join([*words, *(["--output", output] if output else [])]).split())


def _place_of_lock(requirements: str, output: str, pylock: bool) -> Path:
    """Return the lock file's path; raises `UsageError` where it would overwrite its source or has a wrong name."""
    source = user_path(requirements, "requirements")
    if not source.name:
        raise UsageError("must be a file, not a folder", where=requirements, hint="name a requirements.in")
    if output:
        place = user_path(output, "--output")
    elif pylock:
        place = source.with_name("pylock.toml")
    else:
        place = source.with_suffix(".txt")
    if not place.name or place.is_dir():
        raise UsageError("must be a file, not a folder", where=str(place), hint="say --output FILE")
    if place == source:
        raise UsageError(
            f"{requirements} would be overwritten", hint="say --output FILE, or rename the requirements to *.in"
        )
    if pylock and not (place.name == "pylock.toml" or (place.name[:7] == "pylock." and place.suffix == ".toml")):
        raise UsageError(f"must be named pylock.toml or pylock.NAME.toml, not {place.name}", where="--output")
    return place

"""What `fetch_wheels` fetches: what its command line names, or what the targets require."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from envfab.config.target import Member
from envfab.deployment.requirements_files import file_reader, read_requirements
from envfab.errors import UsageError
from envfab.fetch.fetch import FetchJob
from envfab.models.interpreter_kinds import InterpreterKind
from envfab.models.requirements import Requirements, parse
from envfab.tasks.shared.context import TaskContext
from envfab.util.paths import expand

FILES = (".txt", ".in", ".toml")


def fetch_jobs(
    run: TaskContext, members: tuple[Member, ...], words: list[str], found: Sequence[InterpreterKind]
) -> list[FetchJob]:
    """Return the requirements to fetch wheels for, each with an interpreter; raises `UsageError` where there are
    none."""
    if words:
        given = _given(words)
        return [FetchJob(kind, given) for kind in found]
    wanted = {str(target): one for target, one in read_requirements(run.fleet, members).items() if one.entries}
    jobs = [
        FetchJob(replace(kind, targets=(target,)), wanted[target])
        for kind in found
        for target in kind.targets
        if target in wanted
    ]
    if not jobs:
        raise UsageError(
            "there are no requirements to fetch wheels for",
            hint="fab fetch_wheels requirements/shop.txt, or 'django>=5'",
        )
    return jobs


def _is_file(word: str) -> bool:
    try:
        return expand(word).is_file()
    except (OSError, ValueError):
        return False


def _given(words: Sequence[str]) -> Requirements:
    """Parse the command line's words: requirements files, and requirements. Raises `RequirementsError`."""
    files = [word for word in words if word.endswith(FILES) or _is_file(word)]
    lines = [word for word in words if word not in files]
    return parse(files, file_reader(), lines, "fetch_wheels", environment=os.environ)

"""Checks whether requirements apply to a target at all, including those that PEP 751 demands for lock files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from envfab.models.requirement_entries import Entry, LockFile, Requirements
from envfab.planning.marker_environment import Environment
from envfab.util.counts import count

SHOWN = 3


def unfit(requirements: Requirements, entries: Sequence[Entry], environment: Environment) -> tuple[str, ...]:
    """Return the reasons, a few lines each, why `requirements` cannot be used for a target to which `entries` apply."""
    problems = [
        problem for lock in requirements.locks for problem in _of_lock(lock, requirements, entries, environment)
    ]
    if not problems:
        problems = list(_of_packages(entries, environment))
    if not problems and requirements.entries and not entries:
        problems = [_nothing(requirements.entries, environment)]
    return tuple(problems)


def _of_lock(
    lock: LockFile, requirements: Requirements, entries: Sequence[Entry], environment: Environment
) -> Iterator[str]:
    interpreter = environment.interpreter
    if lock.requires_python is not None and not environment.supports(lock.requires_python):
        yield f"{lock.name} requires Python {lock.requires_python}; this interpreter is {interpreter.version}"
        return
    if lock.environments is not None and not any(environment.applies(marker) for marker in lock.environments):
        markers = [str(marker) for marker in lock.environments[:SHOWN]]
        more = [f"and {len(lock.environments) - SHOWN} more"] if len(lock.environments) > SHOWN else []
        yield "\n  ".join([f"{lock.name} is not for this environment, only for", *(markers or ["none"]), *more])
        return
    # used as constraints (-c) its packages are not required, so it is not a mistake if none applies
    packages = [entry for entry in requirements.entries if entry.locked is not None and entry.locked.lock == lock]
    if packages and not any(entry.locked is not None and entry.locked.lock == lock for entry in entries):
        what = "1 package applies" if len(packages) == 1 else f"{len(packages)} packages applies"
        there = f"\n  choose with groups=[…] or extras=[…]: {', '.join(lock.choices)}" if lock.choices else ""
        yield f"{lock.name}: none of its {what} to this target{there}"


def _of_packages(entries: Sequence[Entry], environment: Environment) -> Iterator[str]:
    """Errors in single packages of lock files that apply to the target."""
    locked = [entry for entry in entries if entry.locked is not None]
    times = Counter((entry.locked.lock.name, entry.name) for entry in locked if entry.locked)
    for (file, name), number in times.items():
        if number > 1:
            pins = [str(one.requirement) for one in locked if one.name == name and one.origin.startswith(f"{file}:")]
            yield f"{file} has more than one {name} for this target: {', '.join(pins)}"
    for entry in locked:
        assert entry.locked is not None
        if entry.locked.problem:
            yield f"{entry.origin}: {entry.locked.problem}"
        wanted = entry.locked.requires_python
        if wanted is not None and not environment.supports(wanted):
            version = environment.interpreter.version
            yield f"{entry.origin} requires Python {wanted}; this interpreter is {version}"


def _nothing(entries: Sequence[Entry], environment: Environment) -> str:
    files = dict.fromkeys(entry.origin.rpartition(":")[0] or entry.origin for entry in entries)
    what = f"the {count(len(entries), 'requirement')}"
    return f"none of {what} in {', '.join(files)} applies to {environment.interpreter.title}"

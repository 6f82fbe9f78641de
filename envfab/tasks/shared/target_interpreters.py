"""The interpreters to fetch and lock for: those of the targets, or this machine's where there is no target."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from envfab.config.target import Member
from envfab.errors import SupplyError, UsageError
from envfab.fetch.probe_interpreters import look
from envfab.lockfile.this_interpreter import this_one
from envfab.models.interpreter_kinds import InterpreterKind, from_json, kinds
from envfab.remote.ssh.connections import Connections
from envfab.tasks.shared.context import TaskContext
from envfab.util.paths import user_path


def interpreters_of(
    run: TaskContext, links: Connections, members: Sequence[Member]
) -> tuple[list[InterpreterKind], bool]:
    """Probe the members; return (their distinct interpreters, whether all could be probed), and warn of the others.

    Raises `UsageError` where none could be probed.
    """
    if not members:
        return [InterpreterKind(this_one())], True
    looks = look(members, links, run.settings, run.console)
    for found in looks:
        if found.error is not None:
            run.console.warning(str(found.error))
    there = [(str(found.member.target), found.probe.interpreter) for found in looks if found.probe]
    if not there:
        raise UsageError("no target could be probed")
    return kinds(there), len(there) == len(looks)


def exported_interpreters(file: str) -> list[InterpreterKind]:
    """Read what `fab targets --export FILE` wrote; raises `SupplyError`."""
    try:
        text = user_path(file, "--interpreters").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SupplyError(f"cannot be read: {reason}", where=file) from None
    return from_json(text, file)


def of_targets(there: Sequence[InterpreterKind], targets: Set[str]) -> list[InterpreterKind]:
    """Return the interpreters of `targets` alone; raises `UsageError` where there are none."""
    found = [replace(kind, targets=tuple(one for one in kind.targets if one in targets)) for kind in there]
    left = [kind for kind in found if kind.targets]
    if not left:
        raise UsageError("the exported interpreters are not those of the chosen targets")
    return left

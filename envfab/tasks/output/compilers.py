"""Where bytecode of the wheels to be deployed is compiled, to people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from envfab.config.settings import Settings
from envfab.deployment.compilers import likely_compiler
from envfab.deployment.proposal import Proposal


def compilers_of(proposals: Sequence[Proposal], settings: Settings) -> Mapping[str, str | None]:
    """Return the program of this machine that is to compile for each kind of interpreter; None where hosts do it.

    Kinds are those of virtualenvs that get wheels, such as `CPython 3.11`; none if nothing is to be compiled.
    """
    found: dict[str, str | None] = {}
    for one in proposals if settings.compile else ():
        if one.probe is not None and one.wheels:
            interpreter = one.probe.interpreter
            kind = f"{interpreter.implementation} {'.'.join(map(str, interpreter.version.release[:2]))}"
            found.setdefault(kind, likely_compiler(interpreter, settings.compilers))
    return found


def compiler_lines(compilers: Mapping[str, str | None]) -> Iterator[str]:
    """Yield a line for each kind of interpreter."""
    for kind, program in compilers.items():
        if program is None:
            yield f"bytecode for {kind} is compiled on each host, since this machine has no such interpreter"
        else:
            yield f"bytecode for {kind} is compiled on this machine by {program}, where hosts read what that makes"


def compilers_json(compilers: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Return the same as JSON."""
    return [{"python": kind, "program": program} for kind, program in compilers.items()]

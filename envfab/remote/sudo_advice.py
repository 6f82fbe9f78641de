"""Advice for a sudo that asks for a password which was not given; a login user may not have a password at all."""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Sequence

from envfab.errors import Disconnected, Unreachable, Unusable
from envfab.remote.process import Starter

PROMPT_HINT = "run fab --prompt-for-sudo-password, or set sudo.password"
LIMIT = 20.0  # seconds
KEPT = 100_000  # bytes
_ASK = (
    'LC_ALL=C; export LC_ALL; exec </dev/null 2>&1; echo "$0"; id -un; echo "$0"; passwd -S "$(id -un)"; '
    'echo "$0"; sudo -n -l; echo "$0"'
)
# locked or empty, as passwd -S prints it on Linux and other systems
_NO_PASSWORD = ("L", "LK", "NP")


def advise(starter: Starter, user: str, where: str, command: Sequence[str] | None = None) -> Unusable:
    """Return the error for a sudo that asked for a password, with advice that fits the login user.

    `command` is what should run as `user`, or None for a shell.
    """
    login, has_password, allowed = _look(starter)
    what = f"sudo asks for a password to {f'run {shlex.join(command)!r} as' if command else 'become'} {user}"
    if command is None and allowed and not has_password:
        return Unusable(
            f"sudo does not allow {login} to run a shell as {user}",
            where=where,
            hint=f"it allows {'; '.join(allowed)}: give such a command as a list: Command(['…'], user={user!r})",
        )
    if not has_password:
        return Unusable(
            f"{what}, and {login} has no password",
            where=where,
            hint=f"allow it without a password, in sudoers: {sudoers_line(login, user, command)}",
        )
    if command is None and allowed:
        return Unusable(what, where=where, hint=f"{PROMPT_HINT}; without a password it allows {'; '.join(allowed)}")
    return Unusable(what, where=where, hint=PROMPT_HINT)


def sudoers_line(login: str, user: str, arguments: Sequence[str] | None) -> str:
    """Return the line of sudoers(5) by which `login` may run a command (None: any) as `user` without a password."""
    return f"{login} ALL=({user}) NOPASSWD: {'ALL' if arguments is None else _spec(arguments)}"


def _spec(arguments: Sequence[str]) -> str:
    program, *given = (re.sub(r"([,:=\\ *?\[\]])", r"\\\1", word) for word in arguments)
    path = program if program.startswith("/") else f"/full/path/of/{program}"
    return " ".join([path, *given]) if given else f'{path} ""'


def _look(starter: Starter) -> tuple[str, bool, list[str]]:
    """(the login user, whether that user may have a password, what sudo allows without one)."""
    marker = f"envfab-{secrets.token_hex(8)}"
    printed = bytearray()
    try:
        process = starter.start(["/bin/sh", "-c", _ASK, marker])
        process.limit(LIMIT)
        deadline = time.monotonic() + LIMIT
        while len(printed) < KEPT and time.monotonic() < deadline and (data := process.stream.chunk()):
            printed += data
        process.finish()
    except (Unreachable, Disconnected):
        pass
    parts = printed.decode("utf-8", "replace").split(f"{marker}\n")
    if len(parts) < 4:
        return "the login", True, []
    status = parts[2].split()
    listed = re.findall(r"^\s+(\(.*\) .*NOPASSWD: .*(?:\n\s{8,}.*)*)$", parts[3], re.MULTILINE)
    allowed = [" ".join(line.split()) for line in listed]
    return parts[1].strip() or "the login", not (len(status) > 1 and status[1] in _NO_PASSWORD), allowed

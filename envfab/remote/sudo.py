"""Tests of what sudo allows, without running the command in question."""

from __future__ import annotations

import fnmatch
import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from envfab.errors import EnvfabError, Unreachable
from envfab.remote.process import Starter
from envfab.remote.run_command import run_command
from envfab.remote.startup import START_LIMIT, Identity, last_line
from envfab.remote.sudo_advice import advise, sudoers_line

# what sudo prints if it would have to ask for a password; the tests set the language
_ASKS = "a password is required"
_TEST = (
    "LC_ALL=C; export LC_ALL; user=$1; shift; "
    'sudo -n -l -u "$user" -- "$@" </dev/null 2>&1; echo "$0 $?"; sudo -n -l -l </dev/null 2>&1'
)


class SudoError(EnvfabError):
    """Raised if sudo does not allow something; `where` is the target."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission of sudo; `by_password` says whether it takes the password."""

    by_password: bool = False


def test(starter: Starter, identity: Identity, arguments: Sequence[str] | None, *, where: str, login: str) -> Grant:
    """Test whether `login` may run `arguments`, or a shell if None, as another user; raises `SudoError` if not.

    A shell is tested by starting one, which ends at once. For a command sudo is only asked (`sudo -l`).
    """
    if identity.user is None:
        return Grant()
    try:
        if arguments is None:
            run_command(starter, ":", where=where, identity=identity, timeout=START_LIMIT)
            return Grant(by_password=identity.password is not None)
        return _test_command(starter, identity, arguments, where, login)
    except Unreachable as refused:
        raise SudoError(refused.what, where=where, hint=refused.hint) from None


def _test_command(starter: Starter, identity: Identity, arguments: Sequence[str], where: str, login: str) -> Grant:
    user, marker = str(identity.user), f"envfab-{secrets.token_hex(8)}"
    script = ("/bin/sh", "-c", _TEST, marker, user, *arguments)
    printed = run_command(starter, script, where=where, identity=Identity(), timeout=START_LIMIT).output
    said, _, rest = printed.partition(f"{marker} ")
    status, _, listing = rest.partition("\n")
    allowed = status.strip() == "0"
    if not allowed and _ASKS not in said:
        raise _forbidden(said, login, user, arguments, where)
    if allowed and without_password(listing, user, last_line(said)) is not False:
        return Grant()
    if identity.password is None:
        raise advise(starter, user, where, arguments)
    return _test_by_password(starter, identity, arguments, where, login)


def _test_by_password(starter: Starter, identity: Identity, arguments: Sequence[str], where: str, login: str) -> Grant:
    """Test again, after giving sudo the password, which sudo remembers for the processes of one shell."""
    user, shown = str(identity.user), shlex.join(arguments)
    asked = ("env", "LC_ALL=C", "sudo", "-n", "-l", "-u", user, "--", *arguments)
    done = run_command(starter, asked, where=where, identity=identity, as_written=True, timeout=START_LIMIT)
    if done.status == 0:
        return Grant(by_password=True)
    if _ASKS in done.output:
        raise SudoError(
            f"sudo asks for the password every time, also for {shown!r}",
            where=where,
            hint=f"allow it without a password, in sudoers: {sudoers_line(login, user, arguments)}",
        )
    raise _forbidden(done.output, login, user, arguments, where)


def _forbidden(said: str, login: str, user: str, arguments: Sequence[str], where: str) -> SudoError:
    last = last_line(said)
    if last.startswith("sudo: ") and "not found" in last:
        return SudoError(f"{last.removeprefix('sudo: ')}", where=where, hint="give the program's full path")
    return SudoError(
        f"sudo does not allow {login} to run {shlex.join(arguments)!r} as {user}",
        where=where,
        hint=f"allow it, in sudoers: {sudoers_line(login, user, arguments)}",
    )


def without_password(listing: str, user: str, command: str) -> bool | None:
    """Return whether the output of `sudo -l -l` allows a command (full path and arguments) without a password.

    The last entry that matches decides, as in sudoers(5); None if no entry is recognised.
    """
    found: bool | None = None
    for entry in re.split(r"^Sudoers entry:.*$", listing, flags=re.MULTILINE)[1:]:
        runas = re.search(r"^\s*RunAsUsers: (.*)$", entry, re.MULTILINE)
        options = re.search(r"^\s*Options: (.*)$", entry, re.MULTILINE)
        names = [name.strip() for name in runas[1].split(",")] if runas else ["root"]
        # only sudo can tell whether groups, ids and netgroups include the user
        if not any(name in (user, "ALL") or name.startswith(("%", "#", "+", "!")) for name in names):
            continue
        specs = entry.partition("Commands:")[2].splitlines()
        if any(_matches(spec.strip(), command) for spec in specs if spec.strip()):
            found = options is not None and "!authenticate" in options[1]
    return found


def _matches(spec: str, command: str) -> bool:
    if spec == "ALL":
        return True
    path, _, arguments = re.sub(r"^sha\d+:\S+\s+", "", spec).partition(" ")
    program, _, given = command.partition(" ")
    if not fnmatch.fnmatchcase(program, _plain(path)):
        return False
    return not arguments or (arguments == '""' and not given) or fnmatch.fnmatchcase(given, _plain(arguments))


def _plain(pattern: str) -> str:
    return re.sub(r"\\([,:=\\])", r"\1", pattern)

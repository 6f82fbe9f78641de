"""Running a fabfile's own commands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from envfab.errors import Disconnected, Unreachable
from envfab.remote import command_line
from envfab.remote.process import LINGER, Process, Silence, Starter
from envfab.remote.startup import Identity, Opening

# what is kept of a command's output: its end
OUTPUT_KEPT = 200_000


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command of the fabfile ended."""

    status: int | None
    output: str


def run_command(  # noqa: PLR0913  # what to run where, as which user, and how long to wait
    starter: Starter,
    command: str | Sequence[str],
    *,
    where: str,
    identity: Identity,
    timeout: float | None = None,
    by_password: bool = False,
    as_written: bool = False,
) -> CommandResult:
    """Run a fabfile's own shell text, or program with arguments, to its end; give the end of what it printed.

    A program of another user is run by sudo alone, with no shell between; `by_password` says whether sudo wants the
    password for that. With `as_written` it uses sudo by itself, and the password has been given before.

    Raises `Silence` where it has not ended after `timeout` seconds. A service that the command starts may
    keep the output open, and go on printing: it is not waited for.
    """
    opening = _opening(starter, command, where, identity, by_password, as_written)
    process = opening.process
    try:
        opening.noise()
        printed = _output(process, None if timeout is None else time.monotonic() + timeout)
    except Silence as silence:
        process.kill()
        what = f"the command did not end within {timeout:g} s" if timeout is not None else silence.what
        raise Silence(what, where=where) from None
    except Disconnected as error:
        process.kill()
        raise Disconnected(error.what, where=where) from None
    except Unreachable:
        process.kill()
        raise
    return CommandResult(process.finish(), printed)


def _opening(
    starter: Starter, command: str | Sequence[str], where: str, identity: Identity, by_password: bool, as_written: bool
) -> Opening:
    if isinstance(command, str):
        return Opening(starter, lambda word, _: command_line.shell(word, command), where, identity)
    arguments = list(command)
    if identity.user is not None and not as_written:
        arguments = command_line.program_as_user(identity.user, command)
    if not by_password and not as_written:
        return Opening(starter, lambda word, _: command_line.program(word, arguments), where, Identity())
    return Opening(
        starter,
        lambda word, prompt: command_line.after_password(word, prompt, arguments),
        where,
        identity,
        as_written=True,
    )


def _output(process: Process, deadline: float | None) -> str:
    printed = bytearray()
    enough: float | None = None
    while enough is None or time.monotonic() < enough:
        left = LINGER if deadline is None else min(LINGER, max(0.0, deadline - time.monotonic()))
        process.limit(left)
        try:
            data = process.stream.chunk()
        except Silence:
            if process.ended():
                break
            if deadline is not None and time.monotonic() >= deadline:
                raise
            continue
        if not data:
            break
        printed += data
        del printed[:-OUTPUT_KEPT]
        # what prints without a pause is never silent
        if enough is None and deadline is not None and time.monotonic() >= deadline:
            raise Silence("the command did not end")
        # what it printed itself may still be on its way; whoever prints on after that is a service
        if enough is None and process.ended():
            enough = time.monotonic() + LINGER
    return bytes(printed).decode("utf-8", "replace")

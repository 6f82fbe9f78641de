"""Running of a fabfile's commands on a host."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from envfab.errors import Disconnected, Unreachable
from envfab.remote import command_line
from envfab.remote.process import LINGER, Process, Silence, Starter
from envfab.remote.startup import Identity, Opening

# bytes; of a longer output the end is kept
OUTPUT_KEPT = 200_000
# seconds for which output that has arrived is read after a command has ended
LAST_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command: its exit status, None if unknown, and the end of its output."""

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
    """Run a fabfile's shell text, or a program with arguments, and return how it ended.

    A program runs as another user by sudo alone, without a shell; `by_password` says that sudo wants the password for
    it. With `as_written` the program itself uses sudo, which is given the password before.

    Raises `Silence`, with what was printed until then, if the command has not ended after `timeout` seconds,
    `Disconnected` or `Unreachable`. A service that the command starts is not waited for, even if it keeps the output
    open and prints.
    """
    opening = _opening(starter, command, where, identity, by_password, as_written)
    process, printed = opening.process, bytearray()
    try:
        opening.noise()
        _read_output(process, None if timeout is None else time.monotonic() + timeout, printed)
    except Silence as silence:
        process.kill()
        what = f"the command did not end within {timeout:g} s" if timeout is not None else silence.what
        raise Silence(what, where=where, output=_text(printed)) from None
    except Disconnected as error:
        process.kill()
        raise Disconnected(error.what, where=where) from None
    except Unreachable:
        process.kill()
        raise
    return CommandResult(process.finish(), _text(printed))


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


def _text(printed: bytearray) -> str:
    return bytes(printed).decode("utf-8", "replace")


def _read_output(process: Process, deadline: float | None, printed: bytearray) -> None:
    """Read the output of a command to its end, and put the end of it into `printed`."""
    enough: float | None = None
    was_ended = False
    while enough is None or time.monotonic() < enough:
        left = LINGER if deadline is None else min(LINGER, max(0.0, deadline - time.monotonic()))
        process.limit(min(left, LAST_LOOK) if was_ended else left)
        try:
            data = process.stream.chunk()
        except Silence:
            if was_ended:
                break
            # its last output may have arrived after that read, and before the news of its end
            was_ended = process.ended()
            if was_ended:
                continue
            if deadline is not None and time.monotonic() >= deadline:
                raise
            continue
        if not data:
            break
        printed += data
        del printed[:-OUTPUT_KEPT]
        # a command that prints without a pause never runs into the read's own limit
        if enough is None and deadline is not None and time.monotonic() >= deadline:
            raise Silence("the command did not end")
        # output of the command itself may still arrive; what prints longer is a service that it started
        if enough is None and process.ended():
            enough = time.monotonic() + LINGER

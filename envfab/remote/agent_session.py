"""A conversation with an agent in a virtualenv: requests out, replies back."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

from envfab.errors import AgentError, Disconnected, EnvfabError, Locked, Unreachable, Unusable, VirtualenvMissing
from envfab.models.probe import Holder
from envfab.remote import agent_frames, agent_sources, command_line
from envfab.remote.agent_frames import MAX_MESSAGE, AgentReply, Alive, Failure
from envfab.remote.process import SILENCE, Process, Silence, Starter
from envfab.remote.run_command import run_command
from envfab.remote.startup import START_LIMIT, Identity, Opening, last_line
from envfab.util.untrusted import one_line

AGENT_WORD = b"\nENVFAB-AGENT\n"
OLD_WORD = b"\nENVFAB-OLD "
MAX_WORD = 100  # characters
NOT_EXECUTABLE, NOT_FOUND = 126, 127
# of test(1), where nothing is there
ABSENT_STATUS = 1
# how shells say it
ABSENT = ("not found", "No such file or directory")


class Session:
    """An agent at work; every method raises `AgentError` (or `Disconnected`, `Locked`), naming `where`.

    An answer may take `timeout` seconds, or as long as it takes: but an agent that gives no sign of life is given up.
    """

    def __init__(
        self, process: Process, where: str, path: str, timeout: float | None, loaded: Iterable[str] = ()
    ) -> None:
        self._process = process
        self._where = where
        self._path = path
        self._loaded = set(loaded)
        # how many answers are still to come to what was told
        self._owed = 0
        self._timeout = timeout
        self._broken = False
        process.limit(SILENCE)

    def load(self, names: Iterable[str]) -> None:
        """Send agent modules that were not sent yet; nobody waits for that."""
        missing = [name for name in names if name not in self._loaded]
        if missing:
            body = agent_sources.modules(*missing)
            self._write_frame("load", len(body), {})
            self._write(body)
            self._owed += 1
            self._loaded.update(missing)

    def ask(self, operation: str, **fields: Any) -> dict[str, Any]:
        """One request, one reply; raises what became of those that were told before, if that went wrong."""
        self._write_frame(operation, 0, dict(fields, path=self._path))
        return self._reply()

    def tell(self, operation: str, **fields: Any) -> None:
        """A request that is met before the next one; its reply comes with that one's."""
        self._write_frame(operation, 0, dict(fields, path=self._path))
        self._owed += 1

    def tell_file(self, operation: str, chunks: Iterable[bytes], size: int, **fields: Any) -> None:
        """`tell` with `size` bytes behind it."""
        self._write_frame(operation, size, dict(fields, path=self._path))
        for chunk in chunks:
            self._write(chunk)
        self._owed += 1

    def settle(self) -> None:
        """Wait for what was told; raises what became of it, if that went wrong."""
        self._owed_replies()

    def _write_frame(self, operation: str, size: int, fields: Mapping[str, Any]) -> None:
        self._write(json.dumps({"op": operation, "bytes": size, **fields}).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            self._process.limit(SILENCE)
            self._process.write(data)
        except Disconnected as error:
            raise self._ended(error) from None

    def _reply(self) -> dict[str, Any]:
        self._owed += 1
        return dict(self._owed_replies()[-1].value)

    def _owed_replies(self) -> list[AgentReply]:
        owed, self._owed = self._owed, 0
        frames = [self._frame() for _ in range(owed)]
        answers = []
        for frame in frames:
            if isinstance(frame, Failure):
                raise _problem(frame, self._where)
            answers.append(frame)
        return answers

    def _frame(self) -> AgentReply | Failure:
        deadline = time.monotonic() + (math.inf if self._timeout is None else self._timeout)
        try:
            while True:
                left = deadline - time.monotonic()
                self._process.limit(min(SILENCE, max(left, 0.0)))
                try:
                    frame = agent_frames.frame(self._process.stream.line())
                except Silence:
                    raise self._given_up(left) from None
                if not isinstance(frame, Alive):
                    return frame
        except Disconnected as error:
            raise self._ended(error) from None
        except ValueError as error:
            # whatever comes after it, no request would meet its own answer any more
            self._broken = True
            self._process.kill()
            raise AgentError(f"what came is no answer of the agent: {error}", where=self._where) from None

    def _given_up(self, left: float) -> Silence:
        """What it is that took too long: the request, or a sign of life."""
        if self._timeout is not None and left <= SILENCE:
            return Silence(f"no answer within {self._timeout:g} s")
        return Silence(f"no sign of life for {SILENCE:g} s")

    def _ended(self, error: Disconnected) -> Disconnected:
        if isinstance(error, Silence):
            self._broken = True
            self._process.abandon()
        return Disconnected(error.what, where=self._where)

    def close(self) -> None:
        """Let the agent end, and free its place."""
        if not self._broken:
            self._process.finish()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class OperationFailed(AgentError):
    """The agent could not do it; `kind` says which way, `output` holds what a child printed."""

    def __init__(self, what: str, *, where: str, kind: str, output: str = "", errno: int | None = None) -> None:
        self.kind = kind
        self.output = output
        self.errno = errno
        super().__init__(what, where=where)


def _problem(failure: Failure, where: str) -> EnvfabError:
    if failure.kind == "locked":
        return Locked(
            f"another deployment is at work here{_spoken(failure.holder)}",
            where=where,
            hint="try again when it is done, or let fab deploy --wait SECONDS wait for it",
        )
    message, output = failure.message, failure.output
    if failure.kind == "crash":
        message, output = f"the agent failed: {last_line(message)}", message
    return OperationFailed(
        one_line(message)[:MAX_MESSAGE], where=where, kind=failure.kind, output=output, errno=failure.errno
    )


def _spoken(holder: Holder | None) -> str:
    if holder is None or holder.who is None:
        return ""
    return f": {holder.who} from {holder.origin or 'elsewhere'}, since {holder.since or 'some time'}"


def start_agent(  # noqa: PLR0913  # what to start where, as which user, and how long to wait
    starter: Starter,
    executable: str,
    path: str,
    *,
    where: str,
    identity: Identity,
    modules: Sequence[str],
    timeout: float | None = None,
    if_absent: str | None = None,
) -> Session:
    """Start the agent with an interpreter of the managed side; raises `Unreachable` with what went wrong.

    `if_absent` is the hint where there is no such interpreter; without one the interpreter is that of the virtualenv
    at `path`, of which is said whether it is missing.
    """
    opening = Opening(
        starter, lambda word, _: command_line.python(word, executable, agent_sources.loader()), where, identity
    )
    process = opening.process
    names = [*agent_sources.KERNEL, *modules]
    first = agent_sources.modules(*names)
    payload = b"%d\n%s" % (len(first), first)
    try:
        # with sudo not a byte of ours goes out before it has asked, for it reads the password from the same stream
        if identity.user is None:
            _write_to_whoever_reads(process, payload)
        noise = opening.noise()
        if identity.user is not None:
            _write_to_whoever_reads(process, payload)
        word, more = process.stream.until([AGENT_WORD, OLD_WORD], START_LIMIT)
        if word == OLD_WORD:
            version = one_line(process.stream.line().decode("ascii", "replace"))[:MAX_WORD]
            raise Unusable(
                f"its interpreter is Python {version}", where=where, hint="envfab manages CPython 2.7 and 3.6 or newer"
            )
        if word is None:
            status, printed = process.finish(), noise + more
            if not _is_absent(status, printed):
                raise _not_started(status, where, executable, printed)
            if if_absent is not None:
                raise Unusable(f"there is no {executable}", where=where, hint=if_absent)
            raise _no_interpreter(starter, path, where, identity)
    except Disconnected as error:
        process.kill()
        raise Unreachable(error.what, where=where) from None
    except ValueError:
        process.kill()
        raise Unusable(f"{executable} is not a Python interpreter", where=where) from None
    except Unreachable:
        process.kill()
        raise
    return Session(process, where, path, timeout, loaded=names)


def _write_to_whoever_reads(process: Process, payload: bytes) -> None:
    # where nobody does, what the other side printed tells why
    with suppress(Disconnected):
        process.write(payload)


def _is_absent(status: int | None, printed: str) -> bool:
    last = last_line(printed)
    return status == NOT_FOUND and last.endswith(ABSENT) and "shared librar" not in last


def _no_interpreter(starter: Starter, path: str, where: str, identity: Identity) -> Unreachable:
    """The error for a virtualenv without interpreter: nothing is there at all, or it lost the one it had."""
    python = f"{path}/bin/python"
    files = [f"{path}/pyvenv.cfg", python]
    there = run_command(
        starter,
        " || ".join(f"test -e {shlex.quote(file)} || test -L {shlex.quote(file)}" for file in files),
        where=where,
        identity=identity,
        timeout=START_LIMIT,
    )
    if there.status == 0:
        hint = "fab create_virtualenv --repair gives it the interpreter that it lost"
        return Unusable(f"there is no {python}, though the virtualenv is there", where=where, hint=hint)
    if there.status == ABSENT_STATUS:
        return VirtualenvMissing(f"there is no {python}", where=where, hint="fab create_virtualenv makes it")
    # whether there is one is not known
    said = last_line(there.output) or f"it ended with status {there.status}"
    return Unusable(f"{python} did not start, and looking for it failed: {said}", where=where)


def _not_started(status: int | None, where: str, executable: str, noise: str) -> Unreachable:
    last = last_line(noise)
    if status == NOT_FOUND:
        # pyenv's and asdf's shims say first what is not found, and at the end how to mend it
        last = next((line for line in map(last_line, noise.splitlines()) if line.endswith(ABSENT)), last)
    if status == NOT_EXECUTABLE:
        return Unusable(f"{executable} cannot be run: {last}", where=where)
    return Unusable(f"{executable} did not start: {last or f'it ended with status {status}'}", where=where)

"""Sessions with an agent: starting it, sending requests, reading replies."""

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
# exit status of test(1) if the file does not exist
ABSENT_STATUS = 1
# the ends of shells' messages about a program that does not exist
ABSENT = ("not found", "No such file or directory")


class Session:
    """A session with a running agent; every method raises `AgentError`, `Disconnected` or `Locked`, with `where`.

    A reply may take `timeout` seconds, or any time if that is None; but an agent that gives no sign of life for
    `SILENCE` seconds is given up.
    """

    def __init__(
        self, process: Process, where: str, path: str, timeout: float | None, loaded: Iterable[str] = ()
    ) -> None:
        self._process = process
        self._where = where
        self._path = path
        self._loaded = set(loaded)
        # how many replies to earlier requests were not read yet
        self._owed = 0
        self._timeout = timeout
        self._broken = False
        process.limit(SILENCE)

    def load(self, names: Iterable[str]) -> None:
        """Send the agent modules that were not sent yet, without waiting for the reply."""
        missing = [name for name in names if name not in self._loaded]
        if missing:
            body = agent_sources.compiled_modules(*missing)
            self._write_frame("load", len(body), {})
            self._write(body)
            self._owed += 1
            self._loaded.update(missing)

    def ask(self, operation: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for its reply; raises the error of an earlier request (`tell`) that failed."""
        self._write_frame(operation, 0, dict(fields, path=self._path))
        return self._reply()

    def tell(self, operation: str, **fields: Any) -> None:
        """Send a request without waiting; the next `ask` or `settle` reads its reply and raises its error."""
        self._write_frame(operation, 0, dict(fields, path=self._path))
        self._owed += 1

    def tell_file(self, operation: str, chunks: Iterable[bytes], size: int, **fields: Any) -> None:
        """Send a request as `tell` does, followed by `size` bytes, which `chunks` yields."""
        self._write_frame(operation, size, dict(fields, path=self._path))
        for chunk in chunks:
            self._write(chunk)
        self._owed += 1

    def settle(self) -> None:
        """Wait for the replies to everything sent by `tell`; raises the first error."""
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
            # from here on, replies could no longer be assigned to their requests
            self._broken = True
            self._process.kill()
            raise AgentError(f"invalid reply of the agent: {error}", where=self._where) from None

    def _given_up(self, left: float) -> Silence:
        """The error for what took too long: the request, or a sign of life."""
        if self._timeout is not None and left <= SILENCE:
            return Silence(f"no answer within {self._timeout:g} s")
        return Silence(f"no sign of life for {SILENCE:g} s")

    def _ended(self, error: Disconnected) -> Disconnected:
        if isinstance(error, Silence):
            self._broken = True
            self._process.abandon()
        return Disconnected(error.what, where=self._where)

    def close(self) -> None:
        """End the agent and free its place on the connection."""
        if not self._broken:
            self._process.finish()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class OperationFailed(AgentError):
    """An operation of the agent failed; `kind` is the kind of failure, `output` that of a command that failed."""

    def __init__(self, what: str, *, where: str, kind: str, output: str = "", errno: int | None = None) -> None:
        self.kind = kind
        self.output = output
        self.errno = errno
        super().__init__(what, where=where)


def _problem(failure: Failure, where: str) -> EnvfabError:
    if failure.kind == "locked":
        return Locked(
            f"another deployment is under way{_spoken(failure.holder)}",
            where=where,
            hint="try again when it has ended, or wait for it: fab deploy --wait SECONDS",
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
    since = f", since {holder.since}" if holder.since else ""
    return f": {holder.who} from {holder.origin or 'an unknown machine'}{since}"


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
    """Start the agent with an interpreter of the host.

    `if_absent` is the hint for an interpreter that does not exist; without it, the interpreter is that of the
    virtualenv at `path`. Raises `VirtualenvMissing` if the virtualenv does not exist, `Unusable` if its interpreter
    cannot be used, `Unreachable` if the connection is lost.
    """
    opening = Opening(
        starter, lambda word, _: command_line.python(word, executable, agent_sources.loader()), where, identity
    )
    process = opening.process
    names = [*agent_sources.KERNEL, *modules]
    first = agent_sources.modules(*names)
    payload = b"%d\n%s" % (len(first), first)
    try:
        # sudo reads the password from the same stream, so nothing may be sent before sudo has run the command
        if identity.user is None:
            _write_if_read(process, payload)
        noise = opening.noise()
        if identity.user is not None:
            _write_if_read(process, payload)
        word, more = process.stream.until([AGENT_WORD, OLD_WORD], START_LIMIT)
        if word == OLD_WORD:
            version = one_line(process.stream.line().decode("ascii", "replace"))[:MAX_WORD]
            raise Unusable(
                f"the interpreter is Python {version}", where=where, hint="envfab manages CPython 2.7 and 3.6 or newer"
            )
        if word is None:
            status, printed = process.finish(), noise + more
            if not _is_absent(status, printed):
                raise _not_started(status, where, executable, printed, path)
            if if_absent is not None:
                raise Unusable(f"{executable} does not exist", where=where, hint=if_absent)
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


def _write_if_read(process: Process, payload: bytes) -> None:
    # if the other side does not read, what it printed says why
    with suppress(Disconnected):
        process.write(payload)


def _is_absent(status: int | None, printed: str) -> bool:
    last = last_line(printed)
    return status == NOT_FOUND and last.endswith(ABSENT) and "shared librar" not in last


def _no_interpreter(starter: Starter, path: str, where: str, identity: Identity) -> Unreachable:
    """The error for a virtualenv without an interpreter: the virtualenv does not exist, or lost its interpreter."""
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
        hint = "repair the virtualenv: fab create_virtualenv --repair"
        return Unusable(f"the virtualenv exists, but {python} does not", where=where, hint=hint)
    if there.status == ABSENT_STATUS:
        return VirtualenvMissing(f"{python} does not exist", where=where, hint="fab create_virtualenv makes it")
    said = last_line(there.output) or f"exit status {there.status}"
    return Unusable(f"{python} did not start, and checking whether it exists failed: {said}", where=where)


def _not_started(status: int | None, where: str, executable: str, noise: str, path: str) -> Unreachable:
    last = last_line(noise)
    if status == NOT_FOUND:
        # the shims of pyenv and asdf print first what was not found, and at the end what to do
        last = next((line for line in map(last_line, noise.splitlines()) if line.endswith(ABSENT)), last)
    if status == NOT_EXECUTABLE:
        return Unusable(f"cannot run {executable}: {last}", where=where)
    hint = (
        "a .pth file or sitecustomize.py among its packages may end it: remove that file, or go back to an older"
        f" generation: ln -sfn generations/NUMBER {path}/.envfab/current"
    )
    by_itself = not last and executable == f"{path}/bin/python"
    what = f"{executable} did not start: {last or f'exit status {status}'}"
    return Unusable(what, where=where, hint=hint if by_itself else "")

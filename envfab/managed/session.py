"""A conversation with an agent in a virtualenv: requests out, replies back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from envfab.errors import AgentError, Disconnected, EnvfabError, Locked, Unreachable
from envfab.managed import bundle, commands
from envfab.managed.process import Process

AGENT_WORD = b"\nENVFAB-AGENT\n"
OLD_WORD = b"\nENVFAB-OLD "
# how long an interpreter and the start-up files of a login may take to come up
START_LIMIT = 60.0
NOT_EXECUTABLE, NOT_FOUND = 126, 127


class Starter(Protocol):
    """Whoever can start a process on the managed side: a reservation on a link."""

    def start(self, arguments: Sequence[str]) -> Process:
        """Start it."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who runs something there: `user` under sudo, or, where it is None, whoever logged in."""

    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Identity(user={self.user!r})"


class Session:
    """An agent at work; every method raises `AgentError` (or `Disconnected`, `Locked`), naming `where`."""

    def __init__(self, process: Process, where: str, path: str, timeout: float | None) -> None:
        self._process = process
        self._where = where
        self._path = path
        self._loaded: set[str] = set()
        process.limit(timeout)

    def load(self, names: Iterable[str]) -> None:
        """Send agent modules that were not sent yet."""
        missing = [name for name in names if name not in self._loaded]
        if missing:
            self._ask("load", body=bundle.modules(*missing))
            self._loaded.update(missing)

    def ask(self, operation: str, **fields: Any) -> dict[str, Any]:
        """One request, one reply."""
        return self._ask(operation, path=self._path, **fields)

    def send_file(self, operation: str, chunks: Iterable[bytes], size: int, **fields: Any) -> dict[str, Any]:
        """A request with `size` bytes behind it."""
        self._write_frame(operation, size, dict(fields, path=self._path))
        for chunk in chunks:
            self._process.write(chunk)
        return self._reply()

    def _ask(self, operation: str, body: bytes = b"", **fields: Any) -> dict[str, Any]:
        self._write_frame(operation, len(body), fields)
        if body:
            self._process.write(body)
        return self._reply()

    def _write_frame(self, operation: str, size: int, fields: Mapping[str, Any]) -> None:
        try:
            self._process.write(json.dumps({"op": operation, "bytes": size, **fields}).encode() + b"\n")
        except Disconnected as error:
            raise Disconnected(error.what, where=self._where) from None

    def _reply(self) -> dict[str, Any]:
        try:
            frame = json.loads(self._process.stream.line())
        except Disconnected as error:
            raise Disconnected(error.what, where=self._where) from None
        if "ok" in frame:
            reply: dict[str, Any] = frame["ok"]
            return reply
        raise _problem(frame["problem"], self._where)

    def close(self) -> None:
        """Let the agent end, and free its place."""
        self._process.finish()

    def abandon(self) -> None:
        """Stop talking to it; it finishes the operation in hand and ends."""
        self._process.kill()

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


def _problem(problem: Mapping[str, Any], where: str) -> EnvfabError:
    kind, message = problem["kind"], problem["message"]
    if kind == "locked":
        return Locked(f"another deployment is at work here{_holder(problem.get('holder'))}", where=where)
    if kind == "crash":
        return OperationFailed(f"the agent failed: {message.splitlines()[-1]}", where=where, kind=kind, output=message)
    return OperationFailed(
        message, where=where, kind=kind, output=problem.get("output", ""), errno=problem.get("errno")
    )


def _holder(holder: Mapping[str, Any] | None) -> str:
    if not holder:
        return ""
    return f": {holder.get('who')} from {holder.get('from')}, since {holder.get('since')}"


def start_agent(
    starter: Starter,
    executable: str,
    path: str,
    *,
    where: str,
    identity: Identity,
    modules: Sequence[str],
    timeout: float | None = None,
) -> Session:
    """Start the agent with an interpreter of the managed side; raises `Unreachable` with what went wrong.

    Without sudo everything is sent at once; with it, not a byte of ours goes out before sudo has asked for
    the password or the agent has said its word, for the password is read from the same stream.
    """
    prompt = f"envfab-{secrets.token_hex(8)}:"
    arguments = commands.python(executable, bundle.loader())
    if identity.user is not None:
        arguments = commands.as_user(identity.user, prompt, arguments)
    process = starter.start(arguments)
    process.limit(START_LIMIT)
    names = [*bundle.KERNEL, *modules]
    first = bundle.modules(*names)
    payload = b"%d\n%s" % (len(first), first)
    try:
        if identity.user is None:
            # where nobody reads it, what the other side printed tells why
            with suppress(Disconnected):
                process.write(payload)
            _await_word(process, where, executable, prompt=None, identity=identity)
        else:
            _await_word(process, where, executable, prompt=prompt, identity=identity)
            process.write(payload)
    except Disconnected as error:
        process.kill()
        raise Unreachable(error.what, where=where) from None
    except Unreachable:
        process.kill()
        raise
    session = Session(process, where, path, timeout)
    session._loaded.update(names)
    return session


def _await_word(process: Process, where: str, executable: str, *, prompt: str | None, identity: Identity) -> None:
    asked = False
    markers = [AGENT_WORD, OLD_WORD, *([prompt.encode()] if prompt else [])]
    while True:
        word, noise = process.stream.until(markers)
        if word == AGENT_WORD:
            return
        if word == OLD_WORD:
            version = process.stream.line().decode("ascii", "replace").strip()
            raise Unreachable(
                f"its interpreter is Python {version}", where=where, hint="envfab manages CPython 2.7 and 3.6 or newer"
            )
        if word is None:
            raise _not_started(process, where, executable, noise, identity)
        if asked:
            raise Unreachable(f"sudo refused the password for user {identity.user}", where=where)
        if identity.password is None:
            raise Unreachable(
                f"sudo asks for a password to become {identity.user}",
                where=where,
                hint="run fab --prompt-for-sudo-password, or set sudo.password",
            )
        process.write(identity.password.encode() + b"\n")
        asked = True


def _not_started(process: Process, where: str, executable: str, noise: str, identity: Identity) -> Unreachable:
    status = process.finish()
    said = [line.strip() for line in noise.splitlines() if line.strip()]
    last = said[-1] if said else f"it ended with status {status}"
    if identity.user is not None and "sudo:" in noise:
        return Unreachable(f"sudo to {identity.user} failed: {last}", where=where)
    if status == NOT_FOUND or "No such file" in last:
        return Unreachable(
            f"there is no {executable}", where=where, hint="to make the virtualenv, run: fab create_virtualenv"
        )
    if status == NOT_EXECUTABLE or "Permission denied" in last:
        return Unreachable(f"{executable} cannot be run: {last}", where=where)
    return Unreachable(f"{executable} did not start: {last}", where=where)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command of the fabfile ended."""

    status: int | None
    output: str


def run_command(
    starter: Starter,
    text: str,
    *,
    where: str,
    identity: Identity,
    timeout: float | None = None,
    on_start: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run a fabfile's own shell text to its end; raises `Disconnected` where no word comes for `timeout` seconds."""
    prompt = f"envfab-{secrets.token_hex(8)}:"
    arguments = commands.shell(text)
    if identity.user is not None:
        arguments = commands.as_user(identity.user, prompt, arguments)
    process = starter.start(arguments)
    on_start()
    process.limit(timeout)
    printed = ""
    try:
        while identity.user is not None:
            word, noise = process.stream.until([prompt.encode()])
            printed += noise
            if word is None:
                break
            if identity.password is None:
                raise Unreachable(
                    f"sudo asks for a password to become {identity.user}",
                    where=where,
                    hint="run fab --prompt-for-sudo-password, or set sudo.password",
                )
            process.write(identity.password.encode() + b"\n")
        printed += process.stream.rest()
    except (Disconnected, Unreachable):
        process.kill()
        raise
    return Outcome(process.finish(), printed)

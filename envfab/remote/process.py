"""Processes on a host, local or remote, and the places for them on a connection."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Protocol, TypeVar, cast

from envfab.errors import Disconnected, Unusable
from envfab.remote.stream import Stream

T = TypeVar("T")
CHUNK = 65536
# seconds that a process may take to end once its input has ended
GOODBYE = 10.0
# seconds without a sign of life of a host or an agent: some virtual machines are paused this long for a snapshot
SILENCE = 60.0
# seconds to wait for more output of a process that has ended, if something that it started keeps its output open
LINGER = 0.3


class Silence(Disconnected):
    """Raised if nothing was received within the time limit of a read; `output` is what a command had printed."""

    def __init__(self, what: str, *, where: str = "", output: str = "") -> None:
        self.output = output
        super().__init__(what, where=where)


class SessionsRefused(Unusable):
    """Raised if the server allows no session beside the `others` that are open on the connection."""

    def __init__(self, others: int, where: str) -> None:
        self.others = others
        super().__init__("the server refuses more sessions", where=where, hint="raise MaxSessions in its sshd_config")


class Process(Protocol):
    """The protocol of a running process; its standard error is in its standard output."""

    stream: Stream

    def write(self, data: bytes) -> None:
        """Write to its standard input; raises `Disconnected` if that is closed, `Silence` after the time limit."""
        ...

    def limit(self, seconds: float | None) -> None:
        """Limit the seconds that a read or write may wait for the next byte, before it raises `Silence`."""
        ...

    def ended(self) -> bool:
        """Return whether it is known to have ended; processes that it started may keep its output open."""
        ...

    def finish(self) -> int | None:
        """End its input and wait for its end, at most `GOODBYE` seconds; return its exit status, or None if unknown."""
        ...

    def abandon(self) -> None:
        """Close its streams without waiting; it may finish what it is doing."""
        ...

    def kill(self) -> None:
        """Close its streams, and terminate it if that is possible."""
        ...


class Starter(Protocol):
    """The protocol of what can start a process on a host, such as a reservation."""

    def start(self, arguments: Sequence[str]) -> Process:
        """Start a process; raises `Unreachable` or `Disconnected`."""
        ...


class HostConnection:
    """A connection to a host, with places for a limited number of processes.

    The limit is lowered if the server turns out to allow fewer.
    """

    def __init__(
        self,
        name: str,
        places: int,
        start: Callable[[Sequence[str]], Process],
        close: Callable[[], bool] = lambda: False,
    ) -> None:
        """Initialise; `close` closes what `start` opens again, and returns whether it did."""
        self.name = name
        self.places = places
        self.tight = False
        self._free = places
        self._changed = threading.Condition()
        self._start = start
        self._close = close
        self._idle: list[Callable[[], None]] = []
        self._known: dict[object, object] = {}
        self._asking: dict[object, threading.Lock] = {}

    def remember(self, key: object, ask: Callable[[], T]) -> T:
        """Return the result of `ask`, which is called once for each key; exceptions are not remembered."""
        with self._changed:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            if key not in self._known:
                self._known[key] = ask()
            return cast(T, self._known[key])

    def reserve(self, count: int) -> Reservation:
        """Wait until `count` places are free and take them together, so that reservations cannot deadlock.

        If the connection has fewer places, take all of them.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._free >= min(count, self.places))
            taken = min(count, self.places)
            self._free -= taken
        return Reservation(self, taken)

    def release(self, count: int) -> None:
        """Release places."""
        with self._changed:
            self._free += count
            self._changed.notify_all()

    def close_if_idle(self) -> bool:
        """Close the connection if no places are taken, and return whether it was closed; `start` opens it again."""
        with self._changed:
            return self._free == self.places and self._close()

    def start(self, arguments: Sequence[str], wait: bool = True) -> Process:
        """Start a process; the caller must hold a reservation.

        If the server allows fewer sessions than there are places, wait until others have ended. Without `wait`, raise
        `SessionsRefused` instead: a caller that has a session open must not wait for others to end.
        """
        while True:
            try:
                return self._start(arguments)
            except SessionsRefused as refused:
                self._tighten(refused.others)
                if not wait:
                    raise

    def _tighten(self, places: int) -> None:
        with self._changed:
            self.tight = True
            fewer = max(1, min(self.places, places))
            self._free -= self.places - fewer
            self.places = fewer
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for end in idle:
            end()

    def end_where_needed(self, end: Callable[[], None]) -> None:
        """Register `end`, which ends something idle: it is called if the server allows too few sessions.

        It is called at once if that is known already. `keep_idle` clears what is registered.
        """
        with self._changed:
            if not self.tight:
                self._idle.append(end)
                return
        end()

    def keep_idle(self) -> None:
        """Clear what `end_where_needed` registered, since it may no longer be idle."""
        with self._changed:
            self._idle.clear()


class Reservation:
    """Places on a connection; at most `count` processes started through it may run at the same time."""

    def __init__(self, link: HostConnection, count: int) -> None:
        self.link = link
        self.count = count

    def start(self, arguments: Sequence[str]) -> Process:
        """Start a process in one of the places."""
        return self.link.start(arguments)

    def release(self) -> None:
        """Release the places; a second call does nothing."""
        count, self.count = self.count, 0
        if count:
            self.link.release(count)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


class LocalProcess:
    """A child process of this program, in a session of its own, so that Ctrl-C at the terminal does not reach it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        try:
            self._child = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            raise Unusable(f"cannot start {arguments[0]}: {error.strerror}") from None
        self._limit: float | None = None
        if self._child.stdin is not None:
            # non-blocking, so that a write waits for room only as long as the limit allows
            os.set_blocking(self._child.stdin.fileno(), False)
        self.stream = Stream(self._receive)

    def _receive(self) -> bytes:
        out = self._child.stdout
        if out is None or out.closed:
            return b""
        self._wait(out, select.POLLIN, "no answer")
        return os.read(out.fileno(), CHUNK)

    def _wait(self, pipe: IO[bytes], event: int, what: str) -> None:
        # select() takes no descriptor above 1023
        waiting = select.poll()
        waiting.register(pipe, event)
        if not waiting.poll(None if self._limit is None else self._limit * 1000):
            raise Silence(f"{what} within {self._limit:g} s")

    def write(self, data: bytes) -> None:
        """See `Process`."""
        view = memoryview(data)
        try:
            while view and self._child.stdin is not None:
                self._wait(self._child.stdin, select.POLLOUT, "the process read nothing")
                view = view[os.write(self._child.stdin.fileno(), view[:CHUNK]) :]
        except (OSError, ValueError):
            raise Disconnected("the connection ended") from None

    def limit(self, seconds: float | None) -> None:
        """See `Process`."""
        self._limit = seconds

    def ended(self) -> bool:
        """See `Process`."""
        return self._child.poll() is not None

    def finish(self) -> int | None:
        """See `Process`."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            return self._child.wait(GOODBYE)
        except subprocess.TimeoutExpired:
            # it is still doing something, and will end by itself
            return None
        finally:
            if self._child.stdout is not None:
                self._child.stdout.close()

    def abandon(self) -> None:
        """See `Process`."""
        self._close()
        # reaps it whenever it ends, so that it is not left as a zombie
        threading.Thread(target=self._child.wait, name="envfab-abandoned", daemon=True).start()

    def _close(self) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def kill(self) -> None:
        """See `Process`."""
        self._close()
        if self._child.poll() is None:
            # a process under sudo may not be killed, but notices that its streams are closed
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(1)


def local_link() -> HostConnection:
    """Return a connection to this machine, without SSH."""
    return HostConnection("localhost", 32, LocalProcess)

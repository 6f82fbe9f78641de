"""A process on the managed side, wherever that is, and the places for them on one connection."""

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
# how long a peer may take to close after the end of our input, before its place is given up on
GOODBYE = 10.0
# how long a host, or an agent at work, may give no sign of life: as long as some virtual machines are paused for a copy
SILENCE = 60.0
# and once it is known to have ended, where something that it started keeps its output open
LINGER = 0.3


class Silence(Disconnected):
    """Nothing came for as long as a read may wait."""


class SessionsRefused(Unusable):
    """The server allows no session beside the `others` that are open on the connection."""

    def __init__(self, others: int, where: str) -> None:
        self.others = others
        super().__init__("the server refuses more sessions", where=where, hint="its sshd_config: MaxSessions")


class Process(Protocol):
    """Something that runs there; standard error comes with standard output."""

    stream: Stream

    def write(self, data: bytes) -> None:
        """Send to its standard input; raises `Disconnected` where nobody reads it any more."""
        ...

    def limit(self, seconds: float | None) -> None:
        """How long a read may wait for the next byte, and a write for a byte to be taken; raises `Silence` then."""
        ...

    def ended(self) -> bool:
        """Whether it is known to have ended; what it started may still hold its output open."""
        ...

    def finish(self) -> int | None:
        """End its input, wait for its end within reason: its exit status, or None where that is not known."""
        ...

    def abandon(self) -> None:
        """Close its streams and wait for nothing: what it is in the middle of it may finish."""
        ...

    def kill(self) -> None:
        """Give it up: close its streams, and end it where that can be done."""
        ...


class Starter(Protocol):
    """Whoever can start a process on the managed side: a reservation on a link."""

    def start(self, arguments: Sequence[str]) -> Process:
        """Start it."""
        ...


class HostConnection:
    """A way to start processes on a host, with a bound on how many run at once.

    The bound is lowered where the server turns out to allow fewer.
    """

    def __init__(self, name: str, places: int, start: Callable[[Sequence[str]], Process]) -> None:
        self.name = name
        self.places = places
        self.tight = False
        self._free = places
        self._changed = threading.Condition()
        self._start = start
        self._idle: list[Callable[[], None]] = []
        self._known: dict[object, object] = {}
        self._asking: dict[object, threading.Lock] = {}

    def remember(self, key: object, ask: Callable[[], T]) -> T:
        """What `ask` told of the host; it is asked once for each key, unless it raises."""
        with self._changed:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            if key not in self._known:
                self._known[key] = ask()
            return cast(T, self._known[key])

    def reserve(self, count: int) -> Reservation:
        """Wait until `count` places are free and take all of them at once, so that none waits for another.

        Where there are not so many, all there are is enough.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._free >= min(count, self.places))
            taken = min(count, self.places)
            self._free -= taken
        return Reservation(self, taken)

    def release(self, count: int) -> None:
        """Give places back."""
        with self._changed:
            self._free += count
            self._changed.notify_all()

    def start(self, arguments: Sequence[str], wait: bool = True) -> Process:
        """Start a process; for those who hold a reservation.

        Where the server allows fewer sessions than there are places, wait until others have ended, or (without `wait`)
        raise `SessionsRefused`: for those who hold one of these themselves.
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
        """Have something idle ended where the server allows too few sessions, until `keep_idle` is called."""
        with self._changed:
            if not self.tight:
                self._idle.append(end)
                return
        end()

    def keep_idle(self) -> None:
        """End nothing any more for the sake of others: it may be at work."""
        with self._changed:
            self._idle.clear()


class Reservation:
    """Places on a link; at most `count` processes started through it may run at the same time."""

    def __init__(self, link: HostConnection, count: int) -> None:
        self.link = link
        self.count = count

    def start(self, arguments: Sequence[str]) -> Process:
        """Start a process in one of the places."""
        return self.link.start(arguments)

    def release(self) -> None:
        """Give the places back; a second time does nothing."""
        count, self.count = self.count, 0
        if count:
            self.link.release(count)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


class LocalProcess:
    """A child of this program, in a session of its own: a Ctrl-C at the terminal does not reach it."""

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
            # to write is to wait for room, and not for ever
            os.set_blocking(self._child.stdin.fileno(), False)
        self.stream = Stream(self._receive)

    def _receive(self) -> bytes:
        out = self._child.stdout
        if out is None or out.closed:
            return b""
        self._wait(out, select.POLLIN, "no answer")
        return os.read(out.fileno(), CHUNK)

    def _wait(self, pipe: IO[bytes], event: int, what: str) -> None:
        # select() itself takes no descriptor above 1023
        waiting = select.poll()
        waiting.register(pipe, event)
        if not waiting.poll(None if self._limit is None else self._limit * 1000):
            raise Silence(f"{what} within {self._limit:g} s")

    def write(self, data: bytes) -> None:
        """As `Process` says."""
        view = memoryview(data)
        try:
            while view and self._child.stdin is not None:
                self._wait(self._child.stdin, select.POLLOUT, "nothing was taken")
                view = view[os.write(self._child.stdin.fileno(), view[:CHUNK]) :]
        except (OSError, ValueError):
            raise Disconnected("the connection ended") from None

    def limit(self, seconds: float | None) -> None:
        """As `Process` says."""
        self._limit = seconds

    def ended(self) -> bool:
        """As `Process` says."""
        return self._child.poll() is not None

    def finish(self) -> int | None:
        """As `Process` says."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            return self._child.wait(GOODBYE)
        except subprocess.TimeoutExpired:
            # it is in the middle of something, and ends by itself after that
            return None
        finally:
            if self._child.stdout is not None:
                self._child.stdout.close()

    def abandon(self) -> None:
        """As `Process` says."""
        self._close()
        # whenever it ends, it is not left as a zombie
        threading.Thread(target=self._child.wait, name="envfab-abandoned", daemon=True).start()

    def _close(self) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def kill(self) -> None:
        """As `Process` says."""
        self._close()
        if self._child.poll() is None:
            # what runs under sudo is not ours to end; it sees that its streams are closed
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(1)


def local_link() -> HostConnection:
    """This machine, without SSH."""
    return HostConnection("localhost", 32, LocalProcess)

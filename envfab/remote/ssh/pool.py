"""The pool of SSH connections that are open at the same time; those that are idle are closed when others need room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from envfab.remote.process import HostConnection
from envfab.remote.ssh.channel import PLACES, Sessions, SSHProcess


class ConnectionPool:
    """The open connections to hosts: at most `most`, unless more than that are in use. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        # in the order of their last use
        self._open: dict[PooledConnection, None] = {}

    def used(self, connection: PooledConnection) -> None:
        """Register the use of a connection, open or about to be opened; close idle ones if there are too many."""
        with self._lock:
            self._open.pop(connection, None)
            self._open[connection] = None
            excess = len(self._open) - self._most
            others = [*self._open][:-1] if excess > 0 else []
        for other in others:
            if excess <= 0:
                break
            if other.link.close_if_idle():
                excess -= 1

    def closed(self, connection: PooledConnection) -> None:
        """Register that a connection is no longer open."""
        with self._lock:
            self._open.pop(connection, None)


class PooledConnection:
    """The SSH connection to one host, opened when a process is started, and again after the pool has closed it."""

    def __init__(
        self, name: str, connect: Callable[[], Sessions], disconnect: Callable[[], bool], pool: ConnectionPool
    ) -> None:
        """Initialise; `connect` raises `Unreachable`, `disconnect` returns False if others use the connection."""
        self.link = HostConnection(name, PLACES, self._start, self._close)
        self._connect = connect
        self._disconnect = disconnect
        self._pool = pool
        self._changing = threading.Lock()
        self._sessions: Sessions | None = None

    def open(self) -> Sessions:
        """Open the connection if it is closed; raises `Unreachable`."""
        with self._changing:
            if self._sessions is None:
                self._pool.used(self)
                try:
                    self._sessions = self._connect()
                except BaseException:
                    self._pool.closed(self)
                    raise
            return self._sessions

    def _start(self, arguments: Sequence[str]) -> SSHProcess:
        sessions = self.open()
        self._pool.used(self)
        return sessions.start(arguments)

    def _close(self) -> bool:
        # without waiting: it may be about to be opened, by a thread that wants to close another one
        if not self._changing.acquire(blocking=False):
            return False
        try:
            if self._sessions is None or not self._disconnect():
                return False
            self._sessions = None
        finally:
            self._changing.release()
        self._pool.closed(self)
        return True

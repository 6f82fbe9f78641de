"""A process behind a channel of an SSH connection, with the traps of Paramiko and sshd on the way to it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import paramiko

from envfab.errors import Disconnected, Unusable
from envfab.remote import command_line
from envfab.remote.process import CHUNK, GOODBYE, LINGER, SessionsRefused, Silence
from envfab.remote.stream import Stream

# sshd's MaxSessions is 10 by default; two are left to whatever else uses the connection
PLACES = 8
# sshd frees a session a little after the client saw it close, and refuses new ones until then
REFUSED_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
# who is refused for longer than that is not waiting for a session to be freed
LATE = 0.7
# what Paramiko raises where a connection is gone; which of them depends on who notices first
GONE = (OSError, EOFError, paramiko.SSHException)


class SSHProcess:
    """A process behind a channel of an SSH connection."""

    def __init__(self, channel: paramiko.Channel, arguments: Sequence[str]) -> None:
        self._channel = channel
        channel.set_combine_stderr(True)
        self.stream = Stream(self._receive)
        channel.exec_command(command_line.LOGIN_SHELL_LINE)
        self.write(os.fsencode(command_line.quoted(arguments)) + b"\n")

    def _receive(self) -> bytes:
        # to read is to send as well: how much more may come
        with self._told():
            data = self._channel.recv(CHUNK)
        if not data:
            self._say_who_was_silent()
        return data

    def write(self, data: bytes) -> None:
        """As `Process` says."""
        with self._told():
            self._channel.sendall(data)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What becomes of the connection, in our own words."""
        try:
            yield
        except TimeoutError:
            raise Silence(f"no answer within {self._channel.gettimeout():g} s") from None
        except GONE:
            self._say_who_was_silent()
            raise Disconnected("the connection ended") from None

    def _say_who_was_silent(self) -> None:
        """Raise `Disconnected` where it was us who ended the connection, for there was no sign of life."""
        silent = getattr(self._channel.get_transport(), "silent_for", None)
        if silent is not None:
            raise Disconnected(f"the host gave no sign of life for {silent:.0f} s")

    def limit(self, seconds: float | None) -> None:
        """As `Process` says."""
        self._channel.settimeout(seconds)

    @property
    def closed(self) -> bool:
        """Whether it was finished or given up: it takes no session any more."""
        return self._channel.closed

    def ended(self) -> bool:
        """As `Process` says."""
        return self._channel.exit_status_ready()

    def finish(self) -> int | None:
        """As `Process` says; the channel is only closed once the peer has closed it, for sshd counts until then."""
        with suppress(*GONE):
            # Paramiko may send our end after it has answered the peer's close, and sshd ends the whole connection
            # over that: so it is only sent to one who has not ended
            if not self.ended() and not self._channel.eof_received:
                self._channel.shutdown_write()
            patience = LINGER if self.ended() else GOODBYE
            self._channel.settimeout(patience)
            enough = time.monotonic() + patience
            # a service that it started may print for ever
            while self._channel.recv(CHUNK) and time.monotonic() < enough:
                pass
            self._channel.status_event.wait(GOODBYE)
        status = self._channel.exit_status
        self.kill()
        return status if status >= 0 else None

    def abandon(self) -> None:
        """As `Process` says."""
        self.kill()

    def kill(self) -> None:
        """As `Process` says."""
        with suppress(*GONE):
            self._channel.close()


class Sessions:
    """The sessions of one connection, of which the server may allow fewer than are wanted (`MaxSessions`)."""

    def __init__(self, transport: paramiko.Transport, name: str, timeout: float) -> None:
        self._transport = transport
        self._name = name
        self._timeout = timeout
        self._lock = threading.Lock()
        self._started: list[SSHProcess] = []

    def start(self, arguments: Sequence[str]) -> SSHProcess:
        """Start a process on the host; raises `Unreachable`, or `Disconnected`.

        `SessionsRefused` is raised where the server refuses one more while others are open.
        """
        began = time.monotonic()
        for pause in (0, *REFUSED_PAUSES):
            time.sleep(pause)
            try:
                process = SSHProcess(self._transport.open_session(timeout=self._timeout), arguments)
            except (*GONE, Disconnected):
                # Threads that are refused at once take each other's reason away, so it says nothing
                if not self._transport.is_active():
                    raise Disconnected("the connection ended", where=self._name) from None
                if (others := self._open()) and time.monotonic() - began > LATE:
                    raise SessionsRefused(others, self._name) from None
            else:
                with self._lock:
                    self._started.append(process)
                return process
        raise Unusable("the server refuses more sessions", where=self._name, hint="its sshd_config: MaxSessions")

    def _open(self) -> int:
        with self._lock:
            self._started = [process for process in self._started if not process.closed]
            return len(self._started)

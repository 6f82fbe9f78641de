"""Processes behind channels of an SSH connection, and the limit on them (`MaxSessions`)."""

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

# sshd's MaxSessions is 10 by default; two are left for other uses of the connection
PLACES = 8
# seconds; sshd frees a session shortly after the client saw it close, and refuses new ones until then
REFUSED_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
# seconds; a refusal that lasts longer does not come from a session that is about to be freed
LATE = 0.7
# the exceptions by which Paramiko reports a lost connection; which one depends on the thread that notices first
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
        # reading may also write: Paramiko then tells the peer how much more it may send
        with self._told():
            data = self._channel.recv(CHUNK)
        if not data:
            self._say_who_was_silent()
        return data

    def write(self, data: bytes) -> None:
        """See `Process`."""
        with self._told():
            self._channel.sendall(data)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn Paramiko's exceptions into `Silence` and `Disconnected`."""
        try:
            yield
        except TimeoutError:
            raise Silence(f"no answer within {self._channel.gettimeout():g} s") from None
        except GONE:
            self._say_who_was_silent()
            raise Disconnected("the connection ended") from None

    def _say_who_was_silent(self) -> None:
        """Raise `Disconnected` with the reason if the connection was closed because its host was silent."""
        silent = getattr(self._channel.get_transport(), "silent_for", None)
        if silent is not None:
            raise Disconnected(f"the host gave no sign of life for {silent:.0f} s")

    def limit(self, seconds: float | None) -> None:
        """See `Process`."""
        self._channel.settimeout(seconds)

    @property
    def closed(self) -> bool:
        """Whether the channel is closed, so that it no longer counts as a session."""
        return self._channel.closed

    def ended(self) -> bool:
        """See `Process`."""
        return self._channel.exit_status_ready()

    def finish(self) -> int | None:
        """See `Process`; closes the channel only after the peer has, since sshd counts the session until then."""
        with suppress(*GONE):
            # Paramiko may send the end of our input after it has answered the peer's close, upon which sshd ends the
            # whole connection: so it is only sent to a process that has not ended
            if not self.ended() and not self._channel.eof_received:
                self._channel.shutdown_write()
            patience = LINGER if self.ended() else GOODBYE
            self._channel.settimeout(patience)
            enough = time.monotonic() + patience
            # a service that the process started may print for ever
            while self._channel.recv(CHUNK) and time.monotonic() < enough:
                pass
            self._channel.status_event.wait(GOODBYE)
        status = self._channel.exit_status
        self.kill()
        return status if status >= 0 else None

    def abandon(self) -> None:
        """See `Process`."""
        self.kill()

    def kill(self) -> None:
        """See `Process`."""
        with suppress(*GONE):
            self._channel.close()


class Sessions:
    """The sessions of one connection; the server may allow fewer than requested (`MaxSessions`)."""

    def __init__(self, transport: paramiko.Transport, name: str, timeout: float) -> None:
        self._transport = transport
        self._name = name
        self._timeout = timeout
        self._lock = threading.Lock()
        self._started: list[SSHProcess] = []

    def start(self, arguments: Sequence[str]) -> SSHProcess:
        """Start a process on the host.

        Raises `SessionsRefused` if the server refuses another session while some are open, `Unusable` if it refuses
        even one, `Disconnected` if the connection ended.
        """
        began = time.monotonic()
        for pause in (0, *REFUSED_PAUSES):
            time.sleep(pause)
            try:
                process = SSHProcess(self._transport.open_session(timeout=self._timeout), arguments)
            except (*GONE, Disconnected):
                # the reason is not reliable: threads that are refused at the same time overwrite each other's
                if not self._transport.is_active():
                    raise Disconnected("the connection ended", where=self._name) from None
                if (others := self._open()) and time.monotonic() - began > LATE:
                    raise SessionsRefused(others, self._name) from None
            else:
                with self._lock:
                    self._started.append(process)
                return process
        raise Unusable(
            "the server refuses more sessions", where=self._name, hint="raise MaxSessions in its sshd_config"
        )

    def _open(self) -> int:
        with self._lock:
            self._started = [process for process in self._started if not process.closed]
            return len(self._started)

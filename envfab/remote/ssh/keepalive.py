"""SSH connections whose peer says nothing any more: asked for a sign of life, and given up where none comes.

A host that is gone, a firewall that has forgotten a connection and a server that is stopped look alike from here:
nothing comes, and Paramiko would wait for ever.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST

from envfab.remote.process import SILENCE

# seconds without a sign of life after which one is asked for: half of what firewalls remember at the least
INTERVAL = 15.0
TICK = 1.0


class LiveTransport(paramiko.Transport):
    """A transport that knows when its peer last gave a sign of life: a message, or what it takes of ours."""

    def __init__(self, sock: Any, **options: Any) -> None:
        super().__init__(sock, **options)
        # no peer answers both in time and to a message that it has not got; so the beginning counts, too
        self.heard = time.monotonic()
        self.asked = self.heard
        self.silent_for: float | None = None
        self._writers = 0
        self._counting = threading.Lock()
        packetizer: Any = self.packetizer
        self._read_message, self._send_whole = packetizer.read_message, packetizer.send_message
        packetizer.read_message, packetizer.send_message = self._reading, self._sending
        # Paramiko starts a thread for that, which would hold up the end of the program
        self._handshake_until = float("inf")
        packetizer.start_handshake = self._begin_handshake
        packetizer.handshake_timed_out = lambda: time.monotonic() > self._handshake_until
        packetizer.complete_handshake = lambda: self._begin_handshake(float("inf"))

    def _begin_handshake(self, timeout: float) -> None:
        self._handshake_until = time.monotonic() + timeout

    def _reading(self) -> Any:
        message = self._read_message()
        self.heard = time.monotonic()
        return message

    def _sending(self, data: Any) -> None:
        with self._counting:
            self._writers += 1
        try:
            self._send_whole(data)
        finally:
            with self._counting:
                self._writers -= 1
        if threading.current_thread().name != WATCH:
            # a slow line takes long for an answer; that it takes our data is a sign of life as well
            self.heard = time.monotonic()

    def watch(self) -> None:
        """Ask for a sign of life where there was none for some time, and give up where none came; never waits."""
        now = time.monotonic()
        silent = now - self.heard
        if self.silent_for is not None:
            return
        if silent > SILENCE:
            self.silent_for = silent
            # by way of a jump host that is silent as well, to close is to wait
            threading.Thread(target=self.close, name="envfab-give-up", daemon=True).start()
        elif silent > INTERVAL and now - self.asked > INTERVAL and not self._writers and self.clear_to_send.is_set():
            self.asked = now
            message = paramiko.Message()
            message.add_byte(cMSG_GLOBAL_REQUEST)
            message.add_string("keepalive@openssh.com")
            # whether it is granted or not, it is answered
            message.add_boolean(True)
            self._send_message(message)  # type: ignore[attr-defined]  # public methods wait, for an answer or a key


WATCH = "envfab-keepalive"


class Watch:
    """One thread for all connections, from the first one on; ends with `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transports: list[LiveTransport] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, transport: LiveTransport) -> None:
        """Watch a connection until it ends."""
        with self._lock:
            self._transports.append(transport)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=WATCH, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Watch nothing any more."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(min(TICK, INTERVAL, SILENCE)):
            with self._lock:
                self._transports = [one for one in self._transports if one.is_active()]
                watched = list(self._transports)
            for transport in watched:
                try:
                    transport.watch()
                except (OSError, EOFError, paramiko.SSHException):
                    # it ended at this very moment, which whoever uses it is told
                    continue

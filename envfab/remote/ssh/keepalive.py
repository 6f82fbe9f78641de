"""Keepalives: the peers of silent SSH connections are asked for a sign of life, and given up if none comes.

A host that is gone, a firewall that has forgotten a connection and a server that is stopped look alike: nothing is
received, and Paramiko would wait for ever.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST

from envfab.remote.process import SILENCE

# seconds without a sign of life after which the peer is asked for one: half of the shortest memory of firewalls
INTERVAL = 15.0
TICK = 1.0


class LiveTransport(paramiko.Transport):
    """A transport that records its peer's last sign of life: a message from it, or data that it accepted."""

    def __init__(self, sock: Any, **options: Any) -> None:
        super().__init__(sock, **options)
        # the time of the last request counts from the beginning, so that the peer has time to answer
        self.heard = time.monotonic()
        self.asked = self.heard
        self.silent_for: float | None = None
        self._writers = 0
        self._counting = threading.Lock()
        packetizer: Any = self.packetizer
        self._read_message, self._send_whole = packetizer.read_message, packetizer.send_message
        packetizer.read_message, packetizer.send_message = self._reading, self._sending
        # Paramiko's own timer for handshakes is a thread that delays the end of the program
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
            # that the peer accepts data is a sign of life, too: on a slow line, an answer may take long
            self.heard = time.monotonic()

    def watch(self) -> None:
        """Ask for a sign of life if there was none for `INTERVAL`; close the transport if there was none for `SILENCE`.

        Never waits.
        """
        now = time.monotonic()
        silent = now - self.heard
        if self.silent_for is not None:
            return
        if silent > SILENCE:
            self.silent_for = silent
            # in a thread: closing waits if a jump host on the way is silent as well
            threading.Thread(target=self.close, name="envfab-give-up", daemon=True).start()
        elif silent > INTERVAL and now - self.asked > INTERVAL and not self._writers and self.clear_to_send.is_set():
            self.asked = now
            message = paramiko.Message()
            message.add_byte(cMSG_GLOBAL_REQUEST)
            message.add_string("keepalive@openssh.com")
            # the peer answers, whether it grants the request or not
            message.add_boolean(True)
            self._send_message(message)  # type: ignore[attr-defined]  # public methods wait, for an answer or a key


WATCH = "envfab-keepalive"


class Watch:
    """The keepalives of all connections, in one thread, which starts with the first connection."""

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
        """End the thread."""
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
                    # it ended just now, which is reported where it is used
                    continue

"""Stopping without losing what was begun: no further connections, an answer to every request, and then the end."""

from __future__ import annotations

import logging
import time

from envfab.collector.client_limits import CollectorServer

# Seconds for what is under way. systemd waits 90, Kubernetes and Docker's successors 30 before they kill.
PATIENCE = 25.0
log = logging.getLogger(__name__)


class GracefulServer:
    """Runs a server until it is asked to stop, and then until all requests that were begun are answered."""

    def __init__(self, server: CollectorServer, patience: float = PATIENCE) -> None:
        self._server = server
        self._patience = patience
        self._stopping = False

    def stop(self) -> None:
        """Ask the server to stop; a signal handler or another thread may do so."""
        self._stopping = True
        self._server.pull_trigger()

    def run(self) -> None:
        """Serve; Ctrl-C ends it without waiting for more than the answers that are being worked out."""
        try:
            while not self._stopping:
                self._server.turn()
            self._finish()
        except (SystemExit, KeyboardInterrupt):
            pass
        finally:
            self._server.end()

    def _finish(self) -> None:
        deadline = time.time() + self._patience
        self._server.stop_accepting()
        while left := self._server.close_idle(now := time.time()):
            if now > deadline:
                log.warning("connections are cut, as requests did not end within %g s: %d", self._patience, left)
                return
            self._server.turn()

"""ProxyCommand, run as OpenSSH runs it: by the user's shell, with exec."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import paramiko

if TYPE_CHECKING:
    from typing_extensions import Buffer

KEPT = 2000  # bytes of its standard error
PATIENCE = 0.3  # seconds


class ProxyCommand(paramiko.ProxyCommand):
    """A ProxyCommand's process, which Paramiko uses as a socket; the end of its standard error is kept."""

    def __init__(self, command: str) -> None:
        # Paramiko's constructor would split the command into words, and make a pipe for standard error, never read
        self.cmd = [command]
        self.timeout: float | None = None
        self._closing = threading.Lock()
        self._words = ""
        # a file, since a pipe that is never read would block the program; closed with the program
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        # Ctrl-C at the terminal must not end this program: deployments under way are finished through it. It stays in
        # the terminal's process group, since it may have to ask for a password there.
        shell = [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"]
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh", *shell],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
        )

    def send(self, content: Buffer) -> int:
        """Write to the program; raises `ProxyCommandFailure` if it no longer reads."""
        try:
            return int(super().send(content))
        except paramiko.ProxyCommandFailure:
            self._let_end()
            raise

    def recv(self, size: int) -> bytes:
        """Read what the program has written; b"" at the end. Raises `TimeoutError` after `timeout` seconds."""
        stdout = self.process.stdout
        assert stdout is not None
        waiting = select.poll()
        waiting.register(stdout, select.POLLIN)
        if not waiting.poll(None if self.timeout is None else self.timeout * 1000):
            raise TimeoutError
        data = os.read(stdout.fileno(), size)
        if not data:
            self._let_end()
        return data

    def _let_end(self) -> None:
        """Let a program that has closed its streams end by itself: its exit status says more than our signal would."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)

    def close(self) -> None:
        """End the program and keep the end of its standard error; may be called from any thread, and repeatedly."""
        with self._closing:
            if self.process.poll() is None:
                self.process.terminate()
            self._listen()
            self._said.close()

    def last_words(self) -> str:
        """Return the last line that the program printed on standard error."""
        with self._closing:
            self._listen()
            return self._words

    def _listen(self) -> None:
        if not self._said.closed:
            # pread does not move the position at which the program writes
            said = os.pread(self._said.fileno(), KEPT, max(0, os.fstat(self._said.fileno()).st_size - KEPT))
            lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
            self._words = lines[-1] if lines else ""

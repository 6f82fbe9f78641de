"""A ProxyCommand, run as OpenSSH runs it: by the user's shell, with exec."""

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

KEPT = 2000
PATIENCE = 0.3


class ProxyCommand(paramiko.ProxyCommand):
    """What Paramiko takes for a socket; what the program says on standard error is kept."""

    def __init__(self, command: str) -> None:
        # Paramiko's own splits the command into words, and leaves a pipe for standard error that nobody empties
        self.cmd = [command]
        self.timeout: float | None = None
        self._closing = threading.Lock()
        self._words = ""
        # a file, for a pipe that nobody empties would hold the program up; it is closed with the program
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        # a Ctrl-C at the terminal is for us: the first one lets what is under way finish, by way of this program, too.
        # It stays in the terminal's group, for it may have to ask there.
        shell = [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"]
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh", *shell],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
        )

    def send(self, content: Buffer) -> int:
        """Write to the program; raises `ProxyCommandFailure` where it does not read any more."""
        try:
            return int(super().send(content))
        except paramiko.ProxyCommandFailure:
            self._let_end()
            raise

    def recv(self, size: int) -> bytes:
        """Read what is there; nothing at its end. Raises `TimeoutError` after the time that was set."""
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
        """A program that has closed its streams is about to end, and its status says more than a signal of ours."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)

    def close(self) -> None:
        """End the program, and keep what it said; from any thread, and again."""
        with self._closing:
            if self.process.poll() is None:
                self.process.terminate()
            self._listen()
            self._said.close()

    def last_words(self) -> str:
        """The last line that it printed on standard error."""
        with self._closing:
            self._listen()
            return self._words

    def _listen(self) -> None:
        if not self._said.closed:
            # the program writes at the end, wherever this reads
            said = os.pread(self._said.fileno(), KEPT, max(0, os.fstat(self._said.fileno()).st_size - KEPT))
            lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
            self._words = lines[-1] if lines else ""

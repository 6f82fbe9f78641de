"""A program at a real (pseudo) terminal: what it shows, and what somebody types."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType


class Terminal:
    """Runs a program that takes this for the terminal of a person."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        controller, terminal = pty.openpty()
        self._controller = controller
        self.shown = ""
        self._seen = 0
        self._process = subprocess.Popen(
            arguments,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=folder,
            env=dict(environment, TERM="xterm"),
            start_new_session=True,
            # the session's own terminal: only from there does Ctrl-C reach it
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)

    def expect(self, text: str, timeout: float = 60) -> str:
        """Wait until `text` is shown (after what was expected before); what came up to there."""
        deadline = time.monotonic() + timeout
        while text not in self.shown[self._seen :]:
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"{text!r} was not shown; this was:\n{self.shown}")
        end = self.shown.index(text, self._seen) + len(text)
        part, self._seen = self.shown[self._seen : end], end
        return part

    def send(self, text: str) -> None:
        """Type `text` and Enter."""
        os.write(self._controller, text.encode() + b"\n")

    def interrupt(self) -> None:
        """Type Ctrl-C."""
        os.write(self._controller, b"\x03")

    def ends(self, timeout: float) -> bool:
        """Whether the program ends within so many seconds."""
        deadline = time.monotonic() + timeout
        while self._read(deadline - time.monotonic()):
            pass
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._process.poll() is not None

    def finish(self, timeout: float = 60) -> int:
        """Wait for the program's end: its exit status."""
        deadline = time.monotonic() + timeout
        while self._read(deadline - time.monotonic()):
            pass
        return self._process.wait(timeout)

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self._controller], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._controller, 65536)
        except OSError:
            return False
        self.shown += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._controller)

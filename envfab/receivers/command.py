"""Commands of this machine that events are given to, as JSON on standard input."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from envfab.config.events import Exec
from envfab.receivers.message import Message
from envfab.receivers.undelivered import Undelivered
from envfab.util.untrusted import one_line

LIMIT = 30.0  # seconds for one event
SHOWN = 200  # characters of what a command printed that failed


class CommandSender:
    """Runs one command for each event, in the fabfile's folder. A command that fails is not run again."""

    def __init__(self, receiver: Exec, folder: Path) -> None:
        self._command = receiver.command
        self._folder = folder

    @property
    def name(self) -> str:
        """What messages call it."""
        words = self._command.split() if isinstance(self._command, str) else self._command
        return one_line(words[0])

    def send(self, event: Message) -> None:
        """Run the command; raises `Undelivered` if it fails, or does not end within `LIMIT` seconds."""
        # files, not pipes: a command that does not read, or that outlives this program, must not be stopped by that
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as printed:
            said.write(event.body("json"))
            said.seek(0)
            status = self._run(said, printed)
            if status:
                raise Undelivered(f"exit status {status}{_end_of(printed)}", again=False)

    def _run(self, said: IO[bytes], printed: IO[bytes]) -> int:
        arguments: Sequence[str] | str = self._command
        try:
            # a session of its own: Ctrl-C is for the rollout, and the kill below for all that it started
            process = subprocess.Popen(
                arguments,
                shell=isinstance(arguments, str),
                cwd=self._folder,
                stdin=said,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise Undelivered(f"cannot run it: {error.strerror}", again=False) from None
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Undelivered(f"it did not end within {LIMIT:g} s", again=False) from None


def _end_of(printed: IO[bytes]) -> str:
    printed.seek(0, os.SEEK_END)
    printed.seek(max(0, printed.tell() - SHOWN))
    said = one_line(printed.read().decode("utf-8", "replace"))
    return f": {said}" if said else ""

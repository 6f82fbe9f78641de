"""Output of commands, whenever it arrives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envfab.remote.process import Silence
from envfab.remote.run_command import run_command
from envfab.remote.startup import Identity


class LateStream:
    """The stream of a command whose output arrives right after a read that found nothing."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def until(self, markers: Sequence[bytes], _limit: float) -> tuple[bytes, str]:
        """The command's word came at once."""
        return markers[-1], ""

    def chunk(self) -> bytes:
        """What has arrived, else `Silence`."""
        if not self.pieces:
            raise Silence("no answer")
        return self.pieces.pop(0)


class LateProcess:
    """A command that prints its output, and ends, while it is asked whether it has ended."""

    def __init__(self) -> None:
        self.stream = LateStream()
        self._has_printed = False

    def ended(self) -> bool:
        """It has, and its output came before that news."""
        if not self._has_printed:
            self._has_printed = True
            self.stream.pieces.append(b"here\n")
        return True

    def limit(self, seconds: float | None) -> None:
        """Nothing is waited for."""

    def finish(self) -> int:
        """It ended well."""
        return 0


class Starter:
    """Starts that process."""

    def start(self, _arguments: Sequence[str]) -> Any:
        """The process."""
        return LateProcess()


def test_output_that_arrives_just_before_the_end_is_kept() -> None:
    """Between a read that found nothing and the news of the end, on a slow connection."""
    assert run_command(Starter(), "echo here", where="web1", identity=Identity()).output == "here\n"

"""The output stream of a process on a host."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from envfab.errors import Disconnected

NOISE_KEPT = 20_000
LONGEST_LINE = 32 << 20  # bytes


class Stream:
    """A buffered reader of `receive`, which returns bytes as they arrive, and b"" at the end."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._buffer = bytearray()
        self._ended = False

    def until(self, markers: Sequence[bytes], seconds: float = math.inf) -> tuple[bytes | None, str]:
        """Read up to one of `markers`; return (the marker or None at the end, the text before it).

        Raises `Disconnected` if no marker was received within `seconds`, even if other output was.
        """
        longest = max(len(marker) for marker in markers)
        deadline = time.monotonic() + seconds
        noise = bytearray()
        while True:
            hits = [(at, marker) for marker in markers if (at := self._buffer.find(marker)) >= 0]
            if hits:
                at, marker = min(hits)
                noise += self._buffer[:at]
                del self._buffer[: at + len(marker)]
                return marker, _text(noise)
            surplus = len(self._buffer) - longest
            if surplus > 0:
                noise += self._buffer[:surplus]
                del self._buffer[:surplus]
                del noise[:-NOISE_KEPT]
            if time.monotonic() > deadline:
                raise Disconnected(f"it did not start within {seconds:g} s, and keeps printing")
            if not self._fill():
                return None, _text(noise + self._buffer)

    def line(self) -> bytes:
        """Read one line, with its line break, of at most `LONGEST_LINE` bytes.

        Raises `Disconnected` if the stream ends before the line does, `ValueError` if the line is longer.
        """
        start = 0
        while (at := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > LONGEST_LINE:
                self._buffer.clear()
                raise ValueError(f"a line of more than {LONGEST_LINE} bytes")
            if not self._fill():
                raise Disconnected("the connection ended")
        line = bytes(self._buffer[: at + 1])
        del self._buffer[: at + 1]
        return line

    def chunk(self) -> bytes:
        """Read what is buffered, or else wait for more; b"" at the end."""
        if not self._buffer:
            self._fill()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def _fill(self) -> bool:
        if not self._ended:
            data = self._receive()
            self._buffer += data
            self._ended = not data
        return not self._ended


def _text(data: bytes | bytearray) -> str:
    return bytes(data).decode("utf-8", "replace")

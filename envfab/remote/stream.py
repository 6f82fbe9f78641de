"""The bytes that come back from a process on the managed side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from envfab.errors import Disconnected

NOISE_KEPT = 20_000
LONGEST_LINE = 32 << 20  # bytes


class Stream:
    """Reads lines and exact amounts out of `receive`, which returns b"" at the end."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._buffer = bytearray()
        self._ended = False

    def until(self, markers: Sequence[bytes], seconds: float = math.inf) -> tuple[bytes | None, str]:
        """(the marker that came first or None at the end, what was printed before it).

        Raises `Disconnected` where none has come after `seconds`, however much else has.
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
                raise Disconnected(f"it prints and prints, and has not come up within {seconds:g} s")
            if not self._fill():
                return None, _text(noise + self._buffer)

    def line(self) -> bytes:
        """One line with its end, of at most `LONGEST_LINE` bytes.

        Raises `Disconnected` where the stream ends before it, and `ValueError` where the line is longer.
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
        """What has come and was not read yet, or else what comes next; b"" at the end."""
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

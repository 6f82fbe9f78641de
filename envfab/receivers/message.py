"""An event, as far as its delivery is concerned."""

from __future__ import annotations

from typing import Protocol


class Message(Protocol):
    """Something that receivers are told."""

    @property
    def id(self) -> str:
        """Its name, the same however often it is sent: receivers know repetitions by it."""
        ...

    def body(self, form: str) -> bytes:
        """Return it in the format `json` or `slack`, as bytes."""
        ...

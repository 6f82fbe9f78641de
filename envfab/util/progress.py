"""How long work tells that it goes on; `tasks.output.console` shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class Reporter(Protocol):
    """Hears of progress, from any thread; must return at once and never raise."""

    def stage(self, what: str, total: int, waiting_for: Callable[[], Sequence[str]] | None = None) -> None:
        """A stretch of work begins: `what` (say "connecting"), of `total` pieces.

        `waiting_for` tells at any time the names of those whose pieces are not done.
        """
        ...

    def advance(self, what: str, subject: str) -> None:
        """One piece of the stage `what` is done, on `subject` (a host or target)."""
        ...

    def working(self, subject: str, step: str) -> None:
        """`subject` has come to `step` ("sending 3 wheels, 12.1 MB", "installing")."""
        ...

    def done(self, subject: str, outcome: str) -> None:
        """`subject` is finished, with `outcome` in a few words."""
        ...

    def warning(self, message: str) -> None:
        """Something that the user should know, and that stops nothing."""
        ...


class Silent:
    """A reporter that shows nothing: for libraries and tests."""

    def stage(self, what: str, total: int, waiting_for: Callable[[], Sequence[str]] | None = None) -> None:
        """Nothing."""

    def advance(self, what: str, subject: str) -> None:
        """Nothing."""

    def working(self, subject: str, step: str) -> None:
        """Nothing."""

    def done(self, subject: str, outcome: str) -> None:
        """Nothing."""

    def warning(self, message: str) -> None:
        """Nothing."""

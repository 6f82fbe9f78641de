"""Waiting until servers have processed what was uploaded, for a bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envfab.errors import RegistrationError
from envfab.registration.dependency_track.upload import is_processing
from envfab.registration.http import READ_TIMEOUT

if TYPE_CHECKING:
    import requests

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0  # seconds between two questions
SHORTEST_TIMEOUT = 0.1


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """Uploads to a server, of `many`, of which it is not known that they are processed, and why not."""

    url: str
    tokens: Sequence[str]
    many: int
    why: str


class Processing:
    """Asks servers in the background, each in turn for what it got; a server that does not tell is asked no more."""

    def __init__(self) -> None:
        self._followed: list[_Followed] = []

    def follow(self, url: str, api_key: str | None, tokens: Sequence[str], seconds: float) -> None:
        """Begin to ask a server, for `seconds` at most."""
        followed = _Followed(url, api_key, tokens, seconds)
        self._followed.append(followed)
        followed.start()

    def wait(self) -> list[Unprocessed]:
        """What is left in the end."""
        left = []
        for one in self._followed:
            # a server that speaks slowly enough is never late for the timeouts of one question
            one.join(max(0.0, one.end - time.monotonic()))
            if one.waiting:
                left.append(Unprocessed(one.url, tuple(one.waiting), one.many, one.why or f"after {one.seconds:g} s"))
        return left


class _Followed(threading.Thread):
    def __init__(self, url: str, api_key: str | None, tokens: Sequence[str], seconds: float) -> None:
        super().__init__(name="envfab-processing", daemon=True)
        self.url = url
        self.waiting = list(tokens)
        self.many = len(tokens)
        self.seconds = seconds
        self.end = time.monotonic() + seconds
        self.why = ""
        self._api_key = api_key

    def run(self) -> None:
        import requests

        try:
            with requests.Session() as session:
                self._ask(session)
        except RegistrationError as error:
            self.why = error.what

    def _ask(self, session: requests.Session) -> None:
        pause = FIRST_PAUSE
        while self.waiting and (left := self.end - time.monotonic()) > 0:
            timeout = min(READ_TIMEOUT, max(left, SHORTEST_TIMEOUT))
            # what came first is processed first: where it is not, neither are the others
            if is_processing(session, self.url, self._api_key, self.waiting[0], timeout):
                time.sleep(min(pause, max(0.0, self.end - time.monotonic())))
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                del self.waiting[0]

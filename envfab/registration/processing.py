"""Waiting, for a bounded time, until servers have processed what they took."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from envfab.errors import RegistrationError
from envfab.registration.http import READ_TIMEOUT, registration_session
from envfab.registration.servers import RegistrationServer
from envfab.util.http import WebSession

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0  # seconds between two requests
SHORTEST_TIMEOUT = 0.1


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """Payloads of a server, of `many`, that are not known to be processed, and why not."""

    server: RegistrationServer[Any]
    tokens: Sequence[str]
    many: int
    why: str


class Processing:
    """Asks servers in the background, one payload after another; a server that does not answer is not asked again."""

    def __init__(self) -> None:
        self._followed: list[_Followed] = []

    def follow(
        self, server: RegistrationServer[Any], secret: str | None, tokens: Sequence[str], seconds: float
    ) -> None:
        """Begin to ask a server about its tokens, in the order of its answers, for `seconds` at most."""
        followed = _Followed(server, secret, tokens, seconds)
        self._followed.append(followed)
        followed.start()

    def wait(self) -> list[Unprocessed]:
        """Wait until all is processed or the time is over, and return what is left."""
        left = []
        for one in self._followed:
            # a server that sends byte after byte never exceeds the timeouts of one request
            one.join(max(0.0, one.end - time.monotonic()))
            if one.waiting:
                why = one.why or f"after {one.seconds:g} s"
                left.append(Unprocessed(one.server, tuple(one.waiting), one.many, why))
        return left


class _Followed(threading.Thread):
    def __init__(
        self, server: RegistrationServer[Any], secret: str | None, tokens: Sequence[str], seconds: float
    ) -> None:
        super().__init__(name="envfab-processing", daemon=True)
        self.server = server
        self.waiting = list(tokens)
        self.many = len(tokens)
        self.seconds = seconds
        self.end = time.monotonic() + seconds
        self.why = ""
        self._secret = secret

    def run(self) -> None:
        try:
            with registration_session() as session:
                self._ask(session)
        except RegistrationError as error:
            self.why = error.what

    def _ask(self, session: WebSession) -> None:
        pause = FIRST_PAUSE
        while self.waiting and (left := self.end - time.monotonic()) > 0:
            timeout = min(READ_TIMEOUT, max(left, SHORTEST_TIMEOUT))
            # servers process payloads in order: where the first is not processed, neither are the others
            if self.server.is_processing(session, self._secret, self.waiting[0], timeout):
                time.sleep(min(pause, max(0.0, self.end - time.monotonic())))
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                del self.waiting[0]

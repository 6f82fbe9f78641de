"""One request to a registration server, with its secrets, and the reply or the reason why there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass

from envfab.errors import RegistrationError
from envfab.util.http import NoResponse, Request, Timeouts, WebSession
from envfab.util.untrusted import one_line, shown_url

MAX_ANSWER = 16 * 1024  # bytes
SHOWN = 300  # characters of what came instead of an answer
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 25.0
WHOLE = 60.0  # seconds for all of a response
_SECRET = re.compile("[!-~]+")


class NoAnswer(RegistrationError):
    """The server cannot be reached: other requests to it would fail as well."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: its media type in lower case, the beginning of its body, and where a redirect leads."""

    status: int
    kind: str
    content: bytes
    location: str | None

    def failure(self, url: str, why: str = "", hint: str = "") -> RegistrationError:
        """The error that this reply is not an answer, with what came; `why` replaces the status and the media type."""
        if not why and self.location is not None:
            why = f"HTTP {self.status} to {shown_url(self.location)}"
            hint = "give the address that it redirects to, if you trust it"
        came = one_line(self.content.decode("utf-8", "replace"))
        if len(came) > SHOWN:
            came = f"{came[:SHOWN]}…"
        why = why or f"HTTP {self.status}, {one_line(self.kind) or 'no Content-Type'}"
        what = f"Communication failed: {why}" + (f" - {came}" if came else "")
        return RegistrationError(what, where=shown_url(url), hint=hint)


def registration_session() -> WebSession:
    """A session for `exchange`.

    It follows no redirects: a form that is sent on becomes an empty one, and a secret goes to a stranger.
    """
    return WebSession()


def exchange(session: WebSession, request: Request, *, limit: int = MAX_ANSWER, timeout: float | None = None) -> Reply:
    """Send a request and read at most about `limit` bytes of the response; raises `NoAnswer` where there is none.

    `timeout` is in seconds, for each step.
    """
    patience = READ_TIMEOUT if timeout is None else timeout
    timeouts = Timeouts(min(CONNECT_TIMEOUT, patience), patience)
    try:
        response = session.exchange(request, limit=limit, seconds=max(WHOLE, 2 * patience), timeouts=timeouts)
    except NoResponse as error:
        raise NoAnswer(f"Communication failed: {error.reason}", where=shown_url(request.url)) from None
    return Reply(response.status, response.media_type, response.content, response.location)


def check_secret(name: str, value: str, url: str) -> None:
    """Raise `RegistrationError` for a secret that no header can hold, without showing it."""
    if not _SECRET.fullmatch(value):
        raise RegistrationError(f"the {name} is empty, or not of printable ASCII without spaces", where=shown_url(url))

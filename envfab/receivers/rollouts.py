"""Putting rollouts to a collector, as whole documents: `PUT …/rollouts/ID`."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit

from envfab.config.events import Collector, problem_of_collector, problem_of_token
from envfab.receivers.undelivered import Undelivered, ask_fabfile, failure_of_answer
from envfab.util.http import NoResponse, Request, Timeouts, TooSlow, WebSession, WholeResponse
from envfab.util.untrusted import one_line, shown_url

TIMEOUTS = Timeouts(connect=3.0, read=15.0)
# of these another try is for later, when someone has mended the token
UNAUTHORIZED = (401, 403)
WHOLE = 30.0  # seconds for all of an answer
MAX_ANSWER = 16 * 1024  # bytes
SHOWN = 300  # characters of what the collector says
# what networks that want their users to sign in, and proxies, answer with; collectors say nothing in it here
PAGE = "text/html"
TOO_LARGE = 413  # also where a proxy says it


class Refused(Undelivered):
    """A collector will not take this document, however often it is sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, again=False)


class RolloutSender:
    """Puts documents to one collector. Follows no redirects: a stranger would get them, with the token."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._session = WebSession(TIMEOUTS)
        # both are asked for when the first document is sent
        self._url = collector.url if isinstance(collector.url, str) else None
        self._token: str | None = None

    @property
    def address(self) -> str | None:
        """The collector's address without secrets; None if it is not known yet."""
        return shown_url(self._url).rstrip("/") if self._url is not None else None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.address or "a collector"

    def ask_address(self) -> str:
        """Return the address, secrets included, of which a function of the fabfile is asked once.

        Raises `Undelivered` if it cannot be used.
        """
        if self._url is None:
            self._url = ask_fabfile(self._collector.url, "address", problem_of_collector)
        return self._url

    def send(self, rollout: str, body: bytes) -> None:
        """Put a document, JSON in UTF-8; raises `Undelivered`, of which `Refused` is final."""
        url = self.ask_address()
        if self._token is None and self._collector.token is not None:
            self._token = ask_fabfile(self._collector.token, "token", problem_of_token)
        secrets = {"Authorization": f"Bearer {self._token}"} if self._token is not None else {}
        headers = {"Content-Type": "application/json", "Accept": "text/plain"}
        request = Request(f"{url.rstrip('/')}/rollouts/{rollout}", headers, "PUT", body, secrets)
        try:
            response = self._session.exchange(request, limit=MAX_ANSWER, seconds=WHOLE)
        except NoResponse as error:
            raise Undelivered(error.reason, again=not isinstance(error, TooSlow)) from None
        location = self._masked(response.location) if response.location is not None else None
        if (failure := failure_of_answer(response.status, location)) is not None:
            raise _explained(failure, response, self._said(response))
        if response.media_type == PAGE:
            raise Undelivered(
                f"HTTP {response.status} with a web page, so it is not a collector that answers;"
                " check address and proxies",
                again=False,
            )

    def _said(self, response: WholeResponse) -> str:
        """The beginning of what a collector says, in one line; of other kinds than plain text nothing."""
        if response.media_type != "text/plain":
            return ""
        said = one_line(self._masked(response.content.decode("utf-8", "replace")))
        return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"

    def _masked(self, text: str) -> str:
        """A text of the answer without the token and the password that were sent: servers for debugging repeat them."""
        parts = urlsplit(self._url or "")
        password = parts.password or ""
        # as the header of Basic authentication has both (RFC 7617)
        basic = b64encode(f"{unquote(parts.username or '')}:{unquote(password)}".encode()).decode() if password else ""
        secrets = (self._token or "", password, unquote(password), basic)
        for secret in sorted({one for one in secrets if one}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def _explained(failure: Undelivered, response: WholeResponse, said: str) -> Undelivered:
    """A failure with what the collector said of it, and whether it is final."""
    status = response.status
    reason = f"{failure.reason}: {said}" if said else failure.reason
    if status in UNAUTHORIZED:
        return Undelivered(f"{reason}; give a token that may write: Collector(url, token=…)", again=False)
    if response.media_type == PAGE and status != TOO_LARGE:
        return Undelivered(reason, failure.again)
    return Refused(reason) if 400 <= status < 500 and not failure.again else Undelivered(reason, failure.again)

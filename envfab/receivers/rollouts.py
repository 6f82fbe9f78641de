"""Putting rollouts to a collector, as whole documents: `PUT …/rollouts/ID`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from envfab.config.events import Collector, problem_of_collector, problem_of_token
from envfab.receivers.undelivered import Undelivered, ask_fabfile, failure_of_answer
from envfab.util.bounded_calls import BoundedCalls
from envfab.util.http import NoResponse, Request, Timeouts, WebResponse, WebSession
from envfab.util.untrusted import one_line, shown_url

TIMEOUTS = Timeouts(connect=3.0, read=15.0)
# of these another try is for later, when someone has mended the token
UNAUTHORIZED = (401, 403)
# seconds for an exchange, and bytes a second that a document goes at least: a server that sends a byte now and then
# would keep `fab register` waiting for ever
WHOLE = 30.0
SLOWEST = 100_000
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
        self._calls: BoundedCalls[tuple[int, str | None, bool, str]] = BoundedCalls()
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
        seconds = WHOLE + len(body) / SLOWEST
        try:
            status, location, is_page, said = self._calls.call(lambda: self._ask(request), seconds)
        except NoResponse as error:
            raise Undelivered(error.reason) from None
        except TimeoutError:
            raise Undelivered(f"no whole answer within {seconds:.0f} s", again=False) from None
        if (failure := failure_of_answer(status, location)) is not None:
            raise _explained(failure, status, said, is_page)
        if is_page:
            raise Undelivered(
                f"HTTP {status} with a web page, so it is not a collector that answers; check address and proxies",
                again=False,
            )

    def _ask(self, request: Request) -> tuple[int, str | None, bool, str]:
        """Return the status, where a redirect leads, whether the answer is a web page, and what it says."""
        with self._session.open(request) as response:
            location = self._masked(response.location) if response.location is not None else None
            return response.status, location, response.media_type == PAGE, _said(response, self._masked)

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


def _explained(failure: Undelivered, status: int, said: str, is_page: bool) -> Undelivered:
    """A failure with what the collector said of it, and whether it is final."""
    reason = f"{failure.reason}: {said}" if said else failure.reason
    if status in UNAUTHORIZED:
        return Undelivered(f"{reason}; give a token that may write: Collector(url, token=…)", again=False)
    if is_page and status != TOO_LARGE:
        return Undelivered(reason, failure.again)
    return Refused(reason) if 400 <= status < 500 and not failure.again else Undelivered(reason, failure.again)


def _said(response: WebResponse, masked: Callable[[str], str]) -> str:
    """The beginning of what a collector says, in one line; of other kinds than plain text nothing."""
    content = response.read_beginning(MAX_ANSWER)
    if response.media_type != "text/plain":
        return ""
    said = one_line(masked(content.decode("utf-8", "replace")))
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"

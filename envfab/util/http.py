"""HTTP as a client: time-outs, redirects, retries, bounded reading, and one sentence for every way to get no response.

The statistics client and the agent have their own: they use the standard library alone.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from types import TracebackType

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.utils import get_auth_from_url
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from envfab.util.bounded_calls import BoundedCalls

CHUNK = 1 << 16  # bytes
TRIES_AGAIN = 2
SLOWEST = 100_000  # bytes a second: of a body that is sent at least
BUSY = (429, 502, 503, 504)  # statuses that are often over a moment later
_BAD_ADDRESSES = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, and for each piece of a response."""

    connect: float = 10.0
    read: float = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a web server.

    A user and a password come from `url` or `~/.netrc`. `secrets` are headers that replace what `~/.netrc` has, and go
    beside a password in `url`.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class NoResponse(Exception):
    """A server sent no response, or a part of one. `reason` never holds an address, which may hold a password."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotReached(NoResponse):
    """There is no connection to the server."""


class TooSlow(NoResponse):
    """A server sends so slowly that it is given up, such as a byte now and then, which no time-out of a step ends."""


class BadAddress(NoResponse):
    """The address, or one that it redirects to, is not that of a web server."""


class UnsafeRedirect(NoResponse):
    """A redirect leads from HTTPS to HTTP."""


class TooLarge(Exception):
    """A response is larger than it may be."""


@dataclass(frozen=True, slots=True)
class WebResponse:
    """A response whose body is still to be read.

    `media_type` is in lower case and without parameters, empty where the server sends none; `url` is where the response
    came from, after redirects; `location` is where a redirect leads that was not followed.
    """

    status: int
    media_type: str
    url: str
    location: str | None
    _response: requests.Response
    _timeouts: Timeouts

    def pieces(self) -> Iterator[bytes]:
        """The body, in pieces of at most `CHUNK` bytes, decompressed; raises `NoResponse` where it breaks off."""
        try:
            yield from self._response.iter_content(CHUNK)
        except requests.RequestException as error:
            raise _no_response(error, self._timeouts) from None

    def read(self, limit: int) -> bytes:
        """The whole body; raises `TooLarge` where it has more than `limit` bytes."""
        content = self.read_beginning(limit)
        if len(content) > limit:
            raise TooLarge
        return content

    def read_beginning(self, limit: int) -> bytes:
        """The body, at most one piece more than `limit` bytes of it."""
        content = bytearray()
        for piece in self.pieces():
            content += piece
            if len(content) > limit:
                break
        return bytes(content)


@dataclass(frozen=True, slots=True)
class WholeResponse:
    """A response that has been read: its body, or the beginning of it. The other fields are those of `WebResponse`."""

    status: int
    media_type: str
    location: str | None
    content: bytes


class WebSession:
    """Asks web servers, from several threads. Follows at most `redirects` redirects (0: none), and never from HTTPS to
    HTTP; asks a server that is busy (`BUSY`) `tries_again` more times.
    """

    def __init__(
        self, timeouts: Timeouts | None = None, *, redirects: int = 0, tries_again: int = 0, at_once: int = 10
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        self._session = requests.Session()
        self._calls: BoundedCalls[WholeResponse] = BoundedCalls()
        self._redirects = redirects
        if redirects:
            # Requests counts one that it does not follow, too
            self._session.max_redirects = redirects
        self._session.headers["User-Agent"] = f"envfab/{version('envfab')}"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=at_once, max_retries=_retry(tries_again)))

    def __enter__(self) -> WebSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def exchange(
        self, request: Request, *, limit: int, seconds: float, timeouts: Timeouts | None = None
    ) -> WholeResponse:
        """Send a request, and read about `limit` bytes of the response, none if it is 0.

        Takes at most so many seconds, and those that the request's body needs at `SLOWEST`. Raises `NoResponse`.
        """
        seconds += len(request.body or b"") / SLOWEST

        def ask() -> WholeResponse:
            with self.open(request, timeouts) as response:
                content = response.read_beginning(limit) if limit else b""
                return WholeResponse(response.status, response.media_type, response.location, content)

        try:
            return self._calls.call(request.url, ask, seconds)
        except TimeoutError:
            raise TooSlow(f"no whole answer within {seconds:.0f} s") from None

    @contextmanager
    def open(self, request: Request, timeouts: Timeouts | None = None) -> Iterator[WebResponse]:
        """Send a request; the response is closed at the end of the block. Raises `NoResponse`."""
        timeouts = timeouts or self._timeouts
        try:
            response = self._session.request(
                request.method,
                request.url,
                data=request.body,
                headers=dict(request.headers),
                auth=_with_secrets(request.secrets) if request.secrets else None,
                timeout=(timeouts.connect, timeouts.read),
                allow_redirects=self._redirects > 0,
                stream=True,
            )
        except requests.TooManyRedirects:
            raise NoResponse(f"redirects more than {self._redirects} times") from None
        except (requests.RequestException, ValueError) as error:
            raise _no_response(error, timeouts) from None
        with response:
            hops = [*response.history, response]
            if request.url.startswith("https:") and any(not hop.url.startswith("https:") for hop in hops):
                raise UnsafeRedirect("redirects from HTTPS to HTTP, where the answer could be changed on the way")
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            location = response.headers["Location"] if response.is_redirect else None
            yield WebResponse(response.status_code, media_type, response.url, location, response, timeouts)


def _with_secrets(secrets: Mapping[str, str]) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
        name, password = get_auth_from_url(request.url or "")
        if name or password:
            request = HTTPBasicAuth(name, password)(request)
        request.headers.update(secrets)
        return request

    return add


def _retry(tries_again: int) -> Retry:
    return Retry(
        total=None,
        connect=0,
        read=0,
        # such as a refused certificate, which would be tried without end
        other=0,
        redirect=None,
        status=tries_again,
        status_forcelist=BUSY,
        backoff_factor=0.3,
        raise_on_status=False,
        respect_retry_after_header=False,
    )


def _no_response(error: requests.RequestException | ValueError, timeouts: Timeouts) -> NoResponse:
    """Why there is no response, in words that hold no address (it may hold a password)."""
    if isinstance(error, _BAD_ADDRESSES):
        return BadAddress("the address is not that of a web server")
    if not isinstance(error, requests.RequestException):
        return BadAddress("redirects to what is not the address of a web server")
    if isinstance(error, requests.ConnectTimeout):
        return NoResponse(f"no connection within {timeouts.connect:g} s")
    causes = list(_causes(error))
    if isinstance(error, requests.Timeout) or any(isinstance(one, (TimeoutError, ReadTimeoutError)) for one in causes):
        return NoResponse(f"no answer within {timeouts.read:g} s")
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NoResponse(f"its certificate is refused: {cause.verify_message}")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return NoResponse("the connection ended in the middle of an answer")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return NoResponse("the answer cannot be decompressed")
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return NotReached("nothing listens there")
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return NotReached(cause.strerror)
    return NoResponse("the connection ended without an answer")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors behind an error, the nearest first; urllib3 keeps them in several places."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]

"""One exchange with a server over HTTP, bounded in time and size, and why there was none."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from envfab.errors import RegistrationError
from envfab.util.untrusted import one_line, shown_url

if TYPE_CHECKING:
    import requests

MAX_ANSWER = 16 * 1024  # bytes
SHOWN = 300  # characters of what came instead of an answer
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 25.0
_SECRET = re.compile("[!-~]+")


class NoAnswer(RegistrationError):
    """The server could not be spoken with at all: whoever else asks it now will fare no better."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the media type in lower case, the beginning of the body, where a redirect leads to."""

    status: int
    kind: str
    content: bytes
    location: str | None

    def failure(self, url: str, why: str = "", hint: str = "") -> RegistrationError:
        """That this is not what was asked for, with what came; `why` where it looked like it at first."""
        if not why and self.location is not None:
            why = f"HTTP {self.status} to {shown_url(self.location)}"
            hint = "give the address that it redirects to, if you trust it"
        came = one_line(self.content.decode("utf-8", "replace"))
        if len(came) > SHOWN:
            came = f"{came[:SHOWN]}…"
        why = why or f"HTTP {self.status}, {one_line(self.kind) or 'no Content-Type'}"
        what = f"Communication failed: {why}" + (f" - {came}" if came else "")
        return RegistrationError(what, where=shown_url(url), hint=hint)


def exchange(  # noqa: PLR0913  # the parts of a request, and the bounds of its answer
    session: requests.Session,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str],
    secrets: Mapping[str, str],
    limit: int = MAX_ANSWER,
    timeout: float | None = None,
) -> Reply:
    """Send a request and read at most `limit` bytes of what comes; raises `NoAnswer` where nothing does.

    Redirects are not followed: a form that is sent on becomes an empty one, and a secret goes to a stranger.
    `secrets` are headers that take the place of what `~/.netrc` has for the host, and stand beside a password in `url`.
    """
    import requests
    from requests.auth import HTTPBasicAuth
    from requests.utils import get_auth_from_url

    def with_secrets(request: requests.PreparedRequest) -> requests.PreparedRequest:
        name, password = get_auth_from_url(url)
        if name or password:
            request = HTTPBasicAuth(name, password)(request)
        request.headers.update(secrets)
        return request

    patience = READ_TIMEOUT if timeout is None else timeout
    try:
        with session.request(
            method,
            url,
            data=body,
            headers={**headers, "User-Agent": f"envfab/{version('envfab')}"},
            auth=with_secrets if secrets else None,
            timeout=(min(CONNECT_TIMEOUT, patience), patience),
            allow_redirects=False,
            stream=True,
        ) as response:
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            location = response.headers["Location"] if response.is_redirect else None
            return Reply(response.status_code, kind, _content(response, limit), location)
    except requests.RequestException as error:
        raise NoAnswer(f"Communication failed: {_reason(error)}", where=shown_url(url)) from None


def check_secret(name: str, value: str, url: str) -> None:
    """Refuse what no header can hold, without showing it."""
    if not _SECRET.fullmatch(value):
        raise RegistrationError(f"its {name} is empty, or not of printable ASCII without spaces", where=shown_url(url))


def _content(response: requests.Response, limit: int) -> bytes:
    content = b""
    for piece in response.iter_content(4096):
        content += piece
        if len(content) > limit:
            break
    return content


def _reason(error: requests.RequestException) -> str:
    """Why there is no answer, in words that hold no address (it may have a password in it)."""
    import requests

    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_TIMEOUT:g} s"
    if isinstance(error, requests.Timeout):
        return f"no answer within {READ_TIMEOUT:g} s"
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
        return "the address is no URL"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {cause.verify_message}"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there"
        if isinstance(cause, TimeoutError):
            return f"no answer within {READ_TIMEOUT:g} s"
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return cause.strerror
    return "the connection ended without an answer" if isinstance(error, requests.ConnectionError) else "no answer"


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

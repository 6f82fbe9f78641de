"""A registration on its way over HTTP, and the answer, whatever comes back."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from envfab.errors import RegistrationError
from envfab.registration.difio import Answer, Registration, format_registration, parse_answer

if TYPE_CHECKING:
    import requests

MAX_ANSWER = 16 * 1024  # bytes
SHOWN = 300  # characters of what came instead of an answer
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 25.0
HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
}
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TOKEN = re.compile("[!-~]+")


class NoAnswer(RegistrationError):
    """The server could not be spoken with at all: whoever else asks it now will fare no better."""


def post(session: requests.Session, url: str, token: str | None, registration: Registration) -> Answer:
    """Register at a server; raises `RegistrationError` (`Communication failed`) for anything but an answer.

    Redirects are not followed: a form that is sent on becomes an empty one, and a token goes to a stranger.
    """
    import requests

    if token is not None and not _TOKEN.fullmatch(token):
        raise RegistrationError("its token is empty, or not of printable ASCII without spaces", where=shown_url(url))
    body = format_registration(registration)
    try:
        with session.post(
            url,
            data=body,
            headers={**HEADERS, "User-Agent": f"envfab/{version('envfab')}"},
            auth=(lambda request: _with_token(request, token)) if token is not None else None,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            allow_redirects=False,
            stream=True,
        ) as response:
            return _read(response, _content(response), url)
    except requests.RequestException as error:
        raise NoAnswer(f"Communication failed: {_reason(error)}", where=shown_url(url)) from None


def shown_url(url: str) -> str:
    """An address as it may be shown and written down: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is no URL"
    return one_line(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


def one_line(text: str) -> str:
    """A server's text without what could move a terminal's cursor."""
    return _UNPRINTABLE.sub(" ", text).strip()


def _with_token(request: requests.PreparedRequest, token: str) -> requests.PreparedRequest:
    # given as a header, it would lose against a password in ~/.netrc
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _content(response: requests.Response) -> bytes:
    content = b""
    for piece in response.iter_content(4096):
        content += piece
        if len(content) > MAX_ANSWER:
            break
    return content


def _read(response: requests.Response, content: bytes, url: str) -> Answer:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code == 200 and kind == "application/json":
        try:
            answer = parse_answer(content)
            return Answer(one_line(answer.message), answer.exit_code)
        except RegistrationError as error:
            why = error.what
    elif response.is_redirect:
        why = f"HTTP {response.status_code} to {shown_url(response.headers['Location'])}"
    else:
        why = f"HTTP {response.status_code}, {one_line(kind) or 'no Content-Type'}"
    came = one_line(content.decode("utf-8", "replace"))
    if len(came) > SHOWN:
        came = f"{came[:SHOWN]}…"
    raise RegistrationError(
        f"Communication failed: {why}" + (f" - {came}" if came else ""), where=shown_url(url), hint=_hint(response, url)
    )


def _hint(response: requests.Response, url: str) -> str:
    if response.status_code in (401, 403):
        return "the server wants a token: Difio(url, token=…)"
    if response.is_redirect:
        return "give the address that it redirects to, if you trust it"
    return "addresses of servers end in /application/register/" if not urlsplit(url).path.strip("/") else ""


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

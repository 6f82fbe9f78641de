"""HTTP: one report, one POST, one answer.

The standard library's client is used, not `requests`: it is loaded in a third of the time, which
counts where a program ends right after its report; and it knows proxies and certificates all the
same. Imported only by the thread that delivers.
"""

from __future__ import annotations

import base64
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from enum import Enum
from http.client import HTTPException, HTTPResponse
from importlib import import_module
from typing import IO

TIMEOUT = 10.0  # seconds for each step: connecting, sending, waiting for the answer
DEADLINE = 20.0  # seconds for all of an answer's body
# The server is there, but not able just now; other refusals are about the report.
TROUBLE = frozenset({408, 425, 429, 502, 503, 504})
_MOVED = frozenset({301, 302, 307, 308})
_SEE_OTHER = 303  # "it is done, look there"


class SendOutcome(Enum):
    """What became of a POST."""

    STORED = "stored"
    REFUSED = "refused"
    NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class SendResult:
    """The outcome, and the pause in milliseconds that the server asked for."""

    outcome: SendOutcome
    at_least: int = 0


Send = Callable[[bytes], SendResult]


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A server that moved on its host gets the report at its new address, as a POST.

    Never to another host or port, nor from HTTPS to HTTP: the user did not consent to sending reports there.
    """

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302  # since Python 3.11 it is there anyway

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],  # noqa: ARG002 (the base class's signature)
        code: int,
        msg: str,  # noqa: ARG002 (the base class's signature)
        headers: Message,  # noqa: ARG002 (the base class's signature)
        newurl: str,
    ) -> urllib.request.Request | None:
        if code not in _MOVED or not _is_same_host(req.full_url, newurl):
            return None
        return urllib.request.Request(newurl, data=req.data, headers=dict(req.headers), method=req.get_method())


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A server's answer, with at most as many bytes as were asked for; the status 0 stands for none."""

    status: int
    body: bytes = b""
    kind: str = ""
    retry_after: str = ""


class DropPoint:
    """The server of a drop point; `ssl_verify` is a file or folder of certificates to trust.

    Raises `ValueError` for what is not an http or https URL.
    """

    def __init__(self, url: str, ssl_verify: str | None) -> None:
        self._url, self._authorization = _split_credentials(url)
        context = _context(self._url, ssl_verify)
        self._opener = urllib.request.build_opener(_Redirects(), urllib.request.HTTPSHandler(context=context))

    def request(self, beside: str = "", body: bytes | None = None, limit: int = 0) -> HttpAnswer:
        """POST a body, or GET without one, at the drop point or at a name below it; at most `limit` bytes are read."""
        method = "GET" if body is None else "POST"
        request = urllib.request.Request(_below(self._url, beside), data=body, method=method)
        request.add_header("User-Agent", "envfab-usagestats")
        if body is not None:
            request.add_header("Content-Type", "text/plain; charset=utf-8")
        if self._authorization:
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return HttpAnswer(answer.status, _read(answer, limit), answer.headers.get_content_type())
        except urllib.error.HTTPError as error:
            with error:
                return HttpAnswer(error.code, retry_after=error.headers.get("Retry-After", ""))
        except (OSError, HTTPException, ValueError):
            return HttpAnswer(0)


def sender(drop_point: str, ssl_verify: str | None) -> Send:
    """A function that posts a report to `drop_point`; `ssl_verify` is a file or folder of certificates to trust."""
    server = DropPoint(drop_point, ssl_verify)

    def send(body: bytes) -> SendResult:
        answer = server.request(body=body)
        if not answer.status:
            return SendResult(SendOutcome.NO_ANSWER)
        return _judge(answer.status, answer.retry_after)

    return send


def _read(answer: HTTPResponse, limit: int) -> bytes:
    """The first `limit` bytes; raises `TimeoutError` where they take longer than `DEADLINE`, however steadily."""
    deadline, data = time.monotonic() + DEADLINE, b""
    while len(data) < limit:
        if time.monotonic() > deadline:
            raise TimeoutError
        piece = answer.read1(limit - len(data))
        if not piece:
            break
        data += piece
    return data


def _below(url: str, name: str) -> str:
    """The address of `name` below a URL."""
    parts = urllib.parse.urlsplit(url)
    path = f"{parts.path.removesuffix('/')}/{name}" if name else parts.path
    return parts._replace(path=path).geturl()


def _is_same_host(old: str, new: str) -> bool:
    """Whether both addresses are of one server: one host and port, or the default port of https instead of http's."""
    before, after = urllib.parse.urlsplit(old), urllib.parse.urlsplit(new)
    if after.username is not None or not before.hostname or before.hostname != after.hostname:
        return False
    ports = {"http": 80, "https": 443}
    here, there = (one.port or ports.get(one.scheme) for one in (before, after))
    if before.scheme == after.scheme:
        return here == there
    return (before.scheme, after.scheme, here, there) == ("http", "https", 80, 443)


def _judge(status: int, retry_after: str) -> SendResult:
    if 200 <= status < 300 or status == _SEE_OTHER:
        return SendResult(SendOutcome.STORED)
    if status in TROUBLE:
        # Python reads no number of 5,000 digits; nine of them are thirty years
        seconds = int(retry_after[:9]) if retry_after.isascii() and retry_after.isdigit() else 0
        asked = seconds * 1000
        return SendResult(SendOutcome.NO_ANSWER, asked)
    return SendResult(SendOutcome.REFUSED)


def _split_credentials(drop_point: str) -> tuple[str, str]:
    """The URL without its `user:password@`, and the header that says the same. Only http and https may be posted to."""
    parts = urllib.parse.urlsplit(drop_point)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"must be an http or https URL, not {drop_point!r}")
    userinfo, _, host = parts.netloc.rpartition("@")
    url = urllib.parse.quote(parts._replace(netloc=host, fragment="").geturl(), safe="%/:=&?~+!$,;'@()*[]")
    if not userinfo:
        return url, ""
    return url, "Basic " + base64.b64encode(urllib.parse.unquote(userinfo).encode()).decode()


def _context(url: str, ssl_verify: str | None) -> ssl.SSLContext | None:
    """Certificates: the program's choice, those of variables that `requests` knows, the system's, or certifi's."""
    if not ssl_verify and not url.startswith("https:"):
        return None
    trusted = ssl_verify or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if not trusted:
        found = ssl.get_default_verify_paths()
        if found.cafile is None and found.capath is None:
            try:
                trusted = str(import_module("certifi").where())
            except ImportError:
                trusted = None
    if trusted and os.path.isdir(trusted):
        return ssl.create_default_context(capath=trusted)
    return ssl.create_default_context(cafile=trusted or None)

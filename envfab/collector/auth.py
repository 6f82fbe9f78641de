"""Access control: a token, as a Bearer token (RFC 6750) or as the password of HTTP Basic (RFC 7617).

A browser sends its user's credentials, and reaches loopback, wherever a page sends it. So forms of other sites are
refused, and, where there is no token, host names that others made to point to this machine.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Request

from envfab.collector.config import is_loopback


def is_sent_by_another_site(request: Request) -> bool:
    """Whether a browser says that a page of another site made it change something here."""
    return request.method == "POST" and request.headers.get("Sec-Fetch-Site") == "cross-site"


def is_for_this_machine(request: Request) -> bool:
    """Whether the request names a loopback address."""
    host = urlsplit(f"//{request.host}").hostname or ""
    return is_loopback(host)


class Doorkeeper:
    """Checks tokens; without tokens every request is admitted."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [_digest(token) for token in tokens]

    def admits(self, request: Request) -> bool:
        """Whether a request may see pages and JSON, and register."""
        return not self._digests or self._is_known(_credential(request))

    def _is_known(self, credential: str) -> bool:
        digest = _digest(credential)
        # Every token is compared, each in constant time: how long it takes tells nothing.
        return sum([hmac.compare_digest(digest, known) for known in self._digests]) > 0


def _credential(request: Request) -> str:
    given = request.authorization
    if given is None:
        return ""
    return (given.token if given.type == "bearer" else given.password if given.type == "basic" else "") or ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

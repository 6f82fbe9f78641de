"""Access control: a token, as a Bearer token (RFC 6750), as the password of HTTP Basic (RFC 7617), or by signing in.

A browser sends its user's credentials, and reaches loopback, wherever a page sends it. So forms of other sites are
refused, and, where there is no token, host names that others made to point to this machine.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import hmac
import operator
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Request
from werkzeug.datastructures import Authorization
from werkzeug.exceptions import TooManyRequests

from envfab.collector.config import is_loopback
from envfab.collector.rate_limits import CLIENTS, RateLimit, client_of

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Rights(enum.Flag):
    """What a token is for: seeing pages and JSON, and registering."""

    READ = enum.auto()
    WRITE = enum.auto()


# how a line of a token file begins that is for one of them alone
PREFIXES = {"read:": Rights.READ, "write:": Rights.WRITE}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token, by its SHA-256, and what it is for."""

    digest: str
    rights: Rights

    @classmethod
    def parse(cls, text: str) -> AccessToken:
        """The token of a line: `read:TOKEN`, `write:TOKEN`, or `TOKEN` for both."""
        for prefix, rights in PREFIXES.items():
            if text.startswith(prefix):
                return cls(digest_of(text.removeprefix(prefix)), rights)
        return cls(digest_of(text), Rights.READ | Rights.WRITE)


def is_sent_by_another_site(request: Request) -> bool:
    """Whether a browser says that a page of another site, or of another host of this one, changes something here.

    Browsers send Sec-Fetch-Site to hosts that they trust (https, loopback), and Origin to all; old ones a Referer at
    most, and other clients none of them.
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin", request.headers.get("Referer"))
    return origin is not None and _place(origin) != _place(f"{request.scheme}://{request.host}")


def is_for_this_machine(request: Request) -> bool:
    """Whether the request names a loopback address."""
    try:
        host = urlsplit(f"//{request.host}").hostname
    except ValueError:  # half of an IPv6 address, for example
        return False
    return is_loopback(host or "")


class TooManyWrongTokens(TooManyRequests):
    """A client gave so many wrong tokens that for a while only tokens are taken that it gave before."""

    def __init__(self, wait: int) -> None:
        super().__init__("too many wrong tokens from one address; try again later", retry_after=wait)


class TakenTokens:
    """The right tokens, by their digests, that were taken from each address; those that were taken latest are kept."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._pairs: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __contains__(self, pair: tuple[str, str]) -> bool:
        """Whether a token (the second) was taken from an address (the first)."""
        with self._turn:
            return pair in self._pairs

    def add(self, client: str, digest: str) -> None:
        """Note that a token was taken from an address."""
        with self._turn:
            self._pairs[client, digest] = None
            self._pairs.move_to_end((client, digest))
            if len(self._pairs) > CLIENTS:
                self._pairs.popitem(last=False)


class Doorkeeper:
    """Checks tokens; without tokens every request is admitted. One client may give `wrong_a_minute` that are wrong.

    Beyond that a right token is taken only if it was before from the same client: others behind the address of a fleet
    cannot keep its hosts from registering, and all other tokens cannot be guessed.
    """

    def __init__(self, tokens: Sequence[str], wrong_a_minute: int = 0) -> None:
        self._tokens = [AccessToken.parse(text) for text in tokens]
        self._wrong = RateLimit(wrong_a_minute)
        self._taken = TakenTokens()

    @property
    def is_open(self) -> bool:
        """Whether no token is needed."""
        return not self._tokens

    def rights_of(self, request: Request) -> Rights | None:
        """What the request's own credentials are for; None if they are wrong, or there are none.

        Raises `TooManyWrongTokens`.
        """
        found = self.find(_credential(request), request.remote_addr or "")
        return found.rights if found is not None else None

    def find(self, credential: str, client: str) -> AccessToken | None:
        """The token that a credential is; raises `TooManyWrongTokens`, by the client's address."""
        if not credential:
            return None
        digest, client = digest_of(credential), client_of(client)
        if (wait := self._wrong.expected_wait(client)) and (client, digest) not in self._taken:
            raise TooManyWrongTokens(wait)
        # Every token is compared, each in constant time: how long it takes tells nothing.
        found = [token for token in self._tokens if hmac.compare_digest(digest, token.digest)]
        if not found:
            self._wrong.wait(client)
            return None
        self._taken.add(client, digest)
        return AccessToken(digest, functools.reduce(operator.or_, (token.rights for token in found)))

    def may_read(self, digest: str) -> bool:
        """Whether a token of this digest is still there, and for reading."""
        return any(token.digest == digest and Rights.READ in token.rights for token in self._tokens)


def digest_of(text: str) -> str:
    """The SHA-256 of a token, or of a cookie, in hex: nothing else of them is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def authorization_of(request: Request) -> Authorization | None:
    """What the header Authorization says; None where it cannot be understood."""
    try:
        return request.authorization
    except ValueError:  # the framework's, of a Basic that is not ASCII
        return None


def _credential(request: Request) -> str:
    given = authorization_of(request)
    if given is None:
        return ""
    return (given.token if given.type == "bearer" else given.password if given.type == "basic" else "") or ""


def _place(origin: str) -> tuple[str | None, int | None] | None:
    """Host and port of an origin; None for what is none, such as `null`."""
    try:
        parts = urlsplit(origin)
        return (parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)) if parts.hostname else None
    except ValueError:
        return None

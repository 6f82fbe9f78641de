"""What is told of rollouts, as a fabfile names it: web servers and commands that get events, and collectors."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import field
from urllib.parse import urlsplit

from envfab.config.servers import Secret
from envfab.config.validation import check_strings, check_text, configuration, wrong

BEGUN, ENDED, FAILED = "rollout.begun", "rollout.ended", "rollout.failed"
VIRTUALENV_FAILED, ROLLED_BACK = "virtualenv.failed", "virtualenv.rolled-back"
LOCK_WAITED, DRIFT, FINDING = "lock.waited", "drift.found", "finding.new"
KINDS = (BEGUN, ENDED, FAILED, VIRTUALENV_FAILED, ROLLED_BACK, LOCK_WAITED, DRIFT, FINDING)
FORMATS = ("json", "slack")
# how Standard Webhooks marks a key that is written in Base64
KEY_PREFIX = "whsec_"
URL_HINT = "say Webhook('https://hooks.example.org/envfab'), or give a function that returns the address"
COLLECTOR_HINT = "say Collector('https://inventory.example.org'), or give a function that returns the address"
REGISTRATION_PATH = "/application/register"
_TOKEN = re.compile("[!-~]+")


class Listener:
    """What is told of rollouts, in one way or another."""

    __slots__ = ()


class Receiver(Listener):
    """What events are sent to; without `kinds` all of them."""

    __slots__ = ()

    kinds: Sequence[str]


@configuration
class Collector(Listener):
    """A collector that is told each rollout while it is under way: whole documents, not events.

    `url` is its address, which may have a path, `token` one that may write. Both may be functions that return them.
    """

    url: str | Callable[[], str] = field(repr=False)
    token: Secret = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.url) and (problem := problem_of_collector(self.url)):
            wrong(self, "url", problem, COLLECTOR_HINT)
        if self.token is not None and not callable(self.token) and (problem := problem_of_token(self.token)):
            wrong(self, "token", problem)


@configuration
class Webhook(Receiver):
    """A web server that events are posted to; with a `secret` they are signed as Standard Webhooks 1.0 says.

    `format` is `json`, or `slack` for the incoming webhooks of Slack and Mattermost. `url` and `secret` may be
    functions that return them: for some servers the address is a secret.
    """

    url: str | Callable[[], str] = field(repr=False)
    secret: Secret = field(default=None, repr=False)
    format: str = "json"
    kinds: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not callable(self.url) and (problem := problem_of_url(self.url)):
            wrong(self, "url", problem, URL_HINT)
        if self.secret is not None and not callable(self.secret) and (problem := problem_of_secret(self.secret)):
            wrong(self, "secret", problem)
        if self.format not in FORMATS:
            wrong(self, "format", f"must be one of {', '.join(FORMATS)}, not {self.format!r}")
        _check_kinds(self)


@configuration
class Exec(Receiver):
    """A command that runs on this machine, in the fabfile's folder, with an event as JSON on its standard input.

    Text is for a shell; a list is a program and its arguments.
    """

    command: str | Sequence[str]
    kinds: Sequence[str] = ()

    def __post_init__(self) -> None:
        if isinstance(self.command, str):
            check_text(self, "command")
        else:
            check_strings(self, "command")
        if not self.command:
            wrong(self, "command", "must be a command, not an empty list")
        _check_kinds(self)


def problem_of_url(url: object) -> str:
    """Why this cannot be the address of a web server, empty if it can; the address may hold a secret."""
    if not isinstance(url, str):
        return f"must be text, or a function that returns it, not {type(url).__name__}"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and url.isprintable()
    except ValueError:
        sound = False
    return "" if sound and " " not in url else "must be an http or https URL"


def problem_of_collector(url: object) -> str:
    """Why this cannot be the address of a collector, empty if it can; the address may hold a password."""
    if problem := problem_of_url(url):
        return problem
    parts = urlsplit(str(url))
    if parts.query or parts.fragment:
        return "must be an address without '?' and '#'"
    if parts.path.rstrip("/").endswith(REGISTRATION_PATH):
        return f"must be the address of the collector itself, without {REGISTRATION_PATH.strip('/')}"
    return ""


def problem_of_token(token: object) -> str:
    """Why no header can hold this token, empty if one can; it is never shown."""
    if not isinstance(token, str):
        return f"must be text, or a function that returns it, not {type(token).__name__}"
    return "" if _TOKEN.fullmatch(token) else "must be of printable ASCII without spaces, and not empty"


def problem_of_secret(secret: object) -> str:
    """Why this cannot be a secret, empty if it can; it is never shown."""
    if not isinstance(secret, str):
        return f"must be text, or a function that returns it, not {type(secret).__name__}"
    if not secret.strip():
        return "must not be empty"
    try:
        key_of(secret)
    except ValueError:
        return f"must be Base64 after {KEY_PREFIX}"
    return ""


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for: what follows `whsec_` is Base64, any other text is itself in UTF-8.

    Raises `ValueError`.
    """
    if not secret.startswith(KEY_PREFIX):
        return secret.encode("utf-8")
    try:
        return base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("not Base64") from None


def _check_kinds(owner: Receiver) -> None:
    check_strings(owner, "kinds")
    for kind in owner.kinds:
        if kind not in KINDS:
            close = difflib.get_close_matches(kind, KINDS, n=1)
            suggestion = f"; did you mean {close[0]}?" if close else ""
            wrong(owner, "kinds", f"{kind!r} is not a kind of event{suggestion}", f"the kinds are: {', '.join(KINDS)}")

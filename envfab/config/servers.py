"""The servers that a fabfile names, and the secrets that they ask for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field

from envfab.config.validation import check_optional_text, check_text, check_url, configuration, wrong

Secret = str | Callable[[], str] | None


def secret(value: Secret) -> str | None:
    """What a secret holds: callables are called now, and no earlier."""
    return value() if callable(value) else value


@configuration
class Difio:
    """A registration server that speaks Difio's protocol."""

    url: str
    user_id: int = 0
    token: Secret = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_url(self, "url")
        if not isinstance(self.user_id, int) or isinstance(self.user_id, bool):
            wrong(self, "user_id", f"{self.user_id!r} is no whole number")
        if self.token is not None and not callable(self.token):
            check_text(self, "token")


@configuration
class DependencyTrack:
    """A Dependency-Track server, which takes each virtualenv's bill of materials as a project of its own.

    `url` is that of its API server, without `/api`; `project` an existing project, by name or UUID, below which
    those of the virtualenvs are made.
    """

    url: str
    api_key: str | Callable[[], str] = field(repr=False)
    project: str | None = None

    def __post_init__(self) -> None:
        check_url(self, "url")
        # the address may hold a password, so it is not shown
        if re.search(r"/api(/|$)|[?#]", self.url):
            wrong(
                self,
                "url",
                "it goes beyond the server",
                "leave out /api and what follows: https://deptrack.example.org",
            )
        if not callable(self.api_key):
            check_text(self, "api_key")
        check_optional_text(self, "project")


Server = Difio | DependencyTrack


@configuration
class UsageStats:
    """A server that takes envfab's own usage statistics, once a user has opted in."""

    url: str

    def __post_init__(self) -> None:
        check_url(self, "url")

"""The servers that a fabfile names, and their secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from envfab.config.validation import check_url, configuration

Secret = str | Callable[[], str] | None


def secret(value: Secret) -> str | None:
    """The value of a secret; a callable is called now, and may raise anything."""
    return value() if callable(value) else value


class Server:
    """A registration server, as a fabfile names it; `envfab.registration.servers` says what each kind can do."""

    __slots__ = ()

    needs_materials: ClassVar[bool] = False
    """Whether payloads list licences and bundled libraries, so that probes must have them (`models.materials`)."""

    url: str


@configuration
class UsageStats:
    """A server that is sent envfab's own usage statistics, once a user has opted in."""

    url: str

    def __post_init__(self) -> None:
        check_url(self, "url")

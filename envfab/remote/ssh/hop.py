"""Hops: the logins on the way to a host, and the syntax of ProxyJump, which names them."""

from __future__ import annotations

from dataclasses import dataclass

from envfab.errors import Unreachable


@dataclass(frozen=True, slots=True)
class Hop:
    """A login on the way to a host; the SSH configuration decides what is None."""

    name: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Hop:
        """Parse one of ProxyJump's `[user@]host[:port]` or `ssh://…`, with IPv6 addresses in brackets.

        Raises `Unreachable` for any other text.
        """
        user, _, place = text.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
        if place.startswith("["):
            host, _, rest = place[1:].partition("]")
            port = rest.removeprefix(":")
        else:
            host, _, port = place.partition(":")
        if not host or host.startswith("-") or user.startswith("-") or (port and not port.isdigit()):
            raise Unreachable(
                f"ProxyJump must be [user@]host[:port], not {text.strip()!r}",
                where=host or text.strip(),
                hint="correct it in your SSH config",
            )
        return cls(host, user or None, int(port) if port else None)

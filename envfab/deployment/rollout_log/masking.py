"""Secrets taken out of what a rollout's log keeps."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from envfab.config.target import Member, Target

# shorter values (`true`, `8000`) are not secrets, and masking them would make output unreadable; as agent/django
SHORTEST = 6
MASK = "***"


class Masking:
    """Replaces secrets by `***`: some everywhere, and in what a virtualenv's commands print its projects' `env`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._everywhere = _longest_first(secrets)
        self._of: dict[Target, tuple[str, ...]] = {}

    def learn(self, member: Member) -> None:
        """Mask the values of the virtualenv's projects from now on."""
        values = [value for project in member.virtualenv.projects for value in project.env.values()]
        if values:
            self._of[member.target] = _longest_first([*values, *self._everywhere])

    def masked(self, text: str, target: Target | None = None) -> str:
        """Return the text without secrets."""
        for secret in self._of.get(target, self._everywhere) if target is not None else self._everywhere:
            text = text.replace(secret, MASK)
        return text


def _longest_first(secrets: Iterable[str]) -> tuple[str, ...]:
    # one may be the beginning of another
    return tuple(sorted({one for one in secrets if len(one) >= SHORTEST}, key=len, reverse=True))


def secrets_of_url(url: str) -> tuple[str, ...]:
    """Return what an address says about who asks: the user with the password, and the password alone."""
    said = urlsplit(url).netloc.rpartition("@")[0]
    password = said.partition(":")[2]
    return tuple(one for one in (said, password, unquote(password)) if one)

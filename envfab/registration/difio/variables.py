"""The `DIFIO_` variables: where to register, and what describes the one virtualenv that is registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from envfab.errors import UsageError


@dataclass(frozen=True, slots=True)
class Variables:
    """The `DIFIO_` variables that are set and not empty. All but `url` and `user_id` describe one virtualenv."""

    url: str | None = None
    user_id: int | None = None
    uuid: str | None = None
    app_name: str | None = None
    app_url: str | None = None
    virtualenv_version: str | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Variables:
        """What an environment says; raises `UsageError` where `DIFIO_USER_ID` is not a whole number."""

        def value(name: str) -> str | None:
            return environment.get(f"DIFIO_{name}", "").strip() or None

        user_id = value("USER_ID")
        if user_id is not None and not (user_id.isascii() and user_id.isdigit()):
            raise UsageError(f"must be a whole number, not {user_id!r}", where="DIFIO_USER_ID")
        return cls(
            value("URL"),
            int(user_id) if user_id is not None else None,
            value("UUID"),
            value("APP_NAME"),
            value("APP_URL"),
            value("VIRTUALENV_VERSION"),
        )

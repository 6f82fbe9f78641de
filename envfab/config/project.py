"""Django projects of a fabfile."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field

from envfab.config.validation import (
    check_optional_text,
    check_strings,
    check_text,
    check_truth,
    check_user,
    configuration,
    put,
    wrong,
)

# what `Project.migrations` may be, beside None
EXPAND_ONLY, ANY = "expand-only", "any"


@configuration
class Project:
    """A Django project that lives in a virtualenv.

    `env` and `env_file` (a file of `NAME=value` lines on the managed host) are all the environment that
    its commands get; `database` is a label: projects that share one migrate once a rollout.
    Migrations that break older code are refused where older code runs beside them on the database: always with
    `migrations="expand-only"`, never with "any".
    """

    settings: str
    user: str | None = None
    migrate: bool = True
    database: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    env_file: str | None = None
    commands: Sequence[str] = ()
    migrations: str | None = None

    def __post_init__(self) -> None:
        check_text(self, "settings")
        check_optional_text(self, "database", "env_file")
        check_user(self, "user")
        check_truth(self, "migrate")
        if not all(part.isidentifier() for part in self.settings.split(".")):
            hint = "say Project('shop.settings')"
            wrong(self, "settings", f"must be a dotted module name, not {self.settings!r}", hint)
        if self.env_file is not None and not self.env_file.startswith("/"):
            wrong(self, "env_file", f"must be a full path on the managed host, not {self.env_file!r}")
        if not isinstance(self.env, Mapping) or not all(
            isinstance(key, str) and isinstance(value, str) for key, value in self.env.items()
        ):
            wrong(self, "env", f"must map names to strings, not {self.env!r}", "say env={'NAME': 'value'}")
        for name in self.env:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
                wrong(self, "env", f"{name!r} cannot be the name of an environment variable")
        put(self, "env", dict(self.env))
        check_strings(self, "commands")
        if self.migrations not in (None, EXPAND_ONLY, ANY):
            hint = f"say migrations={EXPAND_ONLY!r} or {ANY!r}, or leave it out"
            wrong(self, "migrations", f"must be {EXPAND_ONLY!r} or {ANY!r}, not {self.migrations!r}", hint)

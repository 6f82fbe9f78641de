"""The flags of `plan` and `deploy` that choose what is planned, and the options that they make."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from envfab.errors import UsageError
from envfab.tasks.fabric1.rewrite import TRUE
from envfab.tasks.fabric1.tokens import UNSET

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from envfab.planning.plan import Options

CHOICE = {
    "only": "change just this package, leave all others as they are; repeatable",
    "prune": "also remove what no requirement needs",
    "force": "go ahead though an installed package outside the requirements would break",
    "reinstall": "install this package again though its version is right; repeatable",
    "upgrade": "take the newest of this dependency, too, or without a name of all of them; repeatable",
}


def plan_options(
    only: Iterable[str], reinstall: Iterable[str], prune: bool, force: bool, upgrade: Iterable[str] = ()
) -> Options:
    """The options that the flags of `plan` and `deploy` say; raises `UsageError` for what names no package."""
    from envfab.planning.plan import EVERYTHING, Options

    # `--upgrade` alone comes as `true`, and so does `deploy:upgrade=true`
    named = [one for one in upgrade if one.lower() not in TRUE]
    everything = len(named) < len(list(upgrade))
    return Options(
        only=_names("--only", only),
        reinstall=_names("--reinstall", reinstall),
        prune=prune,
        force=force,
        upgrade=_names("--upgrade", named) | (frozenset({EVERYTHING}) if everything else frozenset()),
    )


def upgrade_flags(options: Options) -> list[str]:
    """The flags that say `options.upgrade` again."""
    from envfab.planning.plan import EVERYTHING
    from envfab.tasks.command_line import flags

    return ["--upgrade"] if EVERYTHING in options.upgrade else flags(upgrade=sorted(options.upgrade))


def _names(flag: str, given: Iterable[str]) -> frozenset[NormalizedName]:
    """The packages that a flag names; raises `UsageError` for what is more than a name, or less."""
    from packaging.utils import InvalidName, canonicalize_name

    names = set()
    for one in given:
        try:
            names.add(canonicalize_name(one, validate=True))
        except InvalidName:
            begins = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", one)
            hint = f"say {flag} {begins[0]}; versions belong in the requirements" if begins else UNSET
            raise UsageError(f"takes the name of a package, not {one!r}", where=flag, hint=hint) from None
    return frozenset(names)

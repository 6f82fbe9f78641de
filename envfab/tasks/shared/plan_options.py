"""The options of a plan, made of the flags of `plan` and `deploy`, and said as flags again."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.utils import InvalidName, NormalizedName, canonicalize_name

from envfab.errors import UsageError
from envfab.planning.plan import EVERYTHING, Options
from envfab.tasks.fabric1.rewrite import TRUE
from envfab.tasks.fabric1.tokens import UNSET
from envfab.tasks.shared.command_line import flags


def plan_options(
    only: Iterable[str], reinstall: Iterable[str], prune: bool, force: bool, upgrade: Iterable[str] = ()
) -> Options:
    """Make the options from the flags of `plan` and `deploy`; raises `UsageError` for what is not a package's name."""
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


def option_flags(options: Options) -> list[str]:
    """Return the flags that give the same options."""
    chosen = flags(
        only=sorted(options.only), reinstall=sorted(options.reinstall), prune=options.prune, force=options.force
    )
    newest = ["--upgrade"] if EVERYTHING in options.upgrade else flags(upgrade=sorted(options.upgrade))
    return [*chosen, *newest]


def _names(flag: str, given: Iterable[str]) -> frozenset[NormalizedName]:
    """Return the canonical names that a flag gives; raises `UsageError` for what is not a name."""
    names = set()
    for one in given:
        try:
            names.add(canonicalize_name(one, validate=True))
        except InvalidName:
            begins = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", one)
            hint = f"say {flag} {begins[0]}; versions belong in the requirements" if begins else UNSET
            raise UsageError(f"must be the name of a package, not {one!r}", where=flag, hint=hint) from None
    return frozenset(names)

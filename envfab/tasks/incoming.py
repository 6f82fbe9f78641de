"""What the tasks through which wheels come in have in common: the rules of the settings."""

from __future__ import annotations

from collections.abc import Sequence

from envfab.config.name_patterns import NamePatterns
from envfab.config.settings import Settings
from envfab.errors import UsageError
from envfab.fetch.age_rule import AgeRule


def age_rule(settings: Settings) -> AgeRule:
    """Return the rule on the age of wheels that are fetched."""
    return AgeRule(settings.older_than, settings.older_than_except)


def own_projects(words: Sequence[str]) -> NamePatterns:
    """Return the projects that `--own` names; raises `UsageError`."""
    try:
        return NamePatterns.parse(words)
    except ValueError as error:
        raise UsageError(
            f"must be the name of a project, or a pattern like mycorp-*, not {str(error)!a}", where="--own"
        ) from None

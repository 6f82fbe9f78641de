"""A distribution that is installed in a virtualenv."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import Enum

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.models.legacy_metadata import read_requirement
from envfab.util.versions import version_or_none


class Origin(Enum):
    """How an installed distribution came to be there."""

    WHEEL = "wheel"
    EDITABLE = "editable"
    DIRECT_URL = "direct URL"
    EGG_INFO = "egg-info"
    OUTSIDE = "outside the virtualenv"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Name and version as installed, with its `Requires-Dist`; `version` is None where PEP 440 has none for it."""

    name: NormalizedName
    version: Version | None
    shown_as: str
    version_text: str
    requires: tuple[Requirement, ...] = ()
    extras: frozenset[NormalizedName] = frozenset()
    origin: Origin = Origin.WHEEL
    requires_python: str | None = None

    def __hash__(self) -> int:
        # the other fields tell equal names and versions apart well enough by ==; hashing them takes packaging long
        return hash((self.name, self.version_text))

    @classmethod
    def build(
        cls,
        shown_as: str,
        version_text: str,
        requires: tuple[str, ...] = (),
        extras: tuple[str, ...] = (),
        origin: Origin = Origin.WHEEL,
        requires_python: str | None = None,
    ) -> Distribution:
        """From what a probe read; requirements that no standard can read are left out, as pip does.

        What reads the same is the same object: virtualenvs are much alike, and reading their requirements is what takes
        most of the time of looking at many.
        """
        return _built(shown_as, version_text, requires, extras, origin, requires_python)


@functools.lru_cache(maxsize=8192)
def _built(
    shown_as: str,
    version_text: str,
    requires: tuple[str, ...],
    extras: tuple[str, ...],
    origin: Origin,
    requires_python: str | None,
) -> Distribution:
    parsed = []
    for text in requires:
        try:
            parsed.append(read_requirement(text)[0])
        except (InvalidRequirement, RecursionError):
            # parentheses in parentheses in a marker, hundreds of them
            continue
    return Distribution(
        canonicalize_name(shown_as),
        version_or_none(version_text),
        shown_as,
        version_text,
        tuple(parsed),
        frozenset(canonicalize_name(extra) for extra in extras),
        origin,
        requires_python,
    )

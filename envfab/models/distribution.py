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
    """How a distribution was installed."""

    WHEEL = "wheel"
    EDITABLE = "editable"
    DIRECT_URL = "direct URL"
    EGG_INFO = "egg-info"
    EGG = "egg"
    DISTUTILS = "distutils"
    OUTSIDE = "outside the virtualenv"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Name and version as installed, with its `Requires-Dist`; `version` is None where the text does not follow PEP
    440."""

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
        """Make it from what a probe read; unreadable requirements are left out, as by pip.

        Equal texts give the same object: virtualenvs are much alike, and parsing their requirements takes most of the
        time of probing many.
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

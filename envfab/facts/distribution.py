"""A distribution that is installed in a virtualenv."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version


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
        """From what a probe read; requirements that no standard can read are left out, as pip does."""
        parsed = []
        for text in requires:
            try:
                parsed.append(Requirement(text))
            except InvalidRequirement:
                continue
        try:
            version = Version(version_text)
        except InvalidVersion:
            version = None
        return cls(
            canonicalize_name(shown_as),
            version,
            shown_as,
            version_text,
            tuple(parsed),
            frozenset(canonicalize_name(extra) for extra in extras),
            origin,
            requires_python,
        )

"""Licences as bills of materials have them: SPDX expressions where they are known, names where they are not."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from envfab.models.materials import DistributionMaterials
from envfab.sbom.license_classifiers import NAMELESS, SPDX_IDS, short_name

LONGEST_NAME = 100  # characters; a longer text in the field License is that of a licence, not its name
LONGEST_EXPRESSION = 2_000
MOST_BRACKETS = 50  # the parser calls itself for each
# what setuptools and people write where there is none
NOTHING = frozenset({"", "unknown", "none", "n/a", "other", "see license", "see license file", "license"})
REFERENCE = re.compile(r"\bLicenseRef-[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class License:
    """A licence: an SPDX expression, often a single identifier, or else a name that SPDX does not list."""

    expression: str | None = None
    name: str | None = None

    @property
    def is_identifier(self) -> bool:
        """Whether it is a single identifier of SPDX's list."""
        return self.expression is not None and " " not in self.expression and not REFERENCE.search(self.expression)


@dataclass(frozen=True, slots=True)
class Licenses:
    """What is known of the licences of a component; `source` says what told it, or why it is not known.

    Where there are several, it is not said whether all of them apply, or one may be chosen.
    """

    all: tuple[License, ...] = ()
    source: str = ""


NOT_ASKED = Licenses()


def licenses_of(materials: DistributionMaterials) -> Licenses:
    """The licences of a distribution: by License-Expression (PEP 639), else classifiers, else License as free text."""
    wanted = materials.license_expression
    expression = as_expression(wanted)
    if expression is not None:
        return Licenses((License(expression),), "License-Expression")
    by_classifiers = _by_classifiers(materials)
    text = " ".join((materials.license or "").split())
    stated = as_expression(text)
    ambiguous = any(one.name is not None for one in by_classifiers)
    if by_classifiers and not (ambiguous and stated):
        return Licenses(by_classifiers, "Classifier")
    if stated is not None:
        return Licenses((License(stated),), "License")
    if text.lower() not in NOTHING and len(text) <= LONGEST_NAME:
        return Licenses((License(name=text),), "License")
    if wanted is not None:
        return Licenses(source="License-Expression is not valid")
    return Licenses(source="METADATA has a text without a name" if len(text) > LONGEST_NAME else "METADATA names none")


def _by_classifiers(materials: DistributionMaterials) -> tuple[License, ...]:
    telling = [one for one in dict.fromkeys(materials.license_classifiers) if one not in NAMELESS and short_name(one)]
    return tuple(
        License(SPDX_IDS[one]) if one in SPDX_IDS else License(name=short_name(one)[:LONGEST_NAME]) for one in telling
    )


def as_expression(text: str | None) -> str | None:
    """A text as a canonical SPDX expression; None where it is not one."""
    if text is None or len(text) > LONGEST_EXPRESSION or text.count("(") > MOST_BRACKETS:
        return None
    try:
        return str(canonicalize_license_expression(text))
    except (InvalidLicenseExpression, ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def reference(name: str) -> str:
    """The identifier that a licence which SPDX does not list has in a document: `LicenseRef-BSD-License`."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:60]
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"LicenseRef-{plain or 'name'}-{digest}"

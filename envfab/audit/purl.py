"""Package URLs of projects on PyPI (`pkg:pypi/django@5.2.1`), by ECMA-427 and its type `pypi`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from packaging.utils import InvalidName, NormalizedName, canonicalize_name

from envfab.util.versions import version_or_none

_PREFIX = "pkg:pypi/"


@dataclass(frozen=True, slots=True)
class PackageName:
    """A project on PyPI, and a version of it; None is every version."""

    name: NormalizedName
    version: str | None = None

    def covers(self, name: NormalizedName, version: str) -> bool:
        """Whether an installed version is meant; versions are compared as PEP 440 does."""
        if self.name != name or self.version is None:
            return self.name == name
        own, other = version_or_none(self.version), version_or_none(version)
        return own == other if own is not None and other is not None else self.version == version


def parse_purl(text: str) -> PackageName | None:
    """The project that a package URL names; None for other types, and for what is not a package URL."""
    # `pkg://pypi/…` is the same
    scheme, colon, rest = text.partition(":")
    text = f"{scheme.lower()}{colon}{rest.lstrip('/')}"
    if not text.lower().startswith(_PREFIX):
        return None
    name, _, version = text[len(_PREFIX) :].partition("#")[0].partition("?")[0].strip("/").partition("@")
    try:
        return PackageName(canonicalize_name(unquote(name), validate=True), unquote(version) or None)
    except InvalidName:
        return None

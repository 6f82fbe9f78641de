"""A bill of materials, whatever the format that it is written in: components, what contains what, what needs what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from envfab.sbom.licenses import NOT_ASKED, Licenses

# of CycloneDX's types of components those that envfab writes; others' documents are read with these, too
KINDS = frozenset(
    {"application", "framework", "library", "container", "platform", "operating-system", "firmware", "file", "data"}
)
APPLICATION, LIBRARY, PLATFORM = "application", "library", "platform"


class Hash(NamedTuple):
    """A hash, with the algorithm by CycloneDX's name (`SHA-256`), in hex."""

    algorithm: str
    value: str


class ComponentProperty(NamedTuple):
    """What formats have no field for: `envfab:origin`, `wheel`."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class BillComponent:
    """A component; `ref` identifies it in its bill, `location` is its file, below the folder of packages."""

    ref: str
    kind: str
    name: str
    version: str | None = None
    group: str | None = None
    purl: str | None = None
    cpe: str | None = None
    hashes: tuple[Hash, ...] = ()
    licenses: Licenses = NOT_ASKED
    location: str | None = None
    properties: tuple[ComponentProperty, ...] = ()


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill of a virtualenv, which `root` is.

    `components` are all others, `parts` says by `ref` what a component contains (each is contained once at most, and
    what is contained contains nothing), `needs` what it depends on. `warnings` are about what could not be listed.
    """

    root: BillComponent
    components: tuple[BillComponent, ...]
    parts: Mapping[str, tuple[str, ...]]
    needs: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...] = ()

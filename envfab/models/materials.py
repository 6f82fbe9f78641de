"""The materials of a bill: what distributions contain beside Python, and what an interpreter is linked with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.utils import NormalizedName


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file, by its path below the folder of packages; `sha256` is None if it could not be read."""

    path: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class EmbeddedDocument:
    """A bill of materials in a wheel (PEP 770); `content` is None if it is too large, or could not be read."""

    path: str
    size: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class DistributionMaterials:
    """What a distribution's METADATA says of licences, and files of it; `cut` says that some are not listed."""

    license_expression: str | None = None
    license: str | None = None
    license_classifiers: tuple[str, ...] = ()
    license_files: tuple[HashedFile, ...] = ()
    libraries: tuple[HashedFile, ...] = ()
    documents: tuple[EmbeddedDocument, ...] = ()
    # (path, version as OpenSSL tells it) of binaries that have OpenSSL in them
    openssl: tuple[tuple[str, str], ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Materials:
    """The materials of a virtualenv's own distributions, by canonical name.

    `linked` are the versions of the libraries that the interpreter is linked with, as these tell them, by the names
    `openssl`, `sqlite`, `zlib` and `expat`; None where it does not tell.
    """

    linked: Mapping[str, str | None]
    distributions: Mapping[NormalizedName, DistributionMaterials]

"""What was found in a virtualenv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packaging.utils import NormalizedName

from envfab.facts.distribution import Distribution
from envfab.facts.interpreter import Interpreter
from envfab.fleet import Target


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Bytes and inodes that are free; None where a file system does not say."""

    bytes: int | None
    inodes: int | None


@dataclass(frozen=True, slots=True)
class Probe:
    """A virtualenv as it was read.

    `distributions` has the virtualenv's own, by canonical name; `outside` those it only sees (system site
    packages); `duplicates` names present twice; `leftovers` pip's `~name` folders; `journal` the interrupted
    deployment, or None; `holder` what whoever deploys there at this moment says of himself, or None (then there is no
    interrupted one); `fingerprint` changes whenever any of it does; `node` is what the host calls itself.
    """

    target: Target
    interpreter: Interpreter
    distributions: Mapping[NormalizedName, Distribution]
    outside: Mapping[NormalizedName, Distribution]
    leftovers: tuple[str, ...]
    duplicates: tuple[str, ...]
    journal: Mapping[str, Any] | None
    free: FreeSpace
    pip: str | None
    fingerprint: str
    # what deployments before this one left: the wheels to go back to (`sha256.filename`), the last history record
    kept: tuple[str, ...] = ()
    last: Mapping[str, Any] | None = None
    node: str = ""
    holder: Mapping[str, Any] | None = None

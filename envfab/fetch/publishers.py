"""Provenances of wheels that are about to come in: read, verified, and compared with those of earlier releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import NormalizedName

from envfab.errors import SupplyError
from envfab.fetch.attestations import can_verify, verify
from envfab.index.client import PackageIndex, ProvenanceMissing
from envfab.index.session import AT_ONCE
from envfab.models.provenance import Provenance
from envfab.models.wheel import Wheel
from envfab.util.atomic import write_file
from envfab.util.thread_pool import ThreadPool
from envfab.wheelhouse.provenances import provenance_file, read_provenance
from envfab.wheelhouse.validate import sha256_of
from envfab.wheelhouse.wheelhouse import Wheelhouse


@dataclass(frozen=True, slots=True)
class Incoming:
    """A wheel that is about to come in; `provenance` is None where it has none, `sha256` may be empty then.

    `missing` tells why the provenance that the index names could not be had.
    """

    wheel: Wheel
    sha256: str
    provenance: Provenance | None
    verified: bool = False
    missing: ProvenanceMissing | None = None

    @property
    def shown(self) -> str:
        """Where it comes from, in words; empty where it does not say."""
        if self.provenance is None:
            return ""
        return f"from {self.provenance.shown}, {'verified' if self.verified else 'not verified'}"


@dataclass(frozen=True, slots=True)
class PublisherChange:
    """A wheel from other publishers than the newest of its project whose provenance the wheelhouse has."""

    wheel: Wheel
    provenance: Provenance | None
    earlier: Wheel
    before: Provenance

    def __str__(self) -> str:
        now = f"comes from {self.provenance.shown}" if self.provenance is not None else "has no provenance"
        return f"{self.wheel.shown_as} {self.wheel.version} {now}; {self.earlier.version} came from {self.before.shown}"


def fetched(wheels: Sequence[Wheel], index: PackageIndex) -> list[Incoming]:
    """The wheels of an index with their provenances, verified where that is possible; raises `SupplyError`."""
    with ThreadPool(AT_ONCE, "envfab-provenance") as pool:
        answers = [pool.submit(_fetched, wheel, index) for wheel in wheels]
        return [_verified(answer.result()) for answer in answers]


def _fetched(wheel: Wheel, index: PackageIndex) -> Incoming:
    try:
        return Incoming(wheel, str(wheel.sha256), index.provenance(wheel))
    except ProvenanceMissing as error:
        return Incoming(wheel, str(wheel.sha256), None, missing=error)


def on_disk(wheels: Mapping[Path, Wheel]) -> list[Incoming]:
    """Wheels at their paths with the provenances that lie beside them, verified where that is possible.

    Raises `WheelError` and `SupplyError`.
    """
    found = []
    for path, wheel in wheels.items():
        digest = sha256_of(path) if provenance_file(path).exists() else ""
        found.append(_verified(Incoming(wheel, digest, read_provenance(path, digest))))
    return found


def _verified(one: Incoming) -> Incoming:
    """The same, verified where it has a provenance and the library is there; raises `SupplyError`."""
    if one.provenance is None or not can_verify():
        return one
    verify(one.provenance, one.wheel.filename, one.sha256)
    return replace(one, verified=True)


def changes(incoming: Sequence[Incoming], wheelhouse: Wheelhouse) -> list[PublisherChange]:
    """The wheels whose publishers are not those of the newest provenance of their project in the wheelhouse.

    Where there is none, they are compared with the oldest of those that come in. What the wheelhouse has already is
    left out. Raises `WheelError` where a provenance there cannot be read.
    """
    found = []
    known: dict[NormalizedName, tuple[Wheel, Provenance] | None] = {}
    for one in sorted(incoming, key=lambda one: (one.wheel.version, one.wheel.filename)):
        name = one.wheel.name
        if any(release.wheel.filename == one.wheel.filename for release in wheelhouse.releases(name)):
            continue
        if name not in known:
            known[name] = _newest_provenance(wheelhouse, name)
        before = known[name]
        if before is None:
            known[name] = (one.wheel, one.provenance) if one.provenance is not None else None
        elif one.provenance is None or one.provenance.identities != before[1].identities:
            found.append(PublisherChange(one.wheel, one.provenance, *before))
    return found


def _newest_provenance(wheelhouse: Wheelhouse, name: NormalizedName) -> tuple[Wheel, Provenance] | None:
    """The newest wheel of a project that has a provenance in the wheelhouse, and that; raises `WheelError`."""
    releases = sorted(wheelhouse.releases(name), key=lambda one: (one.wheel.version, one.wheel.filename), reverse=True)
    for release in releases:
        wheel = release.wheel
        found = read_provenance(wheelhouse.path_of(wheel), wheelhouse.sha256(wheel))
        if found is not None:
            return wheel, found
    return None


def put_beside(incoming: Sequence[Incoming], paths: Sequence[Path]) -> None:
    """Write the provenances beside the downloads, with which they are taken in; raises `SupplyError`."""
    provenances = {one.wheel.filename: one.provenance for one in incoming}
    for path in paths:
        provenance = provenances.get(path.name)
        if provenance is not None:
            try:
                write_file(provenance_file(path), provenance.content)
            except OSError as error:
                raise SupplyError(f"a download cannot be stored: {error.strerror}", where=str(path)) from None

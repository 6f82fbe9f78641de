"""Provenances (PEP 740) kept beside wheels: `NAME.whl.provenance`, as the package index gave them."""

from __future__ import annotations

from pathlib import Path

from envfab.errors import WheelError
from envfab.models.provenance import LIMIT, SUFFIX, Provenance
from envfab.util.paths import read_file


def provenance_file(wheel: Path) -> Path:
    """Return where the provenance of the wheel at a path lies."""
    return wheel.with_name(f"{wheel.name}{SUFFIX}")


def read_provenance(wheel: Path, sha256: str) -> Provenance | None:
    """Return the provenance beside a wheel, None where there is none; raises `WheelError` where it is not one of the
    file with this SHA-256."""
    place = provenance_file(wheel)
    try:
        return Provenance.parse(read_file(place, LIMIT), sha256)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WheelError(f"cannot be read: {error.strerror}", where=str(place)) from None
    except ValueError as error:
        raise WheelError(
            f"is not the provenance of {wheel.name}: {error}", where=str(place), hint="fetch it again, or remove it"
        ) from None

"""The formats that bills of materials are written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from envfab.errors import UsageError
from envfab.sbom.bill import Bill
from envfab.sbom.cyclonedx import cyclonedx_document, require_library
from envfab.sbom.spdx import spdx_document


class BillWriter(Protocol):
    """The protocol of what writes a bill, on one line unless told to indent."""

    def __call__(self, bill: Bill, *, indent: int | None = None) -> str:
        """Return the document."""
        ...


@dataclass(frozen=True, slots=True)
class BillFormat:
    """A format: how it is written, how its files end; `check` raises `RegistrationError` where a library is missing."""

    write: BillWriter
    suffix: str
    check: Callable[[], None]


FORMATS: Mapping[str, BillFormat] = {
    "cyclonedx": BillFormat(cyclonedx_document, ".cdx.json", require_library),
    "spdx": BillFormat(spdx_document, ".spdx.json", lambda: None),
}


def format_named(name: str) -> BillFormat:
    """The format of a name; raises `UsageError`."""
    if name not in FORMATS:
        raise UsageError(f"must be {' or '.join(FORMATS)}, not {name!r}", where="--format")
    return FORMATS[name]

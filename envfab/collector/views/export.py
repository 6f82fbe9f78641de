"""What pages say of the export that vulnerabilities are known by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from envfab.collector.service import Service


@dataclass(frozen=True, slots=True)
class Export:
    """How old an export is, in words; `outdated` where it cannot be read any more."""

    age: str
    outdated: bool


def export_of(service: Service) -> Export | None:
    """The export that is compared with; None where there is none."""
    known = service.vulnerabilities
    return Export(known.age(datetime.now(timezone.utc)), known.outdated) if known is not None else None

"""Statements on the exploitability of vulnerabilities (VEX), whatever document they stand in."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from packaging.utils import NormalizedName

from envfab.audit.purl import PackageName
from envfab.util.json_fields import Fields
from envfab.util.times import in_utc, parse_time

# entries of a list
MOST = 100_000


class VEXStatus(enum.Enum):
    """The four statuses of VEX (CISA, Minimum Requirements for VEX), with OpenVEX's names."""

    NOT_AFFECTED = "not_affected"
    AFFECTED = "affected"
    FIXED = "fixed"
    UNDER_INVESTIGATION = "under_investigation"

    @property
    def settles(self) -> bool:
        """Whether nothing is left to do about a vulnerability with this status."""
        return self in (VEXStatus.NOT_AFFECTED, VEXStatus.FIXED)


@dataclass(frozen=True, slots=True)
class VEXStatement:
    """What a document says of a vulnerability in some packages.

    `justification` is a label of OpenVEX, or none; `text` is for people; `at` is when it was said.
    """

    ids: frozenset[str]
    packages: tuple[PackageName, ...]
    status: VEXStatus
    justification: str | None = None
    text: str = ""
    at: datetime | None = None
    document: str = ""

    def covers(self, name: NormalizedName, version: str) -> bool:
        """Whether it is about an installed version of a package."""
        return any(one.covers(name, version) for one in self.packages)


class VEXStatements:
    """Statements of several documents, in their order, found by the IDs of vulnerabilities."""

    def __init__(self, statements: Iterable[VEXStatement] = ()) -> None:
        self._by_id: dict[str, dict[int, VEXStatement]] = {}
        for number, one in enumerate(statements):
            for id in one.ids:
                self._by_id.setdefault(id, {})[number] = one

    def about(self, ids: Iterable[str], name: NormalizedName, version: str) -> VEXStatement | None:
        """The statement about a vulnerability of an installed version, by any of its IDs; None if there is none.

        It is the one of the latest time, which overrides the others; of those of the same or of no time, the last one.
        """
        found = {number: one for id in ids for number, one in self._by_id.get(id.lower(), {}).items()}
        fitting = [(one.at or _EARLIEST, number) for number, one in found.items() if one.covers(name, version)]
        return found[max(fitting)[1]] if fitting else None


_EARLIEST = datetime.min.replace(tzinfo=timezone.utc)


def time_in(fields: Fields, *names: str) -> datetime | None:
    """The first of several fields that is there, as a time; raises `ValueError` if it is not one."""
    for name in names:
        if name in fields.values:
            return in_utc(parse_time(fields.text(name)))
    return None


def ids_of(name: str, others: Iterable[str]) -> frozenset[str]:
    """The IDs of a vulnerability, as they are compared."""
    return frozenset(one.lower() for one in (name, *others))

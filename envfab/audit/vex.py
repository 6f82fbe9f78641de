"""Statements on the exploitability of vulnerabilities (VEX), whatever document they stand in."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
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

    def is_about(self, ids: Iterable[str], name: NormalizedName, version: str) -> bool:
        """Whether it is about a vulnerability with one of these IDs in an installed version."""
        return not self.ids.isdisjoint(one.lower() for one in ids) and any(
            one.covers(name, version) for one in self.packages
        )


def latest(statements: Sequence[VEXStatement]) -> VEXStatement | None:
    """The statement that overrides the others: the one of the latest time; of those of no time, the last one."""
    earliest = datetime.min.replace(tzinfo=timezone.utc)
    pairs = list(enumerate(statements))
    return max(pairs, key=lambda pair: (pair[1].at or earliest, pair[0]))[1] if pairs else None


def time_in(fields: Fields, *names: str) -> datetime | None:
    """The first of several fields that is there, as a time; raises `ValueError` if it is not one."""
    for name in names:
        if name in fields.values:
            return in_utc(parse_time(fields.text(name)))
    return None


def ids_of(name: str, others: Iterable[str]) -> frozenset[str]:
    """The IDs of a vulnerability, as they are compared."""
    return frozenset(one.lower() for one in (name, *others))

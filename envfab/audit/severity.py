"""Severities of vulnerabilities, computed from the CVSS vectors of OSV records, else taken from databases' words."""

from __future__ import annotations

# Imported in function bodies: the library cvss, which an audit that finds nothing does not need.
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class Severity(enum.Enum):
    """The qualitative severity ratings of CVSS v3.1 (section 5), and that it is not known.

    `rank` orders them; what is not known may be as bad as anything, so that it ranks last.
    """

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """A number that is higher for what is worse, and highest for what is not known."""
        return _ORDER.index(self)

    def reaches(self, least: Severity) -> bool:
        """Whether it is at or above `least`; what is not known always is."""
        return self.rank >= least.rank


_ORDER = tuple(Severity)
# what databases write in `database_specific.severity`: GitHub says MODERATE
WORDS = {
    "none": Severity.NONE,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class Rating:
    """A severity, with the CVSS vector that it follows from and the vector's base score (0 to 10), if there is one."""

    severity: Severity
    score: float | None = None
    vector: str | None = None


UNRATED = Rating(Severity.UNKNOWN)
# characters; the longest valid vector, of CVSS v4 with all its metrics, has 200
LONGEST_VECTOR = 500


def rate(vectors: Iterable[tuple[str, str]], word: str | None) -> Rating | None:
    """Rate one OSV record: by the worst of its CVSS vectors (type, vector), without any by the database's word.

    None if the record says nothing about severity.
    """
    rated = [_of_vector(kind, vector) for kind, vector in vectors]
    if not rated and word is not None:
        rated = [Rating(WORDS.get(word.strip().lower(), Severity.UNKNOWN))]
    return worst(rated) if rated else None


def worst(ratings: Sequence[Rating]) -> Rating:
    """Return the highest of several ratings; unrated if there are none.

    A rating that is not known makes the whole not known, unless another is critical: nothing can be above that.
    """
    known = [one for one in ratings if one.severity is not Severity.UNKNOWN]
    highest = max(known, key=lambda one: (one.severity.rank, one.score or 0), default=UNRATED)
    if len(known) == len(ratings) or highest.severity is Severity.CRITICAL:
        return highest
    return next(one for one in ratings if one.severity is Severity.UNKNOWN)


def _of_vector(kind: str, vector: str) -> Rating:
    """The rating of a `severity` entry of a record; of a type or a vector that cannot be read, it is not known."""
    from cvss import CVSS2, CVSS3, CVSS4
    from cvss.exceptions import CVSSError

    reader = {"CVSS_V2": CVSS2, "CVSS_V3": CVSS3, "CVSS_V4": CVSS4}.get(kind)
    if reader is None or len(vector) > LONGEST_VECTOR:
        return UNRATED
    try:
        read = reader(vector)
    except CVSSError:
        return UNRATED
    return Rating(Severity(read.severities()[0].lower()), float(read.base_score), vector)

"""Severities out of CVSS vectors and databases' words."""

from __future__ import annotations

from pathlib import Path

import pytest

from envfab.audit.osv import read, vulnerabilities
from envfab.audit.severity import UNRATED, Rating, Severity, rate, worst
from tests.audit.test_osv import NAMES, export, record
from tests.planning.catalogue import distribution

V2 = "AV:N/AC:L/Au:N/C:C/I:C/A:C"
V3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
V3_MEDIUM = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"
V3_NONE = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


@pytest.mark.parametrize(
    ("kind", "vector", "severity", "score"),
    [
        ("CVSS_V2", V2, Severity.HIGH, 10.0),
        ("CVSS_V3", V3, Severity.CRITICAL, 9.8),
        ("CVSS_V3", V3_MEDIUM, Severity.MEDIUM, 5.3),
        ("CVSS_V3", V3_NONE, Severity.NONE, 0.0),
        ("CVSS_V4", V4, Severity.CRITICAL, 9.3),
    ],
)
def test_a_vector_has_a_score(kind: str, vector: str, severity: Severity, score: float) -> None:
    """By the specification of its version: 2, 3 or 4."""
    assert rate([(kind, vector)], None) == Rating(severity, score, vector)


@pytest.mark.parametrize(
    ("kind", "vector"),
    [
        ("CVSS_V3", ""), ("CVSS_V3", "5.0"), ("CVSS_V3", V3 + "/"), ("CVSS_V3", V3[:-1]), ("CVSS_V3", V4), ("CVSS_V4", V3),
        ("CVSS_V3", "CVSS:3.1/AV:N/AV:N"), ("CVSS_V2", "\ud800"), ("CVSS_V4", V4 + "/E:X" * 1000), ("CVSS_V5", V3), ("None", "None"),
    ],
)  # fmt: skip
def test_a_vector_that_cannot_be_read_is_unknown(kind: str, vector: str) -> None:
    """Never low, and a database's word does not talk it down."""
    assert rate([(kind, vector)], "LOW") == UNRATED


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("LOW", "low"),
        ("MODERATE", "medium"),
        ("Medium", "medium"),
        ("HIGH ", "high"),
        ("critical", "critical"),
        ("x", "unknown"),
    ],
)
def test_without_a_vector_the_database_s_word_counts(word: str, severity: str) -> None:
    """GitHub's MODERATE is CVSS's medium; a word that is not known is unknown."""
    assert rate([], word) == Rating(Severity(severity))


def test_a_record_that_says_nothing_is_not_rated() -> None:
    """Silence of one database takes nothing from what another says."""
    assert rate([], None) is None


def test_the_highest_counts() -> None:
    """Of a record's vectors, and of several records."""
    assert rate([("CVSS_V3", V3_MEDIUM), ("CVSS_V2", V2)], "LOW") == Rating(Severity.HIGH, 10.0, V2)
    assert worst([Rating(Severity.LOW), Rating(Severity.HIGH, 7.1), Rating(Severity.HIGH, 8.2)]).score == 8.2
    assert worst([]) == UNRATED


def test_unknown_is_above_all_but_critical() -> None:
    """What cannot be read may be as bad as anything."""
    assert worst([Rating(Severity.HIGH), UNRATED]) == UNRATED
    assert worst([UNRATED, Rating(Severity.CRITICAL)]).severity is Severity.CRITICAL
    assert all(Severity.UNKNOWN.reaches(least) for least in Severity)
    assert [one.value for one in Severity if one.reaches(Severity.HIGH)] == ["high", "critical", "unknown"]


def test_a_finding_has_the_highest_of_its_records(tmp_path: Path) -> None:
    """Vectors of the record, or of the package alone; a record with a broken entry is still read."""
    own = record("GHSA-1", {"introduced": "0"}, aliases=["CVE-1"], severity=[{"type": "CVSS_V3", "score": V3_MEDIUM}])
    package = record("PYSEC-1", {"introduced": "0"}, aliases=["CVE-1"])
    package["affected"][0]["severity"] = [{"type": "CVSS_V3", "score": V3}]
    silent = record("GHSA-2", {"introduced": "0"}, aliases=["CVE-1"])
    broken = record("GHSA-3", {"introduced": "0"}, severity=["high", {"score": 7}])
    place = export(tmp_path / "osv", own, package, silent, broken)
    ratings = {one.ids[0]: one.rating for one in vulnerabilities([distribution("django==4.1")], read(place, NAMES))}
    assert ratings == {"CVE-1": Rating(Severity.CRITICAL, 9.8, V3), "GHSA-3": UNRATED}

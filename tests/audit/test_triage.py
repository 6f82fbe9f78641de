"""What was decided about findings."""

from __future__ import annotations

from datetime import date

import pytest
from packaging.utils import canonicalize_name

from envfab.audit.acceptances import Acceptance
from envfab.audit.findings import AuditedVirtualenv, Finding, FindingKind, FindingState
from envfab.audit.purl import PackageName
from envfab.audit.severity import Rating, Severity
from envfab.audit.triage import Triage
from envfab.audit.vex import VEXStatement, VEXStatus
from envfab.config.host import Host
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.fetch.probe_interpreters import Look

TODAY = date(2026, 11, 27)


def member(host: str, *groups: str) -> Member:
    """A virtualenv of a host."""
    virtualenv = Virtualenv("/srv/shop", packages=["x"])
    return Member(
        Target("shop", host, "/srv/shop"), Host(host, virtualenvs=[virtualenv], groups=groups), virtualenv, "shop"
    )


WEB1, WEB2 = member("web1", "web"), member("web2")


def finding(severity: Severity = Severity.HIGH, *ids: str, member: Member = WEB1, name: str = "Django") -> Finding:
    """A known vulnerability of Django."""
    return Finding(
        member.target,
        FindingKind.VULNERABILITY,
        canonicalize_name(name),
        name,
        "5.1",
        ids or ("CVE-1", "GHSA-1"),
        "",
        Rating(severity),
    )


def acceptance(
    id: str = "CVE-1", until: str = "2026-11-27", package: str | None = None, selector: str | None = None
) -> Acceptance:
    """An acceptance, valid for one more day."""
    return Acceptance.build(id, until, f"until {until}", package, selector)


def decided(
    one: Finding, *acceptances: Acceptance, least: Severity = Severity.NONE, vex: tuple[VEXStatement, ...] = ()
) -> Finding:
    """A finding after the decisions."""
    triage = Triage.of(TODAY, least, acceptances, [WEB1, WEB2], vex)
    (found,) = triage.decided(AuditedVirtualenv(Look(WEB1), (one,))).findings
    return found


@pytest.mark.parametrize(
    ("one", "accepts"),
    [
        (acceptance(), True),
        (acceptance("ghsa-1"), True),
        (acceptance("CVE-11"), False),
        (acceptance(package="DJANGO"), True),
        (acceptance(package="shop"), False),
        (acceptance(selector="web1"), True),
        (acceptance(selector="%web"), True),
        (acceptance(selector="shop@web*:/srv/shop"), True),
        (acceptance(selector="web2"), False),
        (acceptance(selector="nowhere"), False),
        (acceptance(until="2026-11-26"), False),
    ],
)
def test_an_acceptance_is_for_what_it_names(one: Acceptance, accepts: bool) -> None:
    """By any ID, in that package, at those targets, up to its last day and with it."""
    assert (decided(finding(), one).state is FindingState.ACCEPTED) is accepts


def test_an_expired_acceptance_is_told() -> None:
    """The finding counts again; a longer acceptance counts, wherever it stands."""
    old, new = acceptance(until="2026-10-01"), acceptance(until="2026-12-01")
    assert decided(finding(), old).expired
    assert decided(finding(), old).acceptance == old
    for both in ((old, new), (new, old)):
        assert not decided(finding(), *both).expired
        assert decided(finding(), *both).acceptance == new


@pytest.mark.parametrize(
    ("severity", "state"),
    [
        (Severity.NONE, FindingState.BELOW), (Severity.MEDIUM, FindingState.BELOW), (Severity.HIGH, FindingState.OPEN),
        (Severity.CRITICAL, FindingState.OPEN), (Severity.UNKNOWN, FindingState.OPEN),
    ],
)  # fmt: skip
def test_the_least_severity_counts(severity: Severity, state: FindingState) -> None:
    """What is below it does not; what is not known does."""
    assert decided(finding(severity), least=Severity.HIGH).state is state


def test_what_is_accepted_below_the_least_severity_is_used() -> None:
    """An acceptance is for a finding, however bad that is."""
    assert decided(finding(Severity.LOW), acceptance(), least=Severity.HIGH).state is FindingState.ACCEPTED


def test_what_nothing_was_found_for_is_unused() -> None:
    """Also what names a target that is not there any more."""
    used, gone, nowhere = acceptance(), acceptance("CVE-9"), acceptance(selector="nowhere")
    triage = Triage.of(TODAY, Severity.NONE, (used, gone, nowhere), [WEB1, WEB2])
    assert triage.unused([AuditedVirtualenv(Look(WEB2), (finding(member=WEB2),))]) == [gone, nowhere]
    assert triage.unused([]) == [used, gone, nowhere]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (VEXStatus.NOT_AFFECTED, FindingState.NOT_AFFECTED), (VEXStatus.FIXED, FindingState.NOT_AFFECTED),
        (VEXStatus.AFFECTED, FindingState.OPEN), (VEXStatus.UNDER_INVESTIGATION, FindingState.OPEN),
    ],
)  # fmt: skip
def test_a_statement_that_settles_a_finding_silences_it(status: VEXStatus, state: FindingState) -> None:
    """Others are told with it; an acceptance of the same finding is used all the same."""
    said = VEXStatement(frozenset({"ghsa-1"}), (PackageName(canonicalize_name("django"), "5.1"),), status)
    assert decided(finding(), vex=(said,)).state is state
    assert decided(finding(), vex=(said,)).statement == said
    both = decided(finding(), acceptance(), vex=(said,))
    assert both.acceptance is not None
    assert not both.expired
    elsewhere = VEXStatement(frozenset({"ghsa-1"}), (PackageName(canonicalize_name("shop"), None),), status)
    assert decided(finding(), vex=(elsewhere,)).statement is None

"""Findings of an audit: a known vulnerability of an installed package, or an interpreter past its end of life."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from packaging.utils import NormalizedName, canonicalize_name

from envfab.audit.acceptances import Acceptance
from envfab.audit.end_of_life import end_of_life, series
from envfab.audit.osv import OSVExport, Vulnerability, unchecked, vulnerabilities
from envfab.audit.remedy import Remedy
from envfab.audit.severity import Rating, Severity
from envfab.audit.vex import VEXStatement
from envfab.config.target import Target
from envfab.fetch.probe_interpreters import Look
from envfab.models.distribution import Distribution
from envfab.models.probe import Probe

# No fix comes any more for whatever is found in it: as bad as most, not as bad as what is being used already.
END_OF_LIFE = Rating(Severity.HIGH)
PYTHON = canonicalize_name("python")


class FindingKind(enum.Enum):
    """The kinds of findings; the values are in the JSON of `fab audit`."""

    VULNERABILITY = "vulnerability"
    END_OF_LIFE = "end-of-life"


class FindingState(enum.Enum):
    """What was decided about a finding; the values are in the JSON of `fab audit`. Only open ones count."""

    OPEN = "open"
    NOT_AFFECTED = "not_affected"
    ACCEPTED = "accepted"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding at one target; `vulnerability` is None for an interpreter, whose `name` is `python`.

    `acceptance` is what the file of accepted findings says of it; `expired`, that it says so no longer; `statement`
    what VEX documents say of it; `declared` where the requirements name the package (`requirements.txt:3`), if they do.
    """

    target: Target
    kind: FindingKind
    name: NormalizedName
    shown_as: str
    version: str
    ids: tuple[str, ...]
    summary: str
    rating: Rating
    vulnerability: Vulnerability | None = None
    acceptance: Acceptance | None = None
    expired: bool = False
    state: FindingState = FindingState.OPEN
    remedy: Remedy | None = None
    statement: VEXStatement | None = None
    declared: str = ""

    @property
    def fixed(self) -> tuple[str, ...]:
        """The versions in which it is fixed, lowest first."""
        return self.vulnerability.fixed if self.vulnerability is not None else ()


@dataclass(frozen=True, slots=True)
class AuditedVirtualenv:
    """A virtualenv with its findings and the distributions that could not be checked; neither if it has an error."""

    found: Look
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[Distribution, ...] = ()

    @property
    def counted(self) -> list[Finding]:
        """The findings that are open."""
        return [one for one in self.findings if one.state is FindingState.OPEN]


def audited(found: Look, export: OSVExport, today: date) -> AuditedVirtualenv:
    """What an export tells of a virtualenv, and whether its interpreter is past its end of life."""
    if found.probe is None:
        return AuditedVirtualenv(found)
    installed = {**found.probe.outside, **found.probe.distributions}.values()
    findings = [
        Finding(
            found.member.target,
            FindingKind.VULNERABILITY,
            canonicalize_name(one.shown_as),
            one.shown_as,
            one.version,
            one.ids,
            one.summary,
            one.rating,
            one,
        )
        for one in vulnerabilities(installed, export)
    ]
    return AuditedVirtualenv(found, (*_of_interpreter(found.probe, today), *findings), tuple(unchecked(installed)))


def _of_interpreter(probe: Probe, today: date) -> Iterator[Finding]:
    ended = end_of_life(probe.interpreter, today)
    if ended is not None:
        yield Finding(
            probe.target,
            FindingKind.END_OF_LIFE,
            PYTHON,
            probe.interpreter.implementation,
            str(probe.interpreter.version),
            (f"python-{series(probe.interpreter)}-eol",),
            f"Python {series(probe.interpreter)} gets no fixes of vulnerabilities any more since {ended}",
            END_OF_LIFE,
        )

"""What was decided about findings: accepted ones, VEX statements, and the least severity that counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from envfab.audit.acceptances import Acceptance
from envfab.audit.findings import AuditedVirtualenv, Finding, FindingState
from envfab.audit.severity import Severity
from envfab.audit.vex import VEXStatement, VEXStatements
from envfab.config.selectors import select
from envfab.config.target import Member, Target
from envfab.errors import SelectorError


@dataclass(frozen=True, slots=True)
class Triage:
    """The decisions that findings are judged by; `places` has the targets that each selector of an acceptance names.

    VEX goes before acceptances, and both before the least severity.
    """

    today: date
    least: Severity
    acceptances: tuple[Acceptance, ...]
    places: Mapping[str, frozenset[Target]]
    statements: VEXStatements

    @classmethod
    def of(
        cls,
        today: date,
        least: Severity,
        acceptances: tuple[Acceptance, ...],
        fleet: Sequence[Member],
        statements: Iterable[VEXStatement] = (),
    ) -> Triage:
        """Make it for the members of a whole fleet; a selector that names none of them is no error, but unused."""
        selectors = {one.selector for one in acceptances if one.selector is not None}
        return cls(
            today, least, acceptances, {one: _selected(one, fleet) for one in selectors}, VEXStatements(statements)
        )

    def decided(self, one: AuditedVirtualenv) -> AuditedVirtualenv:
        """The same virtualenv, with the state of each finding."""
        return replace(one, findings=tuple(map(self.decide, one.findings)))

    def unused(self, rows: Iterable[AuditedVirtualenv]) -> list[Acceptance]:
        """The acceptances that no finding of a whole fleet is about."""
        findings = [finding for row in rows for finding in row.findings]
        return [one for one in self.acceptances if not any(self._is_about(one, finding) for finding in findings)]

    def decide(self, finding: Finding) -> Finding:
        """The same finding, with its state and what it follows from."""
        about = [one for one in self.acceptances if self._is_about(one, finding)]
        acceptance = max(about, key=lambda one: one.until, default=None)
        expired = acceptance is not None and acceptance.is_expired(self.today)
        accepted = acceptance is not None and not expired
        said = self.statements.about(finding.ids, finding.name, finding.version)
        finding = replace(finding, acceptance=acceptance, expired=expired, statement=said)
        return replace(finding, state=self._state(finding, accepted))

    def _state(self, finding: Finding, accepted: bool) -> FindingState:
        if finding.statement is not None and finding.statement.status.settles:
            return FindingState.NOT_AFFECTED
        if accepted:
            return FindingState.ACCEPTED
        return FindingState.OPEN if finding.rating.severity.reaches(self.least) else FindingState.BELOW

    def _is_about(self, acceptance: Acceptance, finding: Finding) -> bool:
        return acceptance.names(finding.ids, finding.name) and (
            acceptance.selector is None or finding.target in self.places[acceptance.selector]
        )


def _selected(selector: str, fleet: Sequence[Member]) -> frozenset[Target]:
    try:
        return frozenset(member.target for member in select([selector], fleet))
    except SelectorError:
        return frozenset()

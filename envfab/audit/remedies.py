"""What would mend a finding: a version of the wheelhouse that the requirements allow, or what stands in its way.

The planner decides, with `--upgrade`, as it will for `fab deploy`: there is no second resolver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.audit.findings import AuditedVirtualenv, Finding, FindingState
from envfab.audit.osv import Vulnerability
from envfab.audit.remedy import Remedy, RemedyKind
from envfab.config.target import Target
from envfab.errors import EnvfabError
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.planning.candidates import Candidates
from envfab.planning.catalogue import Catalogue
from envfab.planning.marker_environment import Environment, applicable
from envfab.planning.plan import Options, Plan, Status
from envfab.planning.plan_cache import Plans


@dataclass(slots=True)
class Remedies:
    """Remedies by the wheels of a catalogue, and the requirements of each target."""

    catalogue: Catalogue
    requirements: Mapping[Target, Requirements]
    _plans: dict[frozenset[NormalizedName], Plans] = field(default_factory=dict)

    def added(self, row: AuditedVirtualenv) -> AuditedVirtualenv:
        """The same virtualenv, with the remedy of each finding of a package that is open or was accepted."""
        probe = row.found.probe
        return (
            row
            if probe is None
            else replace(row, findings=tuple(self._with_remedy(probe, one) for one in row.findings))
        )

    def work_together(self, row: AuditedVirtualenv, findings: Sequence[Finding]) -> bool:
        """Whether one deployment mends all of these findings, each of which one deployment mends."""
        assert row.found.probe is not None
        plan = self._plan(row.found.probe, {one.name for one in findings})
        return all(one.vulnerability is not None and _mending(plan, one.name, one.vulnerability) for one in findings)

    def _with_remedy(self, probe: Probe, finding: Finding) -> Finding:
        vulnerability = finding.vulnerability
        if vulnerability is None:
            return finding
        try:
            places = _Limits(probe, self.requirements[probe.target], finding.name).places
            finding = replace(finding, declared=places[0] if places else "")
            if finding.state is FindingState.BELOW:
                return finding
            return replace(finding, remedy=self._remedy(probe, finding.name, vulnerability))
        except EnvfabError as error:
            unknown = Remedy(RemedyKind.BLOCKED, f"what would mend it is not known: {error.what}")
            return replace(finding, remedy=unknown)

    def _remedy(self, probe: Probe, name: NormalizedName, vulnerability: Vulnerability) -> Remedy:
        plan = self._plan(probe, {name})
        mending = _mending(plan, name, vulnerability)
        limits = _Limits(probe, self.requirements[probe.target], name)
        if mending is not None:
            by = ", ".join(limits.places) or "the requirements"
            text = f"mended by {vulnerability.shown_as} {mending}, in the wheelhouse, allowed by {by}"
            return Remedy(RemedyKind.DEPLOY, text, str(mending))
        fitting = self._fitting(probe, name, vulnerability)
        if fitting:
            return _held(f"{vulnerability.shown_as} {fitting[0]}", fitting[0], plan, limits)
        return _lacking(vulnerability, limits)

    def _plan(self, probe: Probe, names: set[NormalizedName]) -> Plan:
        key = frozenset(names)
        if key not in self._plans:
            self._plans[key] = Plans(self.catalogue, Options(upgrade=key))
        return self._plans[key].plan(probe, self.requirements[probe.target])

    def _fitting(self, probe: Probe, name: NormalizedName, vulnerability: Vulnerability) -> list[Version]:
        """The newer versions of the wheelhouse that are not affected and fit the interpreter, lowest first."""
        there = {**probe.outside, **probe.distributions}[name].version
        candidates = Candidates(Environment(probe.interpreter), {}, self.catalogue)
        versions = (one.version for one in candidates.matching(name, SpecifierSet()))
        return sorted(one for one in versions if not vulnerability.affects(one) and (there is None or one > there))


@dataclass(frozen=True, slots=True)
class _Limits:
    """What limits the versions of a project in a virtualenv: requirements, constraints, and what is installed."""

    probe: Probe
    requirements: Requirements
    name: NormalizedName

    @property
    def places(self) -> list[str]:
        """The places in requirements files that name it: `requirements.txt:3`."""
        entries = applicable(self.requirements.entries, Environment(self.probe.interpreter))
        return list(dict.fromkeys(one.origin for one in entries if one.name == self.name))

    def against(self, version: Version) -> str | None:
        """What does not allow a version: `requirements.txt:3 (Django<5.2)`; None if nothing is against it."""
        for where, requirement in self._all():
            if canonicalize_name(requirement.name) == self.name and not requirement.specifier.contains(
                version, prereleases=True
            ):
                return f"{where} ({requirement.name}{requirement.specifier})"
        return None

    def _all(self) -> Iterator[tuple[str, Requirement]]:
        environment = Environment(self.probe.interpreter)
        for entry in applicable([*self.requirements.entries, *self.requirements.constraints], environment):
            yield entry.origin, entry.requirement
        for there in {**self.probe.outside, **self.probe.distributions}.values():
            for requirement in environment.needed(there.requires):
                yield f"{there.shown_as} {there.version_text}", requirement


def _mending(plan: Plan, name: NormalizedName, vulnerability: Vulnerability) -> Version | None:
    """The version that a plan installs, if it can be carried out and that version is not affected."""
    if plan.status is not Status.CHANGES:
        return None
    version = next((action.version for action in plan.actions if action.name == name), None)
    return version if version is not None and not vulnerability.affects(version) else None


def _held(what: str, version: Version, plan: Plan, limits: _Limits) -> Remedy:
    """The remedy where a wheel is there, and the planner does not choose it."""
    begin, against = f"{what} in the wheelhouse would mend it, but", limits.against(version)
    if against is not None:
        return Remedy(RemedyKind.REQUIREMENTS, f"{begin} {against} does not allow it", str(version))
    problems = [*(f"no wheel meets {one.requirement}" for one in plan.missing), *plan.conflicts]
    why = (
        f"deploy is blocked: {problems[0].splitlines()[0]}"
        if problems
        else "it does not go with the other packages that deploy would choose"
    )
    return Remedy(RemedyKind.BLOCKED, f"{begin} {why}", str(version))


def _lacking(vulnerability: Vulnerability, limits: _Limits) -> Remedy:
    """The remedy where the wheelhouse has no wheel that is not affected."""
    fixed = [one for one in map(Version, vulnerability.fixed) if not vulnerability.affects(one)]
    if not fixed:
        return Remedy(RemedyKind.NONE, "no version is known to mend it")
    version = next((one for one in fixed if limits.against(one) is None), fixed[0])
    text = f"{vulnerability.shown_as} {version} would mend it, and the wheelhouse has no wheel of it that fits"
    against = limits.against(version)
    also = f"; {against} does not allow it" if against is not None else ""
    return Remedy(RemedyKind.FETCH, text + also, str(version))

"""The known vulnerabilities of an application's packages, as pages and JSON list them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from envfab.audit.acceptances import Acceptance
from envfab.audit.osv import Vulnerability
from envfab.collector.db.application_queries import InstalledPackage
from envfab.collector.jobs.acceptances import AcceptancesOfOne
from envfab.collector.jobs.vulnerabilities import severity
from envfab.collector.service import Service


@dataclass(frozen=True, slots=True)
class VulnerablePackage:
    """A known vulnerability of a package of an application, and what accepts it there."""

    package: InstalledPackage
    vulnerability: Vulnerability
    acceptance: Acceptance | None


def findings_of(service: Service, uuid: str, packages: Sequence[InstalledPackage]) -> list[VulnerablePackage]:
    """Those of an application's packages, the worst first, then by name; none where nothing is compared with known
    vulnerabilities."""
    if service.vulnerabilities is None:
        return []
    known = service.vulnerabilities.of([(one.name, one.version) for one in packages])
    found = [
        VulnerablePackage(one, each, _acceptance(service, uuid, one.name, each))
        for one in packages
        for each in known.get((one.name, one.version), ())
    ]
    return sorted(found, key=lambda one: severity(one.vulnerability))


def _acceptance(service: Service, uuid: str, package: str, one: Vulnerability) -> Acceptance | None:
    return AcceptancesOfOne.of(service.acceptances, one.ids, {package: None}).about(uuid, package)

"""The known vulnerabilities of an application's packages, as pages and JSON list them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from envfab.audit.osv import Vulnerability
from envfab.collector.db.application_queries import InstalledPackage
from envfab.collector.jobs.vulnerabilities import severity
from envfab.collector.parts import Service


@dataclass(frozen=True, slots=True)
class VulnerablePackage:
    """A known vulnerability of a package of an application."""

    package: InstalledPackage
    vulnerability: Vulnerability


def findings_of(service: Service, packages: Sequence[InstalledPackage]) -> list[VulnerablePackage]:
    """The worst first, then by name; none where nothing is compared with known vulnerabilities."""
    if service.vulnerabilities is None:
        return []
    known = service.vulnerabilities.of([(one.name, one.version) for one in packages])
    found = [VulnerablePackage(one, each) for one in packages for each in known.get((one.name, one.version), ())]
    return sorted(found, key=lambda one: severity(one.vulnerability))

"""Bills of materials in CycloneDX 1.6, as JSON."""

from __future__ import annotations

# Imported in function bodies: cyclonedx-python-lib, which is installed with envfab[sbom] alone.
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from envfab.errors import RegistrationError
from envfab.sbom.bill import Bill, BillComponent
from envfab.sbom.licenses import License, Licenses

if TYPE_CHECKING:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License as AnyLicense
    from packageurl import PackageURL


def require_library() -> None:
    """Raise `RegistrationError` where the library is not installed."""
    try:
        import cyclonedx.output.json  # noqa: F401 - whether it is there is the question
    except ImportError:
        raise RegistrationError(
            "a bill of materials needs cyclonedx-python-lib", hint="pip install 'envfab[sbom]'"
        ) from None


def cyclonedx_document(bill: Bill, *, indent: int | None = None) -> str:
    """Write a bill, on one line unless told to indent; raises `RegistrationError` without the library."""
    require_library()
    from cyclonedx.output.json import JsonV1Dot6

    text: str = JsonV1Dot6(_bom(bill)).output_as_string(indent=indent)
    return text


def _bom(bill: Bill) -> Bom:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType

    bom = Bom()
    bom.metadata.tools.components.add(
        Component(type=ComponentType.APPLICATION, name="envfab", version=version("envfab"))
    )
    made = {one.ref: _component(one) for one in (bill.root, *bill.components)}
    bom.metadata.component = made[bill.root.ref]
    inside = {part for parts in bill.parts.values() for part in parts}
    bom.components.update(made[one.ref] for one in bill.components if one.ref not in inside)
    for ref, parts in bill.parts.items():
        made[ref].components.update(made[part] for part in parts)
    for ref, component in made.items():
        bom.register_dependency(component, [made[needed] for needed in bill.needs.get(ref, ())])
    return bom


def _component(one: BillComponent) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence

    purl = _package_url(one.purl)
    return Component(
        type=ComponentType(one.kind),
        name=one.name,
        version=one.version,
        group=one.group,
        purl=purl,
        cpe=one.cpe,
        bom_ref=one.ref,
        hashes=[HashType(alg=HashAlgorithm(found.algorithm), content=found.value) for found in one.hashes],
        licenses=list(_licenses(one.licenses)),
        evidence=ComponentEvidence(occurrences=[Occurrence(location=one.location)]) if one.location else None,
        properties=list(_properties(one, purl)),
    )


def _package_url(text: str | None) -> PackageURL | None:
    """A package URL; None for one of another's document that is not valid."""
    from packageurl import PackageURL

    try:
        return PackageURL.from_string(text) if text is not None else None
    except ValueError:
        return None


def _licenses(licenses: Licenses) -> Iterator[AnyLicense]:
    """Licences, as the schema wants them: one expression alone, or any number of identifiers and names."""
    from cyclonedx.model.license import DisjunctiveLicense, LicenseAcknowledgement, LicenseExpression
    from cyclonedx.spdx import is_supported_id

    declared = LicenseAcknowledgement.DECLARED
    for one in licenses.all:
        if one.is_identifier and is_supported_id(one.expression or ""):
            yield DisjunctiveLicense(id=one.expression, acknowledgement=declared)
        elif one.expression is not None and licenses.all == (License(one.expression),):
            yield LicenseExpression(one.expression, acknowledgement=declared)
        else:
            yield DisjunctiveLicense(name=one.expression or one.name, acknowledgement=declared)


def _properties(one: BillComponent, purl: PackageURL | None) -> Iterator[Property]:
    from cyclonedx.model import Property

    for name, value in one.properties:
        yield Property(name=name, value=value)
    if one.licenses.source:
        yield Property(name="envfab:licenses" if one.licenses.all else "envfab:no-license", value=one.licenses.source)
    if one.purl is not None and purl is None:
        yield Property(name="envfab:purl", value=one.purl)

"""Bills of materials in SPDX 2.3, as JSON."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from envfab.sbom.bill import Bill, BillComponent
from envfab.sbom.licenses import REFERENCE, License, reference

DOCUMENT = "SPDXRef-DOCUMENT"
NO_ASSERTION = "NOASSERTION"
# https://spdx.github.io/spdx-spec/v2.3/package-information/, 7.24; what is not there is OTHER
PURPOSES = frozenset({"application", "framework", "library", "container", "operating-system", "firmware", "file"})
JOINING = re.compile(r" (AND|OR) ")


def spdx_document(bill: Bill, *, indent: int | None = None) -> str:
    """Write a bill, on one line unless told to indent."""
    return json.dumps(_document(bill), indent=indent, ensure_ascii=False)


def _document(bill: Bill) -> dict[str, Any]:
    every = (bill.root, *bill.components)
    ids = {one.ref: _identifier(number, one) for number, one in enumerate(every)}
    name = quote(bill.root.ref, safe="@")
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": bill.root.ref,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{uuid.uuid4()}",
        "creationInfo": {
            "created": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: envfab-{version('envfab')}"],
        },
        "packages": [_package(one, ids[one.ref]) for one in every],
        "hasExtractedLicensingInfos": list(_extracted(every)),
        "relationships": list(_relationships(bill, ids)),
    }


def _identifier(number: int, one: BillComponent) -> str:
    return f"SPDXRef-{number}-{re.sub('[^A-Za-z0-9.]+', '-', one.name)[:60].strip('-')}".rstrip("-")


def _package(one: BillComponent, identifier: str) -> dict[str, Any]:
    declared = _expression(one.licenses.all)
    package: dict[str, Any] = {
        "SPDXID": identifier,
        "name": f"{one.group}/{one.name}" if one.group else one.name,
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": False,
        "supplier": NO_ASSERTION,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": declared or NO_ASSERTION,
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": one.kind.upper() if one.kind in PURPOSES else "OTHER",
    }
    package |= {"versionInfo": one.version} if one.version else {}
    package |= {"packageFileName": one.location} if one.location else {}
    sums = [{"algorithm": found.algorithm.replace("SHA-", "SHA"), "checksumValue": found.value} for found in one.hashes]
    package |= {"checksums": sums} if sums else {}
    references = list(_references(one))
    package |= {"externalRefs": references} if references else {}
    comments = list(_license_comments(one))
    package |= {"licenseComments": "\n".join(comments)} if comments else {}
    package |= {"comment": "\n".join(f"{name}: {value}" for name, value in one.properties)} if one.properties else {}
    return package


def _references(one: BillComponent) -> Iterator[dict[str, str]]:
    if one.purl is not None:
        yield _reference("PACKAGE-MANAGER", "purl", one.purl)
    if one.cpe is not None:
        yield _reference("SECURITY", "cpe23Type", one.cpe)


def _reference(category: str, kind: str, locator: str) -> dict[str, str]:
    return {"referenceCategory": category, "referenceType": kind, "referenceLocator": locator}


def _license_comments(one: BillComponent) -> Iterator[str]:
    if one.licenses.source:
        yield f"{'from' if one.licenses.all else 'not known:'} {one.licenses.source}"
    if len(one.licenses.all) > 1:
        yield "it is not said whether all of these apply, or one may be chosen"


def _expression(licenses: Sequence[License]) -> str | None:
    """Licences as one expression; of several, all are taken to apply, which is the stricter reading."""
    terms = [one.expression or reference(one.name or "") for one in licenses]
    if len(terms) == 1:
        return terms[0]
    return " AND ".join(f"({term})" if JOINING.search(term) else term for term in terms) or None


def _extracted(every: Sequence[BillComponent]) -> Iterator[dict[str, str]]:
    """The licences that SPDX does not list, each once: their names are all that is known of their texts."""
    found: dict[str, str] = {}
    for one in (known for component in every for known in component.licenses.all):
        if one.expression is None:
            found[reference(one.name or "")] = one.name or ""
        else:
            found |= {each: each for each in REFERENCE.findall(one.expression)}
    for identifier, name in found.items():
        text = f"The text is not in this document; the licence is named {name!r}."
        yield {"licenseId": identifier, "name": name, "extractedText": text}


def _relationships(bill: Bill, ids: dict[str, str]) -> Iterator[dict[str, str]]:
    yield _relationship(DOCUMENT, "DESCRIBES", ids[bill.root.ref])
    inside = {part for parts in bill.parts.values() for part in parts}
    for one in bill.components:
        if one.ref not in inside:
            yield _relationship(ids[bill.root.ref], "CONTAINS", ids[one.ref])
    for ref, parts in bill.parts.items():
        yield from (_relationship(ids[ref], "CONTAINS", ids[part]) for part in parts)
    for ref, needs in bill.needs.items():
        yield from (_relationship(ids[ref], "DEPENDS_ON", ids[need]) for need in dict.fromkeys(needs))


def _relationship(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}

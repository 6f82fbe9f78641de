"""Bills of materials that wheels bring along (PEP 770): CycloneDX and SPDX, as JSON, read as what strangers wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from envfab.sbom.bill import KINDS, LIBRARY, BillComponent, Hash
from envfab.sbom.licenses import LONGEST_EXPRESSION, License, Licenses, as_expression
from envfab.util.untrusted import one_line, parse_json

MOST_COMPONENTS = 5_000  # of a document
MOST_NEEDS = 50_000
MOST_FEW = 100  # hashes, licences and references of a component
LONGEST = 500  # characters of a name, version or reference
LONGEST_URL = 2_000
# hex digits of each hash, by CycloneDX's names
DIGITS = {
    "MD5": 32,
    "SHA-1": 40,
    "SHA-256": 64,
    "SHA-384": 96,
    "SHA-512": 128,
    "SHA3-256": 64,
    "SHA3-384": 96,
    "SHA3-512": 128,
    "BLAKE2b-256": 64,
    "BLAKE2b-512": 128,
}
BY_SPDX_NAME = {name.replace("SHA-", "SHA"): name for name in DIGITS}
PURL = re.compile(r"pkg:[A-Za-z][A-Za-z0-9.+-]*/[!-~]+")
CPE = re.compile(r"cpe:2\.3:[aho\*\-](:[!-9;-~]+){10}")


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What a document lists; `ref` of components, and `needs` between them, are the document's own."""

    components: tuple[BillComponent, ...]
    needs: Mapping[str, tuple[str, ...]]


def read_document(content: bytes) -> ReadDocument:
    """Read a document; raises `ValueError` where it is neither CycloneDX nor SPDX, as JSON, or has too much."""
    try:
        document = parse_json(content)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError("it is not JSON in UTF-8") from None
    if isinstance(document, Mapping) and document.get("bomFormat") == "CycloneDX":
        return _cyclonedx(document)
    if isinstance(document, Mapping) and isinstance(document.get("spdxVersion"), str):
        return _spdx(document)
    raise ValueError("it is neither CycloneDX nor SPDX 2, as JSON")


def _cyclonedx(document: Mapping[str, Any]) -> ReadDocument:
    about = _object(_object(document.get("metadata")).get("component"))
    # cargo and others nest components in that
    waiting = [*([about] if about else []), *_objects(document.get("components"))]
    components: list[BillComponent] = []
    for number, entry in enumerate(_counted(waiting)):
        waiting += _objects(entry.get("components"))
        name = _text(entry.get("name"))
        if name is not None:
            components.append(_cyclonedx_component(entry, name, number))
    needs = {
        ref: tuple(need for need in map(_text, _list(entry.get("dependsOn"))) if need)
        for entry in _objects(document.get("dependencies"))
        if (ref := _text(entry.get("ref"))) is not None
    }
    return ReadDocument(tuple(components), _bounded(needs))


def _cyclonedx_component(entry: Mapping[str, Any], name: str, number: int) -> BillComponent:
    kind = _text(entry.get("type"))
    return BillComponent(
        _text(entry.get("bom-ref")) or f"#{number}",
        kind if kind in KINDS else LIBRARY,
        name,
        _text(entry.get("version")),
        _text(entry.get("group")),
        _matching(PURL, entry.get("purl")),
        _matching(CPE, entry.get("cpe")),
        _hashes((one.get("alg"), one.get("content")) for one in _objects(entry.get("hashes"))),
        Licenses(tuple(_cyclonedx_licenses(entry))),
    )


def _cyclonedx_licenses(entry: Mapping[str, Any]) -> Iterator[License]:
    for choice in _objects(entry.get("licenses"))[:MOST_FEW]:
        named = _object(choice.get("license"))
        said = _text(choice.get("expression") or named.get("id"), LONGEST_EXPRESSION)
        expression, name = as_expression(said), _text(named.get("name")) or said
        if expression is not None:
            yield License(expression)
        elif name is not None:
            yield License(name=name)


def _spdx(document: Mapping[str, Any]) -> ReadDocument:
    components = [
        _spdx_component(entry, name, number)
        for number, entry in enumerate(_counted(_objects(document.get("packages"))))
        if (name := _text(entry.get("name"))) is not None
    ]
    needs: dict[str, tuple[str, ...]] = {}
    for entry in _objects(document.get("relationships"))[:MOST_NEEDS]:
        one, other = _text(entry.get("spdxElementId")), _text(entry.get("relatedSpdxElement"))
        if one is None or other is None:
            continue
        if entry.get("relationshipType") == "DEPENDENCY_OF":
            one, other = other, one
        elif entry.get("relationshipType") != "DEPENDS_ON":
            continue
        needs[one] = (*needs.get(one, ()), other)
    return ReadDocument(tuple(components), needs)


def _spdx_component(entry: Mapping[str, Any], name: str, number: int) -> BillComponent:
    kind = (_text(entry.get("primaryPackagePurpose")) or "").lower()
    external = _objects(entry.get("externalRefs"))[:MOST_FEW]
    references = [(one.get("referenceType"), one.get("referenceLocator")) for one in external]
    declared = as_expression(_text(entry.get("licenseDeclared"), LONGEST_EXPRESSION))
    checksums = ((one.get("algorithm"), one.get("checksumValue")) for one in _objects(entry.get("checksums")))
    return BillComponent(
        _text(entry.get("SPDXID")) or f"#{number}",
        kind if kind in KINDS else LIBRARY,
        name,
        _text(entry.get("versionInfo")),
        None,
        next((_matching(PURL, locator) for kind, locator in references if kind == "purl"), None),
        next((_matching(CPE, locator) for kind, locator in references if kind == "cpe23Type"), None),
        _hashes((BY_SPDX_NAME.get(str(algorithm)), value) for algorithm, value in checksums),
        Licenses((License(declared),) if declared is not None else ()),
    )


def _counted(entries: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The entries, also those that are added meanwhile; raises `ValueError` where there are too many."""
    for number, entry in enumerate(entries):
        if number >= MOST_COMPONENTS:
            raise ValueError(f"it lists more than {MOST_COMPONENTS} components")
        yield entry


def _bounded(needs: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    if sum(map(len, needs.values())) > MOST_NEEDS:
        raise ValueError(f"it has more than {MOST_NEEDS} dependencies")
    return needs


def _hashes(pairs: Iterator[tuple[Any, Any]]) -> tuple[Hash, ...]:
    found = [
        Hash(algorithm, value.lower())
        for algorithm, value in pairs
        if isinstance(value, str)
        and isinstance(algorithm, str)
        and re.fullmatch(f"[0-9A-Fa-f]{{{DIGITS.get(algorithm, 0)}}}", value)
        and value
    ]
    return tuple(dict.fromkeys(found[:MOST_FEW]))


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    text = _text(value, LONGEST_URL)
    return text if text is not None and pattern.fullmatch(text) else None


def _text(value: object, most: int = LONGEST) -> str | None:
    """A text in one line; None for anything else, for an empty one, and for one that is longer than `most`."""
    if not isinstance(value, str) or len(value) > most:
        return None
    return one_line(value) or None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in _list(value) if isinstance(one, Mapping)]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

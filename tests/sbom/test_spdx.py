"""SPDX documents, checked by the reference implementation."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

import pytest
from spdx_tools.spdx.parser.jsonlikedict import json_like_dict_parser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from envfab.errors import RegistrationError
from envfab.models.materials import DistributionMaterials
from envfab.sbom.bill import Bill
from envfab.sbom.formats import format_named
from envfab.sbom.spdx import spdx_document
from tests.sbom.bills import A, bill_of, cyclonedx, document, library

# its constructor has no annotations
PARSER: Any = cast(Any, json_like_dict_parser).JsonLikeDictParser()


def written(bill: Bill) -> dict[str, Any]:
    """The document of a bill; it must be valid."""
    text = spdx_document(bill)
    assert "\n" not in text
    made: dict[str, Any] = json.loads(text)
    assert [one.validation_message for one in validate_full_spdx_document(PARSER.parse(made))] == []
    return made


def package(made: dict[str, Any], name: str) -> dict[str, Any]:
    """A package of a document by its name."""
    (found,) = [one for one in made["packages"] if one["name"] == name]
    return dict(found)


def relations(made: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(what, how, what), by names."""
    names = {one["SPDXID"]: one["name"] for one in made["packages"]} | {"SPDXRef-DOCUMENT": "document"}
    return {
        (names[one["spdxElementId"]], one["relationshipType"], names[one["relatedSpdxElement"]])
        for one in made["relationships"]
    }


def test_everything_of_a_bill_is_in_its_document() -> None:
    """Packages with URLs, digests and files; the interpreter and its libraries; what contains and needs what."""
    nested = cyclonedx(
        {"bom-ref": "1", "name": "serde", "version": "1.0", "purl": "pkg:cargo/serde@1.0", "type": "framework"},
        {"bom-ref": "2", "name": "syn", "group": "rust", "hashes": [{"alg": "SHA-1", "content": "b" * 40}]},
        dependencies=[{"ref": "1", "dependsOn": ["2"]}],
    )
    files = (library("shop.libs/libssl-81ffa89e.so.3"),)
    made = written(bill_of(DistributionMaterials("MIT", libraries=files, documents=(document(nested),))))
    assert relations(made) == {
        ("document", "DESCRIBES", "venv"),
        *(("venv", "CONTAINS", name) for name in ("shop", "CPython", "OpenSSL", "SQLite", "zlib", "Expat")),
        *(("venv", "DEPENDS_ON", name) for name in ("shop", "CPython")),
        *(("CPython", "DEPENDS_ON", name) for name in ("OpenSSL", "SQLite", "zlib", "Expat")),
        *(("shop", "CONTAINS", name) for name in ("libssl", "serde", "rust/syn")),
        ("serde", "DEPENDS_ON", "rust/syn"),
    }
    ssl = package(made, "libssl")
    assert (ssl["versionInfo"], ssl["packageFileName"]) == ("3", "shop.libs/libssl-81ffa89e.so.3")
    assert ssl["checksums"] == [{"algorithm": "SHA256", "checksumValue": A}]
    assert package(made, "serde")["primaryPackagePurpose"] == "FRAMEWORK"
    assert package(made, "shop")["externalRefs"] == [
        {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:pypi/shop@1"}
    ]
    assert "envfab:origin: wheel" in package(made, "shop")["comment"]
    assert "cpe:2.3:a:openssl:openssl:3.0.2" in json.dumps(package(made, "OpenSSL"))


@pytest.mark.parametrize(
    ("materials", "declared"),
    [
        (DistributionMaterials(), "NOASSERTION"),
        (DistributionMaterials("MIT or apache-2.0"), "MIT OR Apache-2.0"),
        (
            DistributionMaterials(
                license_classifiers=("License :: OSI Approved :: MIT License", "License :: OSI Approved :: BSD License")
            ),
            "MIT AND LicenseRef-BSD-License-",
        ),
        (DistributionMaterials("LicenseRef-Ours AND MIT"), "LicenseRef-Ours AND MIT"),
        (DistributionMaterials(license="“Ünsinn” <b>"), "LicenseRef-nsinn-b-"),
    ],
)
def test_licences_are_expressions(materials: DistributionMaterials, declared: str) -> None:
    """What SPDX does not list is a reference, which the document explains; what is not known is not asserted."""
    made = written(bill_of(materials))
    shop = package(made, "shop")
    assert shop["licenseDeclared"].startswith(declared)
    assert shop["licenseConcluded"] == "NOASSERTION"
    explained = {one["licenseId"] for one in made["hasExtractedLicensingInfos"]}
    assert {word for word in shop["licenseDeclared"].split() if word.startswith("LicenseRef-")} == explained


def test_of_several_licences_each_keeps_its_own_operators() -> None:
    """A component of another document may have several expressions."""
    licenses = [{"license": {"name": "MIT OR Apache-2.0"}}, {"expression": "MIT OR Apache-2.0"}]
    component = {"name": "x", "licenses": [{"license": {"id": "ISC"}}, *licenses]}
    made = written(bill_of(DistributionMaterials(documents=(document(cyclonedx(component)),))))
    assert package(made, "x")["licenseDeclared"].startswith("ISC AND LicenseRef-MIT-OR-Apache-2.0-")
    assert package(made, "x")["licenseDeclared"].endswith(" AND (MIT OR Apache-2.0)")


def test_each_document_has_a_namespace_of_its_own() -> None:
    """As SPDX asks for, with the target in it."""
    one, two = (written(bill_of(DistributionMaterials()))["documentNamespace"] for _ in range(2))
    assert one != two
    assert one.startswith("https://spdx.org/spdxdocs/shop@web1%3A%2Fsrv%2Fshop%2Fvenv-")


def test_spdx_is_written_without_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """cyclonedx-python-lib is an extra, which the other format needs."""
    monkeypatch.setitem(sys.modules, "cyclonedx.output.json", None)
    chosen = format_named("spdx")
    chosen.check()
    assert json.loads(chosen.write(bill_of(DistributionMaterials())))["spdxVersion"] == "SPDX-2.3"
    with pytest.raises(RegistrationError, match="needs cyclonedx-python-lib"):
        format_named("cyclonedx").check()

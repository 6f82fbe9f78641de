"""What a distribution contains: bundled libraries, and what the bills of materials in its wheel list, each once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.models.materials import DistributionMaterials
from envfab.sbom import embedded_documents
from envfab.sbom.bundled_libraries import name_and_version
from envfab.sbom.digests import Digests
from envfab.sbom.embedded_documents import read_document
from envfab.sbom.virtualenv_bill import make_bill
from envfab.wheelhouse.release_log.view import LogText
from tests.sbom.bills import JSON, A, B, bill_of, cyclonedx, document, library, parts, probed, told

SSL = "shop.libs/libssl-81ffa89e.so.3"
SHOP = "pkg:pypi/shop@1"


@pytest.mark.parametrize(
    ("filename", "name", "version"),
    [
        ("libssl-81ffa89e.so.3", "libssl", "3"),
        ("libgfortran-040039e1-0352e75f.so.5.0.0", "libgfortran", "5.0.0"),
        ("libscipy_openblas64_-32a4b2a6.so", "libscipy_openblas64_", None),
        ("libopenblasp-r0-09e95953.3.13.so", "libopenblasp-r0", "3.13"),
        ("msvcp140-d64049c6e3865410a7dda6a7e9f0c575.dll", "msvcp140", None),
        ("libz.1.2.11.dylib", "libz", "1.2.11"),
        ("libcublas.so.12", "libcublas", "12"),
        ("libfoo-bar.so", "libfoo-bar", None),
        ("odd.name.so.x", "odd.name.so.x", None),
    ],
)
def test_a_library_has_the_name_and_version_of_its_file(filename: str, name: str, version: str | None) -> None:
    """Without the digests that auditwheel and delvewheel put into names."""
    assert name_and_version(filename) == (name, version)


def test_bundled_libraries_are_contained_in_their_distribution() -> None:
    """With the digest of the file, where it is, and whence the version."""
    bill = bill_of(DistributionMaterials(libraries=(library(SSL), library("shop/.dylibs/libz.1.dylib", None))))
    ssl, z = parts(bill)
    assert (ssl.name, ssl.version, ssl.location, ssl.hashes) == ("libssl", "3", SSL, (("SHA-256", A),))
    assert (z.name, z.version, z.hashes) == ("libz", "1", ())
    assert told(bill, "envfab:version-source") == ["file name", "file name"]
    assert list(bill.parts) == [SHOP]


def test_components_of_a_document_come_below_the_distribution() -> None:
    """With references of their own, also where two documents use the same; what depends on what stays."""
    first = cyclonedx(
        {"bom-ref": "1", "name": "serde", "version": "1.0", "purl": "pkg:cargo/serde@1.0", "type": "framework"},
        {"bom-ref": "2", "name": "syn", "hashes": [{"alg": "SHA-256", "content": B.upper()}]},
        dependencies=[{"ref": "1", "dependsOn": ["2", "1", "gone"]}, {"ref": "gone", "dependsOn": ["1"]}],
    )
    second = cyclonedx({"bom-ref": "1", "name": "openssl", "licenses": [{"license": {"id": "Apache-2.0"}}]})
    at = "shop-1.dist-info/sboms/"
    bill = bill_of(DistributionMaterials(documents=(document(first, f"{at}a"), document(second, f"{at}b/c"))))
    serde, syn, openssl = parts(bill)
    assert (serde.name, serde.version, serde.purl, serde.kind) == ("serde", "1.0", "pkg:cargo/serde@1.0", "framework")
    assert syn.hashes == (("SHA-256", B),)
    assert [one.ref for one in (serde, syn, openssl)] == [f"{SHOP}#sboms/{one}" for one in ("a#0", "a#1", "b/c#0")]
    assert bill.needs[serde.ref] == (syn.ref,)
    assert [one.expression for one in openssl.licenses.all] == ["Apache-2.0"]


def test_the_distribution_itself_is_not_a_part_of_itself() -> None:
    """auditwheel lists it twice; what it is said to need, it needs. A part of it by its URL is one."""
    own = {"bom-ref": "own", "name": "Shop", "purl": "pkg:pypi/Shop@1?file_name=x.whl"}
    zlib = {"bom-ref": "z", "name": "zlib", "purl": "pkg:rpm/centos/zlib@1"}
    part = {"bom-ref": "p", "name": "shop._speed", "purl": "pkg:pypi/shop@1#speed"}
    needs = [{"ref": "own", "dependsOn": ["z"]}]
    made = cyclonedx(own, zlib, part, dependencies=needs, metadata={"component": own})
    bill = bill_of(DistributionMaterials(documents=(document(made),)))
    assert [one.name for one in parts(bill)] == ["zlib", "shop._speed"]
    assert bill.needs[SHOP] == (parts(bill)[0].ref,)


@pytest.mark.parametrize(
    ("component", "count"),
    [
        ({"name": "OpenSSL", "hashes": [{"alg": "SHA-256", "content": A}]}, 1),
        ({"name": "libssl", "version": "3.0.7", "purl": "pkg:rpm/centos/libssl@3.0.7"}, 1),
        ({"name": "SSL"}, 1),
        ({"name": "openssl"}, 2),
        ({"name": "libcom_err"}, 3),
    ],
)
def test_what_a_document_and_a_file_both_are_is_listed_once(component: dict[str, Any], count: int) -> None:
    """The same by its digest, or the only one of its name; of two files of a name, none is taken for it."""
    files: tuple[Any, ...] = (library(SSL),)
    if component["name"] == "libcom_err":
        files = (library("x.libs/libcom_err-aaaaaaaa.so.2", A), library("x.libs/libcom_err-bbbbbbbb.so.3", B))
    found = parts(bill_of(DistributionMaterials(libraries=files, documents=(document(cyclonedx(component)),))))
    assert len(found) == count
    if count == 1:
        assert (found[0].name, found[0].location) == (component["name"], SSL)
        assert found[0].hashes == (("SHA-256", A),)


def test_the_digest_of_a_file_is_told_beside_that_of_its_package() -> None:
    """A document's hash is mostly that of the sources."""
    component = {"name": "libssl", "hashes": [{"alg": "SHA-256", "content": B}]}
    bill = bill_of(DistributionMaterials(libraries=(library(SSL),), documents=(document(cyclonedx(component)),)))
    assert parts(bill)[0].hashes == (("SHA-256", B),)
    assert told(bill, "envfab:file-sha256") == [A]


def test_two_documents_that_name_the_same_package_list_it_once() -> None:
    """By its URL."""
    named = {"name": "zlib", "purl": "pkg:generic/zlib@1.3"}
    documents = (document(cyclonedx(named), "s/sboms/a"), document(cyclonedx(named), "s/sboms/b"))
    assert len(parts(bill_of(DistributionMaterials(documents=documents)))) == 1


SAYS = "OpenSSL 3.5.9 29 Sep 2026"


def test_a_bundled_openssl_has_the_version_that_it_tells() -> None:
    """The name of its file has that of its interface alone, by which no advisory can be found."""
    files = (library("x.libs/libcrypto-3a0647ea.so.3"), library(SSL))
    bill = bill_of(DistributionMaterials(libraries=files, openssl=(("x.libs/libcrypto-3a0647ea.so.3", SAYS),)))
    crypto, ssl = parts(bill)
    assert (crypto.name, crypto.version, ssl.version) == ("libcrypto", "3.5.9", "3")
    assert crypto.cpe == "cpe:2.3:a:openssl:openssl:3.5.9:*:*:*:*:*:*:*"
    assert told(bill, "envfab:version-source") == [f"the file says {SAYS}", "file name"]


def test_an_openssl_that_is_linked_statically_is_a_part_unless_a_document_names_it() -> None:
    """The crate `openssl` is not the library."""
    binary = ("shop/_rust.abi3.so", SAYS)
    crate = {"name": "openssl", "version": "0.10", "purl": "pkg:cargo/openssl@0.10"}
    (_, found) = parts(bill_of(DistributionMaterials(documents=(document(cyclonedx(crate)),), openssl=(binary,))))
    assert (found.name, found.version, found.location) == ("OpenSSL", "3.5.9", "shop/_rust.abi3.so")
    named = document(cyclonedx({"name": "openssl", "version": "3.5.9"}))
    assert len(parts(bill_of(DistributionMaterials(documents=(named,), openssl=(binary,))))) == 1
    odd = ("shop/_rust.abi3.so", "something else")
    assert parts(bill_of(DistributionMaterials(openssl=(odd,)))) == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "0 bytes, not read"),
        (b"\x00", "not read, since it is not JSON in UTF-8"),
        (b"\xff", "not read, since it is not JSON in UTF-8"),
        (b"[" * 9999, "not read, since it is nested too deeply"),
        ({"bomFormat": "Other"}, "not read, since it is neither CycloneDX nor SPDX 2, as JSON"),
        (cyclonedx(*[{"name": "x"}] * (embedded_documents.MOST_COMPONENTS + 1)), "it lists more than 5000 components"),
    ],
)
def test_a_document_that_cannot_be_read_is_told_and_no_error(content: Any, why: str) -> None:
    """As a property of its distribution, and as a warning."""
    bill = bill_of(DistributionMaterials(documents=(document(content, "shop-1.dist-info/sboms/x"),)))
    (said,) = told(bill, "envfab:document")
    assert said.startswith("shop-1.dist-info/sboms/x: ")
    assert why in said
    assert bill.warnings == (f"shop: {said}",)
    assert parts(bill) == []


def test_what_is_not_listed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an agent left files out, and where a virtualenv has too many components."""
    bill = bill_of(DistributionMaterials(cut=True))
    assert bill.warnings == ("shop: it has more files and components than are listed",)
    monkeypatch.setattr("envfab.sbom.virtualenv_bill.MOST_PARTS", 3)
    many = DistributionMaterials(libraries=tuple(library(f"x.libs/lib{number}.so") for number in range(2)))
    bill = make_bill(probed(a=many, b=many), Digests(LogText("", "")))
    assert len(parts(bill)) == 3
    assert bill.warnings == ("b: it has more files and components than are listed",)


def test_spdx_documents_are_read_too() -> None:
    """Packages, and both spellings of what depends on what."""
    made = {
        "spdxVersion": "SPDX-2.3",
        "packages": [
            {
                "SPDXID": "SPDXRef-a",
                "name": "a",
                "versionInfo": "1",
                "primaryPackagePurpose": "FRAMEWORK",
                "licenseDeclared": "MIT OR Apache-2.0",
                "checksums": [
                    {"algorithm": "SHA256", "checksumValue": A},
                    {"algorithm": "ADLER32", "checksumValue": ""},
                ],
                "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:generic/a@1"}],
            },
            {"SPDXID": "SPDXRef-b", "name": "b", "licenseDeclared": "NOASSERTION"},
        ],
        "relationships": [
            {"spdxElementId": "SPDXRef-a", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-b"},
            {"spdxElementId": "SPDXRef-a", "relationshipType": "DEPENDENCY_OF", "relatedSpdxElement": "SPDXRef-b"},
            {"spdxElementId": "SPDXRef-a", "relationshipType": "GENERATED_FROM", "relatedSpdxElement": "SPDXRef-b"},
        ],
    }
    bill = bill_of(DistributionMaterials(documents=(document(made),)))
    a, b = parts(bill)
    assert (a.version, a.kind, a.purl, a.hashes) == ("1", "framework", "pkg:generic/a@1", (("SHA-256", A),))
    assert [one.expression for one in a.licenses.all] == ["MIT OR Apache-2.0"]
    assert b.licenses.all == ()
    assert (bill.needs[a.ref], bill.needs[b.ref]) == ((b.ref,), (a.ref,))


@given(st.sampled_from([{"bomFormat": "CycloneDX"}, {"spdxVersion": "SPDX-2.3"}]), JSON, JSON, JSON)
def test_whatever_a_document_has_is_read_or_left_out(kind: dict[str, str], one: Any, two: Any, three: Any) -> None:
    """Fields of any type; nothing but `ValueError` is raised."""
    made = {**kind, "components": one, "packages": one, "dependencies": two, "relationships": two, "metadata": three}
    found = read_document(document(made).content or b"")
    assert all(component.name for component in found.components)

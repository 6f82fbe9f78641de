"""CycloneDX documents, checked against the schema itself."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given

from envfab.config.target import Target
from envfab.errors import RegistrationError
from envfab.models.distribution import Distribution, Origin
from envfab.models.drift import Deployed
from envfab.models.materials import DistributionMaterials, HashedFile
from envfab.models.probe import Probe
from envfab.sbom.bill import Bill
from envfab.sbom.cyclonedx import cyclonedx_document
from envfab.sbom.dependencies import tops
from envfab.sbom.digests import Digests
from envfab.sbom.files import file_name, write
from envfab.sbom.virtualenv_bill import make_bill
from envfab.wheelhouse.release_log.view import LogText
from tests.registration.probes import member, probe, there
from tests.sbom.bills import JSON, bill_of, cyclonedx, library
from tests.sbom.bills import document as document_in
from tests.sbom.bills import told as told_of

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
A, B, C = "a" * 64, "b" * 64, "c" * 64
LOG = f"""\
release: Django==5.2.1 django-5.2.1-py3-none-any.whl at 2026-11-20T21:49:00+00:00 sha256={A}
release: numpy==2.1 numpy-2.1-cp38-cp38-linux_x86_64.whl at 2026-11-20T21:49:00+00:00 sha256={B}
release: numpy==2.1 numpy-2.1-cp39-cp39-linux_x86_64.whl at 2026-11-20T21:49:00+00:00 sha256={C}
release: six==1.16 six-1.16-py3-none-any.whl at 2012-01-01T00:00:00
"""
INSTALLED = "install: {}: {} at 2026-11-20T21:49:00+00:00 deployment=x\n"


def described(*own: Distribution, log: str = "") -> dict[str, Any]:
    """The document of a virtualenv; it must validate."""
    text = document(probe(member(), *own), log)
    assert "\n" not in text
    return valid(text)


def valid(text: str) -> dict[str, Any]:
    """A document, which must validate."""
    error = VALIDATOR.validate_str(text)
    assert error is None, error
    made: dict[str, Any] = json.loads(text)
    return made


def document(of: Probe, log: str = "") -> str:
    """The document of a probe."""
    return cyclonedx_document(make_bill(of, Digests(LogText(log, "release_log"))))


def component(made: dict[str, Any], name: str) -> dict[str, Any]:
    """A component of a document by its name."""
    (found,) = [one for one in made["components"] if one["name"] == name]
    return dict(found)


def graph(made: dict[str, Any]) -> dict[str, list[str]]:
    """What depends on what, by names."""
    names = {one["bom-ref"]: one["name"] for one in [*made["components"], made["metadata"]["component"]]}
    found = {names[one["ref"]]: sorted(names[ref] for ref in one.get("dependsOn", ())) for one in made["dependencies"]}
    assert found.pop("CPython") == []
    assert all(("CPython" in needed) is (name == "venv") for name, needed in found.items())
    return {name: [one for one in needed if one != "CPython"] for name, needed in found.items()}


def test_a_virtualenv_is_an_application_with_its_place() -> None:
    """Target, host, path, owner and interpreter are properties."""
    made = described(there("six", "1.16"))
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    root = made["metadata"]["component"]
    assert (root["type"], root["name"]) == ("application", "venv")
    assert {one["name"]: one["value"] for one in root["properties"]} == {
        "envfab:target": "shop@web1:/srv/shop/venv",
        "envfab:host": "web1",
        "envfab:path": "/srv/shop/venv",
        "envfab:owner": "shop",
        "envfab:python": "CPython 3.8.18",
        "envfab:incomplete": "licences, bundled libraries and what the interpreter is linked with are not known",
    }
    assert made["metadata"]["tools"]["components"][0]["name"] == "envfab"


def test_the_digest_of_what_was_deployed_is_a_property() -> None:
    """Where it is known."""
    known = replace(probe(member()), deployed=Deployed(3, "d.1", None, A))
    root = json.loads(document(known))["metadata"]["component"]
    assert {"name": "envfab:digest", "value": A} in root["properties"]


def test_a_distribution_is_a_library_with_a_package_url() -> None:
    """Its name is as published; the URL has it as PyPI's addresses do."""
    made = described(there("Typing_Extensions", "4.1"), there("zope.interface", "5.4.0+corp.1"))
    found = component(made, "Typing_Extensions")
    assert (found["type"], found["version"]) == ("library", "4.1")
    assert found["purl"] == "pkg:pypi/typing-extensions@4.1"
    assert component(made, "zope.interface")["purl"] == "pkg:pypi/zope.interface@5.4.0%2Bcorp.1"


def test_an_empty_or_broken_virtualenv_has_a_valid_document() -> None:
    """Without packages, and with one that has no version."""
    assert [one["name"] for one in described()["components"]] == ["CPython"]
    assert "version" not in component(described(there("odd", "")), "odd")


def test_a_release_with_one_wheel_has_its_digest() -> None:
    """What the log says of the version that is installed."""
    made = described(there("Django", "5.2.1"), log=LOG)
    assert component(made, "Django")["hashes"] == [{"alg": "SHA-256", "content": A}]


@pytest.mark.parametrize(
    "own",
    [
        there("Django", "5.2.2"),
        there("numpy", "2.1"),
        there("six", "1.16"),
        there("flask", "1"),
        there("Django", "odd"),
        there("Django", "5.2.1", origin=Origin.EDITABLE),
        there("Django", "5.2.1", origin=Origin.EGG_INFO),
    ],
)
def test_no_digest_is_guessed(own: Distribution) -> None:
    """Of another version, one of several wheels, one without a digest, and what no wheel was installed for."""
    assert "hashes" not in component(described(own, log=LOG), own.shown_as)


@pytest.mark.parametrize("target", ["shop@web1:/srv/shop/venv", "web1:/srv/shop/venv"])
def test_the_wheel_that_was_installed_there_counts(target: str) -> None:
    """The last one that the log has for the target, also in lines of older tools."""
    lines = [
        INSTALLED.format(target, "numpy-2.1-cp39-cp39-linux_x86_64.whl"),
        INSTALLED.format(target, "numpy-2.1-cp38-cp38-linux_x86_64.whl"),
        INSTALLED.format("shop@web2:/srv/shop/venv", "numpy-2.1-cp39-cp39-linux_x86_64.whl"),
    ]
    made = described(there("numpy", "2.1"), log=LOG + "".join(lines))
    assert component(made, "numpy")["hashes"] == [{"alg": "SHA-256", "content": B}]


def test_dependencies_are_those_of_the_target() -> None:
    """Markers are evaluated for its interpreter, and only what is installed there is named."""
    made = described(
        there("Django", "5", "asgiref>=3", "tzdata; sys_platform == 'win32'", "backport; python_version < '3.9'"),
        there("asgiref", "3", "absent"),
        there("tzdata", "1"),
        there("backport", "1"),
    )
    assert graph(made) == {
        "venv": ["Django", "tzdata"],
        "Django": ["asgiref", "backport"],
        "asgiref": [],
        "backport": [],
        "tzdata": [],
    }


def test_an_extra_counts_where_somebody_asks_for_it() -> None:
    """Also through another distribution, whatever the order of their names."""
    for asking in ("a", "z"):
        own = [
            there(asking, "1", "B[Fast]"),
            there("b", "1", "c; extra == 'fast'", "d; extra == 'other'"),
            there("c", "1"),
            there("d", "1"),
        ]
        assert graph(described(*own)) == {"venv": sorted([asking, "d"]), asking: ["b"], "b": ["c"], "c": [], "d": []}
        assert graph(described(*reversed(own)))["b"] == ["c"]


def test_circles_are_reached_too() -> None:
    """Of distributions that need each other one stands for all."""
    own = [there("a", "1", "b"), there("b", "1", "a", "b"), there("c", "1", "b")]
    assert graph(described(*own))["venv"] == ["c"]
    assert graph(described(*own[:2]))["venv"] == ["a"]
    assert tops({}) == []


def test_files_are_named_after_their_targets(tmp_path: Path) -> None:
    """No two targets share a name, and none leaves the folder or is too long for it."""
    targets = [
        Target("shop", "web1", "/srv/shop/venv"),
        Target("shop", "web1", "/srv/shop+venv"),
        Target("shop", "web1", "/srv/../a b/%2F"),
        Target("shop", "web1", "/" + "x/" * 300),
        Target("shop", "web1", "/" + "x/" * 300 + "y"),
    ]
    names = [file_name(target) for target in targets]
    assert names[0] == "shop@web1+srv+shop+venv"
    assert len(set(names)) == len(names)
    assert all("/" not in name and len(name.encode()) < 240 for name in names)
    path = write(tmp_path / "new" / "folder", targets[0], "{}", ".cdx.json")
    assert path.read_text() == "{}\n"
    assert [one.name for one in path.parent.iterdir()] == [f"{names[0]}.cdx.json"]


def test_a_folder_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistrationError, match=r"file/x@y\+z.cdx.json: cannot be written: "):
        write(tmp_path / "file", Target("x", "y", "/z"), "{}", ".cdx.json")


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """cyclonedx-python-lib is an extra."""
    monkeypatch.setitem(sys.modules, "cyclonedx.output.json", None)
    with pytest.raises(RegistrationError) as caught:
        document(probe(member()))
    assert str(caught.value) == "a bill of materials needs cyclonedx-python-lib\n  pip install 'envfab[sbom]'"


def contained(bill: Bill) -> dict[str, dict[str, Any]]:
    """The components of a bill's one distribution by their names, in a document that must validate."""
    made = valid(cyclonedx_document(bill))
    return {one["name"]: one for one in component(made, "shop").get("components", ())}


def licenses(materials: DistributionMaterials) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """(what a document says of the licences of a distribution, its properties)."""
    shop = component(valid(cyclonedx_document(bill_of(materials))), "shop")
    return shop.get("licenses", []), {one["name"]: one["value"] for one in shop["properties"]}


def test_licences_are_as_the_schema_wants_them() -> None:
    """An identifier, or one expression alone, or any number of identifiers and names; they are declared."""
    told, properties = licenses(DistributionMaterials("mit"))
    assert told == [{"license": {"id": "MIT", "acknowledgement": "declared"}}]
    assert properties["envfab:licenses"] == "License-Expression"
    told, _ = licenses(DistributionMaterials("MIT or Apache-2.0"))
    assert told == [{"expression": "MIT OR Apache-2.0", "acknowledgement": "declared"}]
    classifiers = ("License :: OSI Approved :: MIT License", "License :: OSI Approved :: BSD License")
    told, _ = licenses(DistributionMaterials(license_classifiers=classifiers))
    assert [one["license"].get("id") or one["license"].get("name") for one in told] == ["MIT", "BSD License"]
    told, _ = licenses(DistributionMaterials("LicenseRef-Ours"))
    assert told == [{"expression": "LicenseRef-Ours", "acknowledgement": "declared"}]


def test_a_licence_that_is_not_known_is_left_out_and_told() -> None:
    """With the reason; nothing is said where it was not asked for."""
    told, properties = licenses(DistributionMaterials(license="UNKNOWN"))
    assert (told, properties["envfab:no-license"]) == ([], "METADATA names none")
    assert "licenses" not in component(described(there("six", "1")), "six")


def test_the_texts_of_licences_are_told_with_their_digests() -> None:
    """As properties of the distribution."""
    files = (HashedFile("shop-1.dist-info/licenses/MIT", A), HashedFile("shop-1.dist-info/licenses/X", None))
    bill = bill_of(DistributionMaterials(license_files=files))
    assert told_of(bill, "envfab:license-file") == [
        f"shop-1.dist-info/licenses/MIT sha256:{A}",
        "shop-1.dist-info/licenses/X not readable",
    ]
    valid(cyclonedx_document(bill))


def test_what_a_distribution_contains_is_nested_in_it() -> None:
    """Bundled files with where they are; components of others' documents, whatever these say."""
    odd = {
        "name": "odd",
        "purl": "pkg:npm/@/x?=&&%zz",
        "cpe": "cpe:2.3:a:x",
        "hashes": [{"alg": "SHA-256", "content": "no"}, {"alg": "NEW", "content": ""}],
        "licenses": [{"license": {"id": "No-Such-Id"}}, {"expression": "MIT OR ISC"}, {"license": {"name": "Ours"}}],
        "type": "cryptographic-asset",
    }
    libraries = (library("shop.libs/libssl-81ffa89e.so.3"),)
    found = contained(bill_of(DistributionMaterials(libraries=libraries, documents=(document_in(cyclonedx(odd)),))))
    assert found["libssl"]["evidence"] == {"occurrences": [{"location": "shop.libs/libssl-81ffa89e.so.3"}]}
    assert found["libssl"]["hashes"] == [{"alg": "SHA-256", "content": A}]
    assert found["odd"]["type"] == "library"
    names = {one["license"].get("name") for one in found["odd"]["licenses"]}
    assert names == {"No-Such-Id", "MIT OR ISC", "Ours"}
    assert not {"purl", "cpe", "hashes"} & found["odd"].keys()
    assert {"name": "envfab:purl", "value": "pkg:npm/@/x?=&&%zz"} in found["odd"]["properties"]


@given(JSON)
def test_whatever_a_document_in_a_wheel_says_the_bill_is_valid(components: Any) -> None:
    """What strangers write cannot make a bill that its readers refuse."""
    made = {"bomFormat": "CycloneDX", "components": [{"name": "x"}, components]}
    contained(bill_of(DistributionMaterials(documents=(document_in(made),))))

"""Bills of real wheels that bundle libraries: psycopg-binary, cryptography, Pillow."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from envfab.models.probe import Probe
from envfab.remote import agent_sources
from envfab.remote.agent_session import start_agent
from envfab.remote.materials import to_materials
from envfab.remote.probe_replies import to_probe
from envfab.remote.process import local_link
from envfab.remote.startup import Identity
from envfab.sbom.cyclonedx import cyclonedx_document
from envfab.sbom.digests import Digests
from envfab.sbom.virtualenv_bill import make_bill
from envfab.wheelhouse.release_log.view import LogText
from tests.registration.probes import member
from tests.sbom.test_spdx import written
from tests.support.virtualenvs import VirtualenvMaker

WHEELS = ("cryptography==50.0.2", "Pillow==13.0.0", "psycopg-binary==3.3.9")
# the wheels of one platform, wherever the tests run
PLATFORMS = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64")
OPTIONS = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "abi3")


@pytest.fixture(scope="module")
def unpacked(make_virtualenv: VirtualenvMaker, tmp_path_factory: pytest.TempPathFactory) -> Probe:
    """The probe of a virtualenv in which the wheels lie; none of their code is run."""
    venv = make_virtualenv("3.11", tmp_path_factory.mktemp("real") / "venv")
    (site,) = venv.glob("lib/python*/site-packages")
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    for wheel in make_virtualenv.fetched_all(WHEELS, *OPTIONS, *platforms):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    session = start_agent(
        local_link(), f"{venv}/bin/python", str(venv), where="v", identity=Identity(), modules=agent_sources.PROBE
    )
    with session:
        found = to_probe(member(path=str(venv)).target, session.ask("probe"))
        session.load(agent_sources.MATERIALS)
        return replace(found, materials=to_materials(session.ask("materials"), "v"))


@pytest.fixture(scope="module")
def document(unpacked: Probe) -> Mapping[str, Any]:
    """The CycloneDX document, which is valid."""
    text = cyclonedx_document(make_bill(unpacked, Digests(LogText("", ""))))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


Inside = Callable[[str], Mapping[tuple[str, str | None], Mapping[str, Any]]]


@pytest.fixture(scope="module")
def inside(document: Mapping[str, Any]) -> Inside:
    """What a distribution contains, by name and version."""
    found = {one["name"]: one.get("components", ()) for one in document["components"]}
    return lambda name: {(one["name"], one.get("version")): one for one in found[name]}


def test_the_libraries_of_psycopg_binary_are_listed(inside: Inside) -> None:
    """All 14 files of psycopg_binary.libs, and the three packages that auditwheel knew them to be of."""
    parts = inside("psycopg-binary")
    files = {one["evidence"]["occurrences"][0]["location"] for one in parts.values() if "evidence" in one}
    assert len(files) == 14
    assert all(one["hashes"] for one in parts.values() if "evidence" in one)
    assert {("libssl", "3"), ("libcrypto", "3.5.9"), ("libpq", "5.18"), ("libldap", "2.0.200")} <= parts.keys()
    packages = {one["purl"] for one in parts.values() if "purl" in one}
    assert packages == {
        "pkg:rpm/centos/keyutils-libs@1.5.8-3.el7",
        "pkg:rpm/centos/cyrus-sasl-lib@2.1.26-24.el7_9",
        "pkg:rpm/centos/libcom_err@1.42.9-19.el7",
    }


def test_the_openssl_in_cryptography_is_listed(inside: Inside, document: Mapping[str, Any]) -> None:
    """It is linked statically, so that only the wheel's own bill tells; its crates come with what needs what."""
    parts = inside("cryptography")
    openssl = parts["openssl", "4.0.3"]
    assert openssl["purl"].startswith("pkg:generic/openssl@4.0.3")
    crates = {name for name, _ in parts}
    assert {"cryptography-rust", "asn1", "pyo3", "openssl-sys"} <= crates
    needs = {one["ref"]: set(one.get("dependsOn", ())) for one in document["dependencies"]}
    refs = {key: one["bom-ref"] for key, one in parts.items()}
    asn1, rust = (next(refs[key] for key in refs if key[0] == name) for name in ("asn1", "cryptography-rust"))
    assert asn1 in needs[rust]


def test_what_pillow_names_and_bundles_is_listed_once(inside: Inside) -> None:
    """Its own bill gives versions to files, and auditwheel's a package."""
    parts = inside("pillow")
    assert "evidence" in parts["libtiff", "4.7.2"]
    assert "evidence" in parts["libXau", "1.0.9-3.el8"]
    assert len([key for key in parts if key[0].lower() in ("libtiff", "libwebp", "freetype", "libfreetype")]) == 3


def test_the_licences_are_those_of_their_metadata(document: Mapping[str, Any]) -> None:
    """An identifier, or an expression."""
    licences = {one["name"]: one.get("licenses") for one in document["components"]}
    assert licences["psycopg-binary"] == [{"license": {"id": "LGPL-3.0-only", "acknowledgement": "declared"}}]
    assert licences["cryptography"] == [{"expression": "Apache-2.0 OR BSD-3-Clause", "acknowledgement": "declared"}]


def test_the_spdx_document_is_valid_too(unpacked: Probe) -> None:
    """As the reference implementation judges it."""
    made = written(make_bill(unpacked, Digests(LogText("", ""))))
    assert {"libssl", "openssl", "CPython", "OpenSSL"} <= {one["name"] for one in made["packages"]}

"""The interpreter in a bill, and the libraries that it is linked with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.version import Version

from envfab.sbom.bill import BillComponent
from envfab.sbom.digests import Digests
from envfab.sbom.virtualenv_bill import make_bill
from envfab.wheelhouse.release_log.view import LogText
from tests.sbom.bills import LINKED, probed, told

NONE = dict.fromkeys(LINKED)


def linked(**changed: str | None) -> dict[str, BillComponent]:
    """The components of interpreter and libraries, by name."""
    return {one.name: one for one in make_bill(probed(NONE | changed), Digests(LogText("", ""))).components}


@pytest.mark.parametrize(
    ("library", "text", "name", "version", "cpe"),
    [
        ("openssl", "OpenSSL 3.0.2 15 Mar 2022", "OpenSSL", "3.0.2", "openssl:openssl:3.0.2"),
        ("openssl", "OpenSSL 1.1.1w  11 Sep 2023", "OpenSSL", "1.1.1w", "openssl:openssl:1.1.1w"),
        ("openssl", "OpenSSL 3.5.0-beta1 25 Mar 2025", "OpenSSL", "3.5.0-beta1", None),
        ("openssl", "LibreSSL 2.8.3", "LibreSSL", "2.8.3", "openbsd:libressl:2.8.3"),
        ("openssl", "AWS-LC 1.2.3", "AWS-LC", "1.2.3", None),
        ("sqlite", "3.37.2", "SQLite", "3.37.2", "sqlite:sqlite:3.37.2"),
        ("zlib", "1.3.1.zlib-ng", "zlib", "1.3.1.zlib-ng", None),
        ("expat", "expat_2.4.7", "Expat", "2.4.7", "libexpat_project:libexpat:2.4.7"),
    ],
)
def test_a_library_is_what_it_says_of_itself(library: str, text: str, name: str, version: str, cpe: str | None) -> None:
    """With a CPE where the version is a release's, as the dictionary writes it."""
    found = linked(**{library: text})
    assert found.keys() == {"CPython", name}
    assert (found[name].version, found[name].ref) == (version, f"interpreter/{library}")
    assert found[name].cpe == (cpe and f"cpe:2.3:a:{cpe}:*:*:*:*:*:*:*")


@pytest.mark.parametrize("text", [None, "", "3", "OpenSSL", "\ufffd 1"])
def test_what_an_interpreter_does_not_tell_is_said_to_be_unknown(text: str | None) -> None:
    """Builds without ssl, and answers that are not understood."""
    bill = make_bill(probed({**LINKED, "openssl": text}), Digests(LogText("", "")))
    assert told(bill, "envfab:openssl") == ["unknown"]
    assert "OpenSSL" not in {one.name for one in bill.components}


def test_the_virtualenv_needs_its_interpreter_and_that_its_libraries() -> None:
    """The interpreter is a platform with its version and CPE."""
    bill = make_bill(probed(), Digests(LogText("", "")))
    assert bill.needs[bill.root.ref] == ("interpreter",)
    assert bill.needs["interpreter"] == tuple(f"interpreter/{name}" for name in LINKED)
    interpreter = bill.components[0]
    assert (interpreter.kind, interpreter.name, interpreter.version) == ("platform", "CPython", "3.8.18")
    assert interpreter.cpe == "cpe:2.3:a:python:python:3.8.18:*:*:*:*:*:*:*"


@pytest.mark.parametrize(("own", "version"), [("7.3.17", "7.3.17"), ("0", "3.9.19")])
def test_pypy_has_its_own_version_beside_that_of_the_language(own: str, version: str) -> None:
    """On Python 2.7 it tells the latter alone; CPython's CPE is not its."""
    probe = probed()
    markers = {**probe.interpreter.markers, "implementation_version": own}
    pypy = replace(probe.interpreter, implementation="PyPy", version=Version("3.9.19"), markers=markers)
    bill = make_bill(replace(probe, interpreter=pypy), Digests(LogText("", "")))
    assert (bill.components[0].name, bill.components[0].version, bill.components[0].cpe) == ("PyPy", version, None)
    assert told(bill, "envfab:python-version") == ["3.9.19"]

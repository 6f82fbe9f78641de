"""Decoding of materials: a hostile host's answer is its target's error, and nothing else."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from envfab.errors import AgentError, Disconnected
from envfab.models.materials import HashedFile, Materials
from envfab.remote.materials import (
    MAX_DOCUMENT,
    MAX_FILES,
    to_materials,
    with_materials,
    with_materials_or_warning,
)
from envfab.remote.probe import ProbeResult, TargetSession
from envfab.remote.process import local_link
from envfab.util.progress import Silent
from tests.registration.probes import member, probe

A = "a" * 64
LINKED = {"openssl": "OpenSSL 3.0.2", "sqlite": None, "zlib": "1.3", "expat": None}
SHOP = canonicalize_name("Shop")


class Reporting(Silent):
    """A reporter that keeps the warnings."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def warning(self, message: str) -> None:
        """Keep it."""
        self.said.append(message)


def packed(content: bytes) -> str:
    """A document as agents send it."""
    return base64.b64encode(zlib.compress(content)).decode()


def document(**changed: Any) -> dict[str, Any]:
    """A document in a reply."""
    return {"path": "a.dist-info/sboms/x.json", "size": 2, "packed": packed(b"{}"), **changed}


def entry(**changed: Any) -> dict[str, Any]:
    """A distribution in a reply."""
    files = {"license_files": [["LICENSE", A]], "libraries": [["x.libs/y.so", None]], "documents": [document()]}
    said: dict[str, Any] = {
        "name": "Shop",
        "expression": "MIT",
        "license": None,
        "classifiers": [],
        "openssl": [],
        "cut": False,
    }
    return {**said, **files, **changed}


def reply(*entries: dict[str, Any]) -> dict[str, Any]:
    """A reply."""
    return {"linked": LINKED, "distributions": list(entries)}


def test_a_reply_becomes_a_frozen_type() -> None:
    """By canonical name; of two distributions of a name the first counts, as in probes."""
    found = to_materials(reply(entry(license="a\u202eb\n"), entry(name="shop", expression="BSD")), "web1")
    assert found.linked == LINKED
    shop = found.distributions[SHOP]
    assert (shop.license_expression, shop.license, shop.cut) == ("MIT", "a b", False)
    assert shop.license_files == (HashedFile("LICENSE", A),)
    assert shop.libraries == (HashedFile("x.libs/y.so", None),)
    assert shop.documents[0].content == b"{}"


@pytest.mark.parametrize(
    "changed",
    [
        {"expression": 1},
        {"license": "x" * 2001},
        {"classifiers": "MIT"},
        {"libraries": [["x"]]},
        {"libraries": [["x", "y", "z"]]},
        {"libraries": [["x", "sha"]]},
        {"libraries": [[1, A]]},
        {"license_files": [["x", A]] * (MAX_FILES + 1)},
        {"openssl": [["x"]]},
        {"openssl": [["x", 1]]},
        {"documents": [document(packed="!")]},
        {"documents": [document(packed=base64.b64encode(b"no zlib").decode())]},
        {"documents": [document(packed=packed(b"{}")[:-8])]},
        {"documents": [document(packed=packed(b" " * (MAX_DOCUMENT + 1)))]},
        {"documents": [document(packed=packed(b" " * MAX_DOCUMENT))] * 9},
        {"documents": [document(size=-1)]},
        {"cut": None},
    ],
)
def test_an_invalid_reply_is_the_targets_error(changed: dict[str, Any]) -> None:
    """Wrong types, what is too long, what unpacks to too much."""
    with pytest.raises(AgentError, match=r"^web1: invalid reply of the agent: "):
        to_materials(reply(entry(**changed)), "web1")


def test_all_files_of_a_virtualenv_are_limited() -> None:
    """However many distributions they are spread over."""
    many = [entry(name=f"p{number}", libraries=[["x", A]] * MAX_FILES) for number in range(10)]
    with pytest.raises(AgentError, match="more than 20000 files"):
        to_materials(reply(*many), "web1")


def test_where_materials_cannot_be_had_a_registration_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning tells it; a bill of its own ends with the target's error instead."""

    def cut_off(_site: TargetSession) -> Materials:
        raise Disconnected("the connection was lost", where="web1")

    monkeypatch.setattr("envfab.remote.materials.materials", cut_off)
    of = member()
    found = ProbeResult(of, TargetSession(of, local_link(), None, None), probe(of))
    reporter = Reporting()
    assert with_materials_or_warning(found, reporter) == found
    assert reporter.said == ["licences and bundled libraries are not known: web1: the connection was lost"]
    with pytest.raises(Disconnected):
        with_materials(found)

"""Provenances (PEP 740) as an index sends them: read within limits, or refused in one sentence."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from envfab.models.provenance import LIMIT, Provenance
from tests.support.provenances import ATTESTED, provenance

SHA256 = "a" * 64


def parse(document: Any) -> Provenance:
    """The provenance that a document is."""
    return Provenance.parse(json.dumps(document).encode(), SHA256)


def test_reads_a_real_one() -> None:
    """PyPI's, with the facts that identify its publisher, and not the ref of the one run."""
    content = ATTESTED.with_name(f"{ATTESTED.name}.provenance").read_bytes()
    found = Provenance.parse(content, hashlib.sha256(ATTESTED.read_bytes()).hexdigest())
    (publisher,) = found.publishers
    assert publisher.kind == "CircleCI"
    assert [name for name, _value in publisher.facts] == ["pipeline_definition_id", "project_id", "vcs_origin"]


def test_shows_the_publisher() -> None:
    """As its forge writes it."""
    assert parse(provenance(SHA256)).shown == "GitHub acme/shop release.yml"
    shown = parse(provenance(SHA256, environment="pypi")).shown
    assert shown == "GitHub acme/shop release.yml environment pypi"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"repository": "Acme/Shop"}, True),
        ({"claims": {"ref": "refs/tags/v2"}}, True),
        ({"repository": "evil/shop"}, False),
        ({"workflow": "other.yml"}, False),
        ({"environment": "pypi"}, False),
        ({"kind": "GitLab"}, False),
        ({"repository": "acme/shop\n"}, False),
    ],
)
def test_tells_publishers_apart(other: dict[str, Any], same: bool) -> None:
    """By kind, repository, workflow and environment; GitHub ignores case, and claims are of one run."""
    found = parse(provenance(SHA256, **other))
    assert (found.identities == parse(provenance(SHA256)).identities) is same


def test_publishers_that_begin_alike_are_not_the_same() -> None:
    """However long what they have in common is: GitLab's groups lie in groups, and names are shown in part."""
    one, other = (parse(provenance(SHA256, f"acme/{'x' * 300}/{name}")) for name in ("shop", "evil"))
    assert one.shown == other.shown
    assert one.identities != other.identities


def test_a_publisher_shows_in_one_short_line() -> None:
    """It is a stranger's text."""
    shown = parse(provenance(SHA256, "evil\x1b[2J\n" + "x" * 100_000)).shown
    assert len(shown) < 500
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>Log in</html>", "Expecting value"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b"[]", "it has a value of another type"),
        (b"{}", "'version' is missing"),
        (b'{"version": 2}', "it is of version 2; this envfab reads 1"),
        (b'{"version": 1, "attestation_bundles": []}', "attestation_bundles must be a list of 1 to 20"),
        (b" " * (LIMIT + 1), "it is larger than 262,144 bytes"),
        (json.dumps(provenance("b" * 64)).encode(), "it is about another file: the SHA-256 in it is different"),
        (json.dumps(provenance(SHA256, kind=None)).encode(), "a publisher has no kind"),
        (json.dumps(provenance(SHA256, **{f"x{n}": "y" for n in range(99)})).encode(), "more than 20 facts"),
    ],
)
def test_refuses_what_is_not_one(content: bytes, message: str) -> None:
    """In one sentence that says why."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Provenance.parse(content, SHA256)


def damaged(document: Any, value: Any) -> Iterator[Any]:
    """The document, once for each place in it with another value there."""
    for key in list(document) if isinstance(document, dict) else range(len(document)):
        changed = copy.deepcopy(document)
        changed[key] = value
        yield changed
        if isinstance(document[key], (dict, list)):
            for inner in damaged(document[key], value):
                changed = copy.deepcopy(document)
                changed[key] = inner
                yield changed


@pytest.mark.parametrize("value", [None, 0, "", "x", [], {}, [[]], [None], {"kind": []}, True])
def test_any_value_in_any_place_is_read_or_refused(value: Any) -> None:
    """Never a traceback."""
    for document in damaged(provenance(SHA256), value):
        with suppress(ValueError):
            assert parse(document).publishers

"""Package URLs of projects on PyPI."""

from __future__ import annotations

import pytest
from packaging.utils import canonicalize_name

from envfab.audit.purl import PackageName, parse_purl
from envfab.sbom.virtualenv_bill import package_url


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("pkg:pypi/django@5.2.1", "django", "5.2.1"),
        ("pkg:pypi/Zope.Interface", "zope-interface", None),
        ("PKG:PyPI/typing_extensions@4?vcs_url=x#sub", "typing-extensions", "4"),
        ("pkg://pypi/django@5.1%2Bcorp1", "django", "5.1+corp1"),
        ("pkg:pypi/django@", "django", None),
    ],
)
def test_a_package_url_names_a_project(text: str, name: str, version: str | None) -> None:
    """With a version or without, by its canonical name; qualifiers say nothing about it."""
    assert parse_purl(text) == PackageName(canonicalize_name(name), version)


@pytest.mark.parametrize(
    "text", ["", "django", "pkg:npm/django@1", "pkg:pypi/", "pkg:pypi/a/b", "cpe:2.3:a:django", "pkg:pypi/ü"]
)
def test_others_name_none(text: str) -> None:
    """Other ecosystems, and what is not a package URL."""
    assert parse_purl(text) is None


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("pkg:pypi/django", True), ("pkg:pypi/django@5.1", True), ("pkg:pypi/django@5.1.0", True), ("pkg:pypi/django@5.1.1", False),
        ("pkg:pypi/django@5.1%2Bcorp1", False), ("pkg:pypi/shop@5.1", False),
    ],
)  # fmt: skip
def test_versions_are_compared_as_versions(text: str, covered: bool) -> None:
    """5.1 is 5.1.0; without a version all are meant."""
    named = parse_purl(text)
    assert named is not None
    assert named.covers(canonicalize_name("Django"), "5.1") is covered
    assert PackageName(canonicalize_name("odd"), "2004d-x").covers(canonicalize_name("odd"), "2004d-x")


@pytest.mark.parametrize("name", ["Django", "Typing_Extensions", "zope.interface"])
@pytest.mark.parametrize("version", ["5.2.1", "1!2.0+corp.1", "2004d-x y", ""])
def test_those_of_bills_of_materials_are_read(name: str, version: str) -> None:
    """Documents of findings have the same package URLs as bills, and are read again."""
    assert parse_purl(package_url(name, version)) == PackageName(canonicalize_name(name), version or None)

"""Versions, specifiers and requirements of others: packaging's own errors, short, and nothing without end."""

from __future__ import annotations

import time

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier
from packaging.version import InvalidVersion, Version

from envfab.util.versions import parse_requirement, parse_specifiers, parse_version, shortened, version_or_none

LONG = "1" * 5000
NESTED = f"a ; {'(' * 5000}os_name == 'x'{')' * 5000}"


def test_what_packaging_reads_is_read() -> None:
    """Within the limits nothing changes."""
    assert parse_version("1!2.0rc1+corp.1") == Version("1!2.0rc1+corp.1")
    assert str(parse_specifiers(">=3.9,<4")) == "<4,>=3.9"
    assert parse_requirement("a[b]>=1 ; os_name == 'x'") == Requirement("a[b]>=1 ; os_name == 'x'")


def test_the_limit_is_a_hundred_digits() -> None:
    """Dates and counters of builds have twenty; a hundred are read, one more is not."""
    assert version_or_none("1" * 100) is not None
    assert version_or_none("1" * 101) is None


@pytest.mark.parametrize("text", [LONG, f"1.{LONG}", f"{LONG}!1", f"1rc{LONG}", f"1.post{LONG}", "", "one", "1 2"])
def test_what_is_no_version_is_an_invalid_version(text: str) -> None:
    """Never a bare `ValueError`, and in a few words."""
    with pytest.raises(InvalidVersion) as caught:
        parse_version(text)
    assert len(str(caught.value)) < 200
    assert version_or_none(text) is None


@pytest.mark.parametrize("text", [f">={LONG}", ">=", "three", f"=={'1,==' * 4000}1"])
def test_what_is_no_specifier_is_an_invalid_specifier(text: str) -> None:
    """Also where packaging would notice when versions are compared."""
    with pytest.raises(InvalidSpecifier):
        parse_specifiers(text)


@pytest.mark.parametrize("text", [f"a=={LONG}", f"a ; python_version > '{LONG}'", NESTED, "a" * 20_000, "a=1", ""])
def test_what_is_no_requirement_is_an_invalid_requirement(text: str) -> None:
    """At once, whatever it is."""
    began = time.monotonic()
    with pytest.raises(InvalidRequirement):
        parse_requirement(text)
    assert time.monotonic() - began < 1


def test_long_texts_are_shown_by_their_beginning() -> None:
    """And say so."""
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "abc…"

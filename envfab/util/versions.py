"""Versions, specifiers and requirements out of others' texts, read by packaging within limits.

packaging raises `ValueError` and `RecursionError` for some texts, the interpreter refuses numbers of more than 4,300
digits, and some of it is found out only when two versions are compared. What these functions return compares in a
bounded time, and what they raise is packaging's own error for the kind of text.
"""

from __future__ import annotations

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

MOST_DIGITS = 100
MOST_CHARACTERS = 10_000
MOST_PARENTHESES = 50
SHOWN = 80
_LONG_NUMBER = re.compile(rf"\d{{{MOST_DIGITS + 1}}}")


def parse_version(text: str) -> Version:
    """The version that a text is; raises `InvalidVersion`."""
    problem = problem_of(text)
    if problem:
        raise InvalidVersion(f"Invalid version: {shortened(text)!r}: {problem}")
    try:
        return Version(text)
    except InvalidVersion:
        raise InvalidVersion(f"Invalid version: {shortened(text)!r}") from None


def version_or_none(text: str) -> Version | None:
    """The version (PEP 440) in a text; None for any other text."""
    try:
        return parse_version(text)
    except InvalidVersion:
        return None


def parse_specifiers(text: str) -> SpecifierSet:
    """The specifiers that a text is, such as `>=3.9,<4`; raises `InvalidSpecifier`."""
    problem = problem_of(text)
    if problem:
        raise InvalidSpecifier(f"Invalid specifier: {shortened(text)!r}: {problem}")
    return SpecifierSet(text)


def parse_requirement(text: str) -> Requirement:
    """The requirement that a text is (PEP 508); raises `InvalidRequirement`."""
    problem = problem_of(text)
    if problem:
        raise InvalidRequirement(problem)
    try:
        return Requirement(text)
    except InvalidRequirement:
        raise
    except (ValueError, RecursionError):
        raise InvalidRequirement("it cannot be read") from None


def problem_of(text: str) -> str:
    """Why a text is not even tried to be read; empty where it may be."""
    if len(text) > MOST_CHARACTERS:
        return f"it is longer than {MOST_CHARACTERS:,} characters"
    if _LONG_NUMBER.search(text):
        return f"it has a number of more than {MOST_DIGITS} digits"
    if text.count("(") > MOST_PARENTHESES:
        return f"it has more than {MOST_PARENTHESES} parentheses"
    return ""


def shortened(text: str, most: int = SHOWN) -> str:
    """A text as a message shows it: the beginning of one that is long."""
    return text if len(text) <= most else f"{text[:most]}…"

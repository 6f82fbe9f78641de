"""`Requires-Python` and `Requires-Dist` of older wheels, read as leniently as by current installers.

pip (26.3, tried) takes a wheel whose `Requires-Python` it cannot read as one for every Python, and refuses one whose
`Requires-Dist` it cannot read; uv (0.13, tried) mends the usual slips of both, which these are.
"""

from __future__ import annotations

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envfab.util.versions import parse_requirement, parse_specifiers, problem_of, shortened

# (what is written, what was meant), in the order in which uv goes through them
_SLIPS = (
    (re.compile(r"(\d)([<>=~^!])"), r"\1,\2"),  # >=7.2.0<8.0.0
    (re.compile(r"!=~((?:\d\.)*\d)"), r"!=\1.*"),  # !=~5.0
    (re.compile(r"(<=|>=|<|>)(\s*\d+(?:\.\d+)*)\.\*"), r"\1\2"),  # >=1.9.*
    (re.compile(r"(\d\.\d)\*"), r"\1.*"),  # !=3.0*
    (re.compile(r",\s*(\)|$)"), r"\1"),  # >=3.6,
    (re.compile(r">dev"), ">0.0.0dev"),  # >dev
    (re.compile(r"['\"]([*\d])|([*\d])['\"]"), r"\1\2"),  # >='2.7'
)  # fmt: skip


def read_requirement(text: str) -> tuple[Requirement, str]:
    """Return (the requirement, a note if it had to be corrected); raises packaging's `InvalidRequirement`."""
    try:
        return parse_requirement(text), ""
    except InvalidRequirement:
        if problem_of(text):
            raise
        requirement, semicolon, marker = text.partition(";")
        mended = _mended(requirement) + semicolon + marker
        if mended == text:
            raise
        try:
            found = parse_requirement(mended)
        except InvalidRequirement:
            found = None
        if found is None:
            raise
        return found, f"its Requires-Dist {shortened(text)!r} is read as {shortened(mended)!r}"


def read_requires_python(text: str) -> tuple[SpecifierSet, str]:
    """Return (the specifiers, a note if they had to be corrected, or are ignored since they cannot be read)."""
    try:
        return parse_specifiers(text), ""
    except InvalidSpecifier:
        pass
    if not problem_of(text):
        mended = _mended(text)
        try:
            return parse_specifiers(mended), f"its Requires-Python {shortened(text)!r} is read as {mended!r}"
        except InvalidSpecifier:
            pass
    return SpecifierSet(), f"its Requires-Python {shortened(text)!r} cannot be read, and is ignored"


def _mended(text: str) -> str:
    for slip, meant in _SLIPS:
        text = slip.sub(meant, text)
    return text

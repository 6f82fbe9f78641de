"""Probes that an agent sends: of the right shape and size, or one line that says what is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from envfab.config.target import Target
from envfab.errors import AgentError, EnvfabError, Unreachable
from envfab.models.interpreter import MARKER_NAMES
from envfab.models.probe import Holder, Stranded
from envfab.remote.probe_replies import to_probe
from tests.remote.test_probe import REPLY, _entry

TARGET = Target("a", "b", "/c")
CANNOT = "a@b:/c: invalid reply of the agent: "


@pytest.mark.parametrize("holder", ["evil", 5, [], {}, {"who": None}, True])
def test_a_holder_of_any_shape_is_somebody(holder: object) -> None:
    """Whoever owns a virtualenv writes the file of its lock."""
    assert to_probe(TARGET, REPLY | {"holder": holder}).holder == Holder()


@pytest.mark.parametrize("name", sorted(REPLY))
def test_each_field_of_a_probe_must_be_there(name: str) -> None:
    """Of one that is missing the error says which."""
    with pytest.raises(AgentError) as caught:
        to_probe(TARGET, {field: value for field, value in REPLY.items() if field != name})
    assert str(caught.value) == f"{CANNOT}{name!r} is missing\n  check that this is the right host"


@pytest.mark.parametrize("value", [None, True, 5, -1, 1.5, "x", [], {}, [5], {"a": 1}, ["x" * 9_000], "x" * 9_000])
@pytest.mark.parametrize("name", sorted(REPLY))
def test_a_field_of_any_other_type_is_one_line_or_no_matter(name: str, value: Any) -> None:
    """Never anything but an error of ours, with the target."""
    error = None
    try:
        to_probe(TARGET, REPLY | {name: value})
    except EnvfabError as caught:
        error = caught
    assert error is None or (error.where == "a@b:/c" and len(error.what) < 300)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (5, "an entry of 'own' must be an object, not a number"),
        (
            _entry("x", "1") | {"origin": "stolen"},
            "'origin' must be one of wheel, editable, direct URL, egg-info, egg, distutils, outside the virtualenv, not 'stolen'",
        ),
        (_entry("x" * 201, "1"), "'name' has 201 characters, and may have 200"),
        (_entry("x", "9" * 5_000), "'version' has 5000 characters, and may have 200"),
        (_entry("x", "1") | {"requires": ["y"] * 2_001}, "'requires' has 2001 entries, and may have 2000"),
    ],
)
def test_a_distribution_that_cannot_be_is_told(entry: Any, says: str) -> None:
    """What it is and how much there may be."""
    with pytest.raises(AgentError) as caught:
        to_probe(TARGET, REPLY | {"own": [entry]})
    assert caught.value.what == f"invalid reply of the agent: {says}"


def test_no_marker_may_be_missing() -> None:
    """packaging would take this machine's in its place."""
    with pytest.raises(AgentError, match="'os_name' is missing"):
        to_probe(TARGET, REPLY | {"markers": {name: "" for name in MARKER_NAMES if name != "os_name"}})


def test_a_version_that_is_none_is_quoted_without_what_steers_a_terminal() -> None:
    """In one line."""
    with pytest.raises(Unreachable) as caught:
        to_probe(TARGET, REPLY | {"version": "3\u202e.\x1b[1\n1"})
    assert str(caught.value) == "a@b:/c: the interpreter reports an invalid version: '3 . [1 1'"


def test_names_of_distributions_do_not_steer_a_terminal() -> None:
    """Bidirectional controls, C1 and line separators are gone before anything is compared or shown."""
    (name,) = to_probe(TARGET, REPLY | {"own": [_entry("sh\u202eop\x9b\u2028", "1")]}).distributions.values()
    assert name.shown_as == "sh op"


def test_a_requirement_of_a_thousand_parentheses_is_passed_over() -> None:
    """packaging reads them one inside the other, until Python has no room left."""
    entry = _entry("x", "1") | {"requires": ["y; " + "(" * 1_500 + "os_name" + ")" * 1_500, "z"]}
    (found,) = to_probe(TARGET, REPLY | {"own": [entry]}).distributions.values()
    assert [requirement.name for requirement in found.requires] == ["z"]


def test_the_number_of_a_generation_is_a_small_whole_number() -> None:
    """Its owner may call a folder what he likes."""
    found = to_probe(TARGET, REPLY | {"generation": 3, "generations": [2, 3], "plain": False})
    assert (found.generation, found.generations, found.next_generation) == (3, (2, 3), 4)
    for value in (-1, True, 1.5, "7", 10**20):
        with pytest.raises(AgentError, match="is not the number of a generation"):
            to_probe(TARGET, REPLY | {"generation": value})


def test_packages_that_lie_elsewhere_are_read() -> None:
    """None where there are none, and where an agent of an older version does not tell."""
    assert to_probe(TARGET, REPLY).stranded is None
    told = {"folder": "lib/python3.9\x1b[2J", "packages": 3}
    assert to_probe(TARGET, REPLY | {"stranded": told}).stranded == Stranded("lib/python3.9 [2J", 3)
    with pytest.raises(AgentError, match=f"^{re.escape(CANNOT)}'packages' must be a whole number"):
        to_probe(TARGET, REPLY | {"stranded": {"folder": "x", "packages": -1}})

"""What an agent says, decoded: of the right shape and size, or one line that says what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from envfab.config.target import Target
from envfab.errors import AgentError, EnvfabError, Unreachable
from envfab.models.interpreter import MARKER_NAMES
from envfab.models.probe import Holder, Stranded
from envfab.remote import agent_replies
from envfab.remote.agent_replies import AgentReply, Alive, Failure, frame, to_probe
from tests.remote.test_probe import REPLY, _entry

TARGET = Target("a", "b", "/c")
CANNOT = "a@b:/c: the agent's answer cannot be used: "
DEEP = b'{"ok": {"a": ' + b"[" * 60 + b"]" * 60 + b"}}"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"5", "it must be an object, not a number"),
        (b"[]", "it must be an object, not a list"),
        (b"{}", "'ok' is missing"),
        (b'{"ok": null}', "'ok' must be an object, not null"),
        (b'{"ok": {"a": NaN}}', "it has NaN, which is not JSON"),
        (b'{"ok": {"a": -Infinity}}', "it has -Infinity, which is not JSON"),
        (b'{"ok": {"a": 1e999}}', "it has a number that is too large: 1e999"),
        (b'{"ok": {"a": %s}}' % (b"7" * 5_000), "it has a number of 5000 digits"),
        (b'{"ok": {"a": "\\ud800"}}', "it has half of a surrogate pair, which is not a character"),
        (DEEP, "it is nested too deeply"),
        (b'{"ok": {"a": ' + b"[" * 100_000, "it is nested too deeply"),
        (b'{"problem": {"kind": "os"}}', "'message' is missing"),
        (b'{"problem": {"kind": "os", "message": ""}, "errno": 1}', None),
        (
            b'{"problem": {"kind": "os", "message": "", "errno": "one"}}',
            "'errno' must be a whole number from 0 up, not a text",
        ),
    ],
)
def test_what_is_no_frame_is_one_clear_sentence(line: bytes, says: str | None) -> None:
    """Whatever JSON allows, and what it does not."""
    if says is None:
        assert isinstance(frame(line), Failure)
        return
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the sentence is compared below
        frame(line)
    assert str(caught.value) == says


def test_frames_are_answers_failures_or_signs_of_life() -> None:
    """A holder is told as far as it is text; the end of a long output counts."""
    assert frame(b'{"ok": {"a": 1}}') == AgentReply({"a": 1})
    assert frame(b'{"alive": true}') == Alive()
    problem = {"kind": "locked", "message": "m", "holder": {"who": "ada\x1b[2J\n", "from": 5}, "output": "x" * 300_000}
    failure = frame(json.dumps({"problem": problem}).encode())
    assert failure == Failure("locked", "m", "x" * agent_replies.MAX_OUTPUT, None, Holder("ada [2J", None, None))


@pytest.mark.parametrize("holder", ["evil", 5, [], {}, {"who": None}, True])
def test_a_holder_of_any_shape_is_somebody(holder: object) -> None:
    """Whoever owns a virtualenv writes the file of its lock."""
    assert to_probe(TARGET, REPLY | {"holder": holder}).holder == Holder()


@pytest.mark.parametrize("name", sorted(REPLY))
def test_each_field_of_a_probe_must_be_there(name: str) -> None:
    """Of one that is missing the error says which."""
    with pytest.raises(AgentError) as caught:
        to_probe(TARGET, {field: value for field, value in REPLY.items() if field != name})
    assert str(caught.value) == f"{CANNOT}{name!r} is missing\n  is that host what it should be?"


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
        (_entry("x", "1") | {"origin": "stolen"}, "'origin' is 'stolen', which is not known"),
        (_entry("x" * 201, "1"), "'name' has 201 characters, and may have 200"),
        (_entry("x", "9" * 5_000), "'version' has 5000 characters, and may have 200"),
        (_entry("x", "1") | {"requires": ["y"] * 2_001}, "'requires' has 2001 entries, and may have 2000"),
    ],
)
def test_a_distribution_that_cannot_be_is_told(entry: Any, says: str) -> None:
    """What it is and how much there may be."""
    with pytest.raises(AgentError) as caught:
        to_probe(TARGET, REPLY | {"own": [entry]})
    assert caught.value.what == f"the agent's answer cannot be used: {says}"


def test_no_marker_may_be_missing() -> None:
    """packaging would take this machine's in its place."""
    with pytest.raises(AgentError, match="'os_name' is missing"):
        to_probe(TARGET, REPLY | {"markers": {name: "" for name in MARKER_NAMES if name != "os_name"}})


def test_a_version_that_is_none_is_quoted_without_what_steers_a_terminal() -> None:
    """In one line."""
    with pytest.raises(Unreachable) as caught:
        to_probe(TARGET, REPLY | {"version": "3\u202e.\x1b[1\n1"})
    assert str(caught.value) == "a@b:/c: its interpreter says it is Python '3 . [1 1'"


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


DECODERS: list[tuple[Callable[[Any], Any], Any, str]] = [
    (lambda reply: agent_replies.to_tags(reply, "t"), {"tags": ["py3-none-any"] * 300_000}, "'tags' has 300000 entries, and may have 10000"),
    (lambda reply: agent_replies.to_tags(reply, "t"), {"tags": ["py3"]}, "'py3' is not a tag of an interpreter"),
    (lambda reply: agent_replies.to_lacking(reply, "t", ["a"]), {"lacking": [["a"]]}, "an entry of 'lacking' must be a text, not a list"),
    (lambda reply: agent_replies.to_damage(reply, "t", ["a"]), {"wrong": {"a": "all of it"}}, "'a' must be a list, not a text"),
    (lambda reply: agent_replies.to_damage(reply, "t", ["a"]), {"wrong": {"a" * 999: []}}, "a name has more than 200 characters"),
    (lambda reply: agent_replies.to_records(reply, "t"), {"records": {}}, "'records' must be a list, not an object"),
    (lambda reply: agent_replies.to_whole(reply, "t", [1]), {"whole": [-1]}, "'-1' is not the number of a generation"),
    (lambda reply: agent_replies.to_lingering(reply, "t"), {"lingering": [{"pid": "1"}]}, "'pid' must be a whole number from 0 up, not a text"),
    (lambda reply: agent_replies.to_cleaned(reply, "t"), {"removed": 1, "freed": 2}, "'left' is missing"),
    (lambda reply: agent_replies.to_released(reply, "t"), {"was": 1}, "'was' must be a text, not a number"),
    (lambda reply: agent_replies.to_output(reply, "t"), {"output": None}, "'output' must be a text, not null"),
    (lambda reply: agent_replies.to_creation(reply, "t"), {"with": "venv"}, "'version' is missing"),
    (lambda reply: agent_replies.to_discovered(reply, "t"), {"found": [{"path": 1}]}, "'path' must be a text, not a number"),
]  # fmt: skip


@pytest.mark.parametrize(("decode", "reply", "says"), DECODERS)
def test_every_other_answer_is_checked_as_well(decode: Callable[[Any], Any], reply: Any, says: str) -> None:
    """With the target, and what is wrong."""
    with pytest.raises(AgentError) as caught:
        decode(reply)
    assert str(caught.value) == f"t: the agent's answer cannot be used: {says}\n  is that host what it should be?"


def test_only_what_was_asked_for_counts() -> None:
    """An agent that names other wheels, or other packages, is not heard there."""
    assert agent_replies.to_lacking({"lacking": ["b", "x"]}, "t", ["a", "b"]) == ["b"]
    assert agent_replies.to_damage({"wrong": {"My_Shop": ["gone"], "pip": []}}, "t", ["my-shop"]) == {
        "my-shop": ("gone",)
    }


def test_packages_that_lie_elsewhere_are_read() -> None:
    """None where there are none, and where an agent of an older version does not tell."""
    assert to_probe(TARGET, REPLY).stranded is None
    told = {"folder": "lib/python3.9\x1b[2J", "packages": 3}
    assert to_probe(TARGET, REPLY | {"stranded": told}).stranded == Stranded("lib/python3.9 [2J", 3)
    with pytest.raises(AgentError, match=f"^{re.escape(CANNOT)}'packages' must be a whole number"):
        to_probe(TARGET, REPLY | {"stranded": {"folder": "x", "packages": -1}})

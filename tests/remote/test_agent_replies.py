"""Answers of an agent: of the right shape and size, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from envfab.errors import AgentError
from envfab.remote import agent_replies

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
    assert str(caught.value) == f"t: invalid reply of the agent: {says}\n  check that this is the right host"


def test_only_what_was_asked_for_counts() -> None:
    """An agent that names other wheels, or other packages, is not heard there."""
    assert agent_replies.to_lacking({"lacking": ["b", "x"]}, "t", ["a", "b"]) == ["b"]
    assert agent_replies.to_damage({"wrong": {"My_Shop": ["gone"], "pip": []}}, "t", ["my-shop"]) == {
        "my-shop": ("gone",)
    }

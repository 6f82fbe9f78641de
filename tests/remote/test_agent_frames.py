"""Frames of the agent's protocol: of the right shape and size, or a sentence that says what is wrong."""

from __future__ import annotations

import json

import pytest

from envfab.models.probe import Holder
from envfab.remote import agent_frames
from envfab.remote.agent_frames import AgentReply, Alive, Failure, frame

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
    assert failure == Failure("locked", "m", "x" * agent_frames.MAX_OUTPUT, None, Holder("ada [2J", None, None))

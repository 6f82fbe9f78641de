"""Frames of the agent's protocol: one line each, decoded into a frozen type, bounded in size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from envfab.errors import AgentError
from envfab.models.probe import Holder
from envfab.remote.stream import LONGEST_LINE
from envfab.util.json_fields import Fields
from envfab.util.untrusted import one_line, parse_json

# bytes; the largest is a history, of which the agent sends no more than a quarter of this
MAX_FRAME = LONGEST_LINE
MAX_NAME = 200  # characters of a name or a version: file systems take 255 bytes for both
MAX_MESSAGE = 2_000
MAX_OUTPUT = 200_000  # characters; of more the end is kept


@dataclass(frozen=True, slots=True)
class AgentReply:
    """A request was met; what it brought."""

    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that could not be met; `kind` says which way, `output` is what a child printed, if one did."""

    kind: str
    message: str
    output: str
    errno: int | None
    holder: Holder | None


@dataclass(frozen=True, slots=True)
class Alive:
    """No answer yet: the agent is still at it."""


def frame(line: bytes) -> AgentReply | Failure | Alive:
    """One line of an agent's; raises `ValueError` where it is none."""
    fields = Fields.of(parse_json(line))
    if "problem" in fields.values:
        return _failure(fields.object("problem"))
    if "alive" in fields.values:
        return Alive()
    return AgentReply(fields.object("ok").values)


def _failure(problem: Fields) -> Failure:
    said = problem.text("message", MAX_FRAME)[-MAX_OUTPUT:]
    optional = Fields({"output": "", "errno": None, "holder": None, **problem.values})
    return Failure(
        problem.line("kind", MAX_NAME),
        said,
        optional.text("output", MAX_FRAME)[-MAX_OUTPUT:],
        optional.number_or_none("errno"),
        to_holder(optional.value("holder")),
    )


def to_holder(value: object) -> Holder | None:
    """Who is at work, out of a lock file that its owner may have written: what is not told is not known."""
    if value is None:
        return None
    said = value if isinstance(value, Mapping) else {}

    def known(name: str) -> str | None:
        text = said.get(name)
        return one_line(text)[:MAX_NAME] if isinstance(text, str) else None

    return Holder(known("who"), known("from"), known("since"), known("deployment"))


@contextmanager
def decoding(where: str) -> Iterator[None]:
    """Turn what is wrong with an answer into the error of its target."""
    try:
        yield
    except ValueError as error:
        raise AgentError(
            f"the agent's answer cannot be used: {error}", where=where, hint="is that host what it should be?"
        ) from None

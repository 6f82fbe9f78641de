"""Frames of the agent's protocol: one line each, decoded into a frozen type, bounded in size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from envfab.errors import AgentError
from envfab.models.probe import Drained, Holder
from envfab.remote.stream import LONGEST_LINE
from envfab.util.json_fields import Fields
from envfab.util.untrusted import one_line, parse_json

# bytes; the largest frame is a history, of which the agent sends at most a quarter of this
MAX_FRAME = LONGEST_LINE
MAX_NAME = 200  # characters of a name or a version: file systems take 255 bytes for both
MAX_MESSAGE = 2_000
MAX_OUTPUT = 200_000  # characters; of a longer output the end is kept


@dataclass(frozen=True, slots=True)
class AgentReply:
    """The reply to a request that succeeded."""

    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """The reply to a request that failed; `kind` is the kind of failure, `output` that of a command that failed."""

    kind: str
    message: str
    output: str
    errno: int | None
    holder: Holder | None


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life: the agent still works on the request."""


def frame(line: bytes) -> AgentReply | Failure | Alive:
    """Decode one line of the protocol; raises `ValueError` if it is not a valid frame."""
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
    """Decode the holder of a lock; fields that are missing or not text are None.

    The lock file's content may be anything, since the virtualenv's owner can write it.
    """
    return None if value is None else Holder(*_lines_of(value, "who", "from", "since", "deployment"))


def to_drained(value: object) -> Drained | None:
    """Decode the note that a host is out of service; what is missing or not text is None, as in `to_holder`."""
    return None if value is None else Drained(*_lines_of(value, "deployment", "who", "from", "since"))


def _lines_of(value: object, *names: str) -> list[str | None]:
    said = value if isinstance(value, Mapping) else {}
    texts = [said.get(name) for name in names]
    return [one_line(text)[:MAX_NAME] if isinstance(text, str) else None for text in texts]


@contextmanager
def decoding(where: str) -> Iterator[None]:
    """Turn a `ValueError` about a reply into an `AgentError` of the target `where`."""
    try:
        yield
    except ValueError as error:
        raise AgentError(
            f"invalid reply of the agent: {error}", where=where, hint="check that this is the right host"
        ) from None

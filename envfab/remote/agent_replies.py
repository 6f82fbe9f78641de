"""Decoding of agents' replies: each becomes a frozen type, with bounded sizes, or an error of its target.

A host may be hostile, and a virtualenv's owner can write anything into `.envfab`, so types and sizes are checked.
Every function that decodes a reply raises `AgentError` with `where` if the reply is invalid.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.tags import Tag
from packaging.utils import NormalizedName, canonicalize_name

from envfab.models.probe import LingeringProcess
from envfab.remote.agent_frames import MAX_FRAME, MAX_NAME, MAX_OUTPUT, decoding
from envfab.util.json_fields import Fields

MAX_TAGS = 10_000  # pip supports 1,500 on a recent Linux, and 3,000 on a recent macOS
MAX_RECORDS = 10_000
MAX_GENERATIONS = 10_000
MAX_PROCESSES = 1_000
MAX_GENERATION = 1 << 53  # the integers that every JSON reader represents exactly
MAX_PATH = 4_096
SHA256 = re.compile("[0-9a-f]{64}")


def to_generation_number(value: object) -> int | None:
    """Check a generation's number, or None; raises `ValueError` for anything but a small integer from 0."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_GENERATION:
        raise ValueError(f"{str(value)[:MAX_NAME]!r} is not the number of a generation")
    return value


def to_digest(value: object) -> str:
    """Check a SHA-256 in hex; raises `ValueError` for anything else."""
    if not isinstance(value, str) or not SHA256.fullmatch(value):
        raise ValueError(f"{str(value)[:MAX_NAME]!r} is not a SHA-256 in hex")
    return value


def to_generation_digest(reply: Mapping[str, Any], where: str) -> str | None:
    """Decode the digest of the current generation; None if it is not known."""
    with decoding(where):
        said = Fields({"digest": None, **reply}).value("digest")
        return None if said is None else to_digest(said)


def to_processes(value: object) -> tuple[LingeringProcess, ...]:
    return tuple(
        LingeringProcess(one.number("pid"), one.number("started"), one.line("name", MAX_NAME))
        for one in Fields({"processes": value}).objects("processes", MAX_PROCESSES)
    )


def to_lingering(reply: Mapping[str, Any], where: str) -> tuple[LingeringProcess, ...]:
    """Decode the processes that still run the previous generation."""
    with decoding(where):
        return to_processes(Fields(reply).value("lingering"))


def to_conflicts(reply: Mapping[str, Any], where: str, key: str = "conflicts") -> tuple[tuple[str, str, str], ...]:
    """Decode (file, distribution that had it, distribution that has it now) for each file that changed its owner.

    With the key `lost`: (file, distribution that should have it, distribution that had it and goes).
    """
    with decoding(where):
        found = [Fields({"c": one}).lines("c", 3, MAX_PATH) for one in Fields(reply).items(key, MAX_PROCESSES)]
        if any(len(one) != 3 for one in found):
            raise ValueError("a conflict must be a path and two names")
    return tuple((path, before, now) for path, before, now in found)


def to_left(reply: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Decode the paths of the folders that could not be removed."""
    with decoding(where):
        return Fields(reply).lines("left", longest=MAX_PATH)


def to_whole(reply: Mapping[str, Any], where: str, asked: Iterable[int], key: str = "whole") -> frozenset[int]:
    """Decode which of the generations that were `asked` about are unchanged; or `unrecorded`: nothing tells."""
    with decoding(where):
        said = {to_generation_number(one) for one in Fields(reply).items(key, MAX_GENERATIONS)}
    return frozenset(number for number in asked if number in said)


def to_tags(reply: Mapping[str, Any], where: str) -> tuple[Tag, ...]:
    """Decode an interpreter's tags, most preferred first."""
    with decoding(where):
        return tuple(map(parse_tag, Fields(reply).lines("tags", MAX_TAGS, MAX_NAME)))


def parse_tag(text: str) -> Tag:
    """Parse a single tag (PEP 425), such as `cp311-cp311-manylinux_2_17_x86_64`; raises `ValueError`."""
    parts = text.split("-", 2)
    if len(parts) < 3:
        raise ValueError(f"{text!r} is not a tag of an interpreter")
    return Tag(*parts)


def to_records(reply: Mapping[str, Any], where: str) -> list[Any]:
    """Decode a history's records, oldest first, each of which `journal.from_json` can read."""
    with decoding(where):
        return Fields(reply).items("records", MAX_RECORDS)


def to_lacking(reply: Mapping[str, Any], where: str, asked: Iterable[str]) -> list[str]:
    """Decode which of the digests that were `asked` about are not in the host's store."""
    with decoding(where):
        said = frozenset(Fields(reply).texts("lacking"))
    return [digest for digest in asked if digest in said]


def to_interpreter(reply: Mapping[str, Any], where: str) -> str:
    """Decode an interpreter's cache tag and magic number (PEP 3147), such as `cpython-311-a70d0d0a`."""
    with decoding(where):
        return Fields(reply).line("interpreter", MAX_NAME)


@dataclass(frozen=True, slots=True)
class Room:
    """What is free on the file system of a folder: bytes and inodes, None where it does not tell.

    `plain` says that files take up what they are long: the file system surely does not compress them.
    """

    folder: str
    device: str
    free: int | None
    inodes: int | None
    plain: bool


def to_rooms(reply: Mapping[str, Any], where: str) -> tuple[Room, Room]:
    """(the room for the owner's store, the room for the virtualenv)."""
    with decoding(where):
        return _room(Fields(reply).object("store")), _room(Fields(reply).object("virtualenv"))


def _room(fields: Fields) -> Room:
    return Room(
        fields.line("folder", MAX_PATH),
        fields.line("device", MAX_NAME),
        fields.number_or_none("free"),
        fields.number_or_none("inodes"),
        fields.truth("plain"),
    )


@dataclass(frozen=True, slots=True)
class StoreSize:
    """How many unpacked wheels a store has, and their bytes."""

    wheels: int
    size: int


def to_store_size(reply: Mapping[str, Any], where: str) -> StoreSize:
    """The size of a store."""
    with decoding(where):
        fields = Fields(reply)
        return StoreSize(fields.number("wheels"), fields.number("bytes"))


def to_packed(reply: Mapping[str, Any], where: str) -> str | None:
    """Decode the path of the archive with a wheel's bytecode; None if the interpreter is of another kind."""
    with decoding(where):
        return Fields(reply).line_or_none("packed", MAX_PATH)


def to_damage(reply: Mapping[str, Any], where: str, asked: Iterable[str]) -> dict[NormalizedName, tuple[str, ...]]:
    """Decode what is wrong with the files of the distributions that were `asked` about, by canonical name."""
    with decoding(where):
        wrong = Fields(reply).object("wrong")
        if any(len(name) > MAX_NAME for name in wrong.values):
            raise ValueError(f"a name has more than {MAX_NAME} characters")
        said = {canonicalize_name(name): wrong.lines(name, longest=MAX_PATH * 2) for name in wrong.values}
    return {name: said[name] for name in map(canonicalize_name, asked) if name in said}


def to_output(reply: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Decode (the output of a command that succeeded, the same as it may be shown)."""
    with decoding(where):
        fields = Fields({"shown": None, **reply})
        output, shown = fields.text("output", MAX_FRAME), fields.text_or_none("shown", MAX_FRAME)
    return output[-MAX_OUTPUT:], (output if shown is None else shown)[-MAX_OUTPUT:]


def to_creation(reply: Mapping[str, Any], where: str) -> tuple[str | None, str | None, bool]:
    """Decode (what made a virtualenv, the version of its Python, whether it was repaired).

    The first two are None if the virtualenv existed and was sound.
    """
    with decoding(where):
        fields = Fields({"repaired": False, **reply})
        return fields.line_or_none("with", MAX_NAME), fields.line_or_none("version", MAX_NAME), fields.truth("repaired")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The result of cleaning a store: how many wheels were removed, their size, and the size of the rest, in bytes."""

    removed: int
    freed: int
    left: int


def to_cleaned(reply: Mapping[str, Any], where: str) -> Cleaned:
    """Decode the result of cleaning a store."""
    with decoding(where):
        fields = Fields(reply)
        return Cleaned(fields.number("removed"), fields.number("freed"), fields.number("left"))


def to_released(reply: Mapping[str, Any], where: str) -> bool:
    """Decode whether a virtualenv that was released had generations."""
    with decoding(where):
        return Fields(reply).line("was", MAX_NAME) == "generations"


@dataclass(frozen=True, slots=True)
class Discovered:
    """A virtualenv found on a host."""

    path: str
    owner: str
    python: str
    system_site_packages: bool


def to_discovered(reply: Mapping[str, Any], where: str) -> tuple[tuple[Discovered, ...], tuple[str, ...], int]:
    """Decode (a host's virtualenvs, the folders that were searched, how many folders in them could not be read)."""
    with decoding(where):
        fields = Fields(reply)
        found = tuple(
            Discovered(
                entry.line("path", MAX_PATH),
                entry.line("owner", MAX_NAME),
                entry.line("python", MAX_PATH),
                entry.truth("system_site_packages"),
            )
            for entry in fields.objects("found")
        )
        return found, fields.lines("looked_in", longest=MAX_PATH), fields.number("unread")


@dataclass(frozen=True, slots=True)
class ReleaseCheck:
    """What a host says of signatures: why each of the wheels that it `refused` (by SHA-256) does not count.

    `unable` is why it cannot check any, `own` the path of its own allowed signers, if it has them.
    """

    refused: Mapping[str, str]
    unable: str | None
    own: str | None


def to_release_check(reply: Mapping[str, Any], where: str, asked: Collection[str]) -> ReleaseCheck:
    """Decode what a host says of the signatures of the wheels that it was `asked` about."""
    with decoding(where):
        fields = Fields(reply)
        refused = {}
        for one in fields.items("refused", len(asked)):
            sha256, why = Fields({"r": one}).lines("r", 2)
            if sha256 not in asked:
                raise ValueError("it refuses a wheel that it was not asked about")
            refused[sha256] = why
        return ReleaseCheck(refused, fields.line_or_none("unable"), fields.line_or_none("own", MAX_PATH))

"""What an agent says, decoded: each answer into a frozen type, bounded, or the one error of its target.

A host may be hostile, and what lies in `.envfab` its owner may have written: nothing of it is believed to have a
shape or a size before it was seen to have it. Each function of an answer raises `AgentError` with `where`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from packaging.tags import Tag
from packaging.utils import NormalizedName, canonicalize_name

from envfab.config.target import Target
from envfab.errors import AgentError, Unusable
from envfab.models.distribution import Distribution, Origin
from envfab.models.interpreter import MARKER_NAMES, Interpreter
from envfab.models.probe import Holder, LingeringProcess, Probe, Stranded
from envfab.remote.stream import LONGEST_LINE
from envfab.util.json_fields import Fields
from envfab.util.untrusted import one_line, parse_json
from envfab.util.versions import version_or_none

# bytes; the largest is a history, of which the agent sends no more than a quarter of this
MAX_FRAME = LONGEST_LINE
MAX_DISTRIBUTIONS = 10_000
MAX_REQUIRES = 2_000  # of one distribution: some name hundreds
MAX_ALL_REQUIRES = 50_000
MAX_TAGS = 10_000  # pip knows 1,500 on a new Linux, and 3,000 on a new macOS
MAX_RECORDS = 10_000
MAX_GENERATIONS = 10_000
MAX_PROCESSES = 1_000
MAX_GENERATION = 1 << 53  # what JSON carries as a whole number everywhere
MAX_NAME = 200  # characters of a name or a version: file systems take 255 bytes for both
MAX_PATH = 4_096
MAX_MESSAGE = 2_000
MAX_OUTPUT = 200_000  # characters; of more the end is kept

_ORIGINS = {origin.value: origin for origin in Origin}


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
        _holder(optional.value("holder")),
    )


@contextmanager
def _decoding(where: str) -> Iterator[None]:
    """Turn what is wrong with an answer into the error of its target."""
    try:
        yield
    except ValueError as error:
        raise AgentError(
            f"the agent's answer cannot be used: {error}", where=where, hint="is that host what it should be?"
        ) from None


def to_probe(target: Target, reply: object) -> Probe:
    """A reply as a `Probe`; raises `Unusable` where the interpreter's version is none."""
    with _decoding(str(target)):
        fields = Fields.of(reply)
        said = fields.line("version", MAX_NAME)
        version = version_or_none(said.rstrip("+"))
        if version is None:
            raise Unusable(f"its interpreter says it is Python {said!r}", where=str(target))
        own, duplicates = _by_name(fields.objects("own", MAX_DISTRIBUTIONS), None)
        outside, _ = _by_name(fields.objects("outside", MAX_DISTRIBUTIONS), Origin.OUTSIDE)
        markers = fields.object("markers")
        holder = _holder(fields.value("holder"))
        return Probe(
            target=target,
            interpreter=Interpreter(
                version,
                fields.line("implementation", MAX_NAME),
                {name: markers.line(name, MAX_MESSAGE) for name in MARKER_NAMES},
            ),
            distributions=own,
            outside={name: found for name, found in outside.items() if name not in own},
            leftovers=(
                *fields.lines("leftovers", longest=MAX_NAME * 2),
                *fields.lines("damaged", longest=MAX_NAME * 2),
            ),
            duplicates=duplicates,
            journal=fields.value("journal") if holder is None else None,
            stranded=_stranded(fields),
            under_way=fields.value("journal") if holder is not None else None,
            holder=holder,
            fingerprint=fields.line("stamp", MAX_NAME),
            last=fields.value("last"),
            node=fields.line("node", MAX_NAME * 2),
            generation=_generation(fields.value("generation")),
            generations=tuple(_generation(one) or 0 for one in fields.items("generations", MAX_GENERATIONS)),
            plain=fields.truth("plain"),
            lingering=_processes(fields.value("lingering")),
        )


def _generation(value: object) -> int | None:
    """The number of a generation; raises `ValueError` for what the agent does not number them with."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_GENERATION:
        raise ValueError(f"{str(value)[:MAX_NAME]!r} is not the number of a generation")
    return value


def _processes(value: object) -> tuple[LingeringProcess, ...]:
    return tuple(
        LingeringProcess(one.number("pid"), one.number("started"), one.line("name", MAX_NAME))
        for one in Fields({"processes": value}).objects("processes", MAX_PROCESSES)
    )


def to_lingering(reply: Mapping[str, Any], where: str) -> tuple[LingeringProcess, ...]:
    """The processes that still run the generation before."""
    with _decoding(where):
        return _processes(Fields(reply).value("lingering"))


def to_conflicts(reply: Mapping[str, Any], where: str) -> tuple[tuple[str, str, str], ...]:
    """(a file, the distribution whose it was, that whose it is now) of a new generation, where the two differ."""
    with _decoding(where):
        found = [Fields({"c": one}).lines("c", 3, MAX_PATH) for one in Fields(reply).items("conflicts", MAX_PROCESSES)]
        if any(len(one) != 3 for one in found):
            raise ValueError("a conflict is a path and two names")
    return tuple((path, before, now) for path, before, now in found)


def to_left(reply: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The folders that could not be removed."""
    with _decoding(where):
        return Fields(reply).lines("left", longest=MAX_PATH)


def to_generation(reply: object, before: Probe) -> Probe:
    """A virtualenv as a new generation of it shows it; what the generation has no part in is as it was `before`."""
    with _decoding(str(before.target)):
        fields = Fields.of(reply)
        own, duplicates = _by_name(fields.objects("own", MAX_DISTRIBUTIONS), None)
        outside, _ = _by_name(fields.objects("outside", MAX_DISTRIBUTIONS), Origin.OUTSIDE)
        return replace(
            before,
            distributions=own,
            outside={name: found for name, found in outside.items() if name not in own},
            leftovers=(
                *fields.lines("leftovers", longest=MAX_NAME * 2),
                *fields.lines("damaged", longest=MAX_NAME * 2),
            ),
            duplicates=duplicates,
        )


def to_whole(reply: Mapping[str, Any], where: str, asked: Iterable[int]) -> frozenset[int]:
    """Which of the generations that were `asked` for are as they were left."""
    with _decoding(where):
        said = {_generation(one) for one in Fields(reply).items("whole", MAX_GENERATIONS)}
    return frozenset(number for number in asked if number in said)


def _stranded(fields: Fields) -> Stranded | None:
    said = Fields({"stranded": None, **fields.values}).object_or_none("stranded")
    return None if said is None else Stranded(said.line("folder", MAX_PATH), said.number("packages"))


def _by_name(
    entries: Sequence[Fields], origin: Origin | None
) -> tuple[dict[NormalizedName, Distribution], tuple[str, ...]]:
    """(distributions by canonical name, the names that are there twice); the first on the import path counts."""
    found: dict[NormalizedName, Distribution] = {}
    twice, requirements = [], 0
    for entry in entries:
        requires = entry.lines("requires", MAX_REQUIRES)
        requirements += len(requires)
        if requirements > MAX_ALL_REQUIRES:
            raise ValueError(f"all that is installed has more than {MAX_ALL_REQUIRES} requirements")
        distribution = Distribution.build(
            entry.line("name", MAX_NAME),
            entry.line("version", MAX_NAME),
            requires,
            entry.lines("extras", MAX_REQUIRES, MAX_NAME),
            origin or _origin(entry),
            entry.line_or_none("requires_python", MAX_NAME * 2),
        )
        if distribution.name in found:
            twice.append(distribution.shown_as)
        else:
            found[distribution.name] = distribution
    return found, tuple(twice)


def _origin(entry: Fields) -> Origin:
    said = entry.line("origin", MAX_NAME)
    if said not in _ORIGINS:
        raise ValueError(f"'origin' is {said!r}, which is not known")
    return _ORIGINS[said]


def _holder(value: object) -> Holder | None:
    """Who is at work, out of a lock file that its owner may have written: what is not told is not known."""
    if value is None:
        return None
    said = value if isinstance(value, Mapping) else {}

    def known(name: str) -> str | None:
        text = said.get(name)
        return one_line(text)[:MAX_NAME] if isinstance(text, str) else None

    return Holder(known("who"), known("from"), known("since"), known("deployment"))


def to_tags(reply: Mapping[str, Any], where: str) -> tuple[Tag, ...]:
    """The tags of an interpreter, most preferred first."""
    with _decoding(where):
        return tuple(map(parse_tag, Fields(reply).lines("tags", MAX_TAGS, MAX_NAME)))


def parse_tag(text: str) -> Tag:
    """A tag as pip writes it: `cp311-cp311-manylinux_2_17_x86_64`; raises `ValueError`."""
    parts = text.split("-", 2)
    if len(parts) < 3:
        raise ValueError(f"{text!r} is not a tag of an interpreter")
    return Tag(*parts)


def to_locked(reply: Mapping[str, Any], target: Target) -> Probe | None:
    """Under the lock: the virtualenv as it is now, or None where it is as it was."""
    with _decoding(str(target)):
        probe = Fields(reply).value("probe")
    return None if probe is None else to_probe(target, probe)


def to_records(reply: Mapping[str, Any], where: str) -> list[Any]:
    """The records of a history, oldest first, each for `history.from_json` to read."""
    with _decoding(where):
        return Fields(reply).items("records", MAX_RECORDS)


def to_lacking(reply: Mapping[str, Any], where: str, asked: Iterable[str]) -> list[str]:
    """Which of the digests that were `asked` for are not in the host's cache."""
    with _decoding(where):
        said = frozenset(Fields(reply).texts("lacking"))
    return [digest for digest in asked if digest in said]


def to_interpreter(reply: Mapping[str, Any], where: str) -> str:
    """What bytecode hangs on: an interpreter's cache tag and magic number (PEP 3147), `cpython-311-a70d0d0a`."""
    with _decoding(where):
        return Fields(reply).line("interpreter", MAX_NAME)


def to_packed(reply: Mapping[str, Any], where: str) -> str | None:
    """The file with the bytecode of a wheel; None where the interpreter is of another kind."""
    with _decoding(where):
        return Fields(reply).line_or_none("packed", MAX_PATH)


def to_damage(reply: Mapping[str, Any], where: str, asked: Iterable[str]) -> dict[NormalizedName, tuple[str, ...]]:
    """What is wrong with the files of the distributions that were `asked` for, by canonical name."""
    with _decoding(where):
        wrong = Fields(reply).object("wrong")
        if any(len(name) > MAX_NAME for name in wrong.values):
            raise ValueError(f"a name has more than {MAX_NAME} characters")
        said = {canonicalize_name(name): wrong.lines(name, longest=MAX_PATH * 2) for name in wrong.values}
    return {name: said[name] for name in map(canonicalize_name, asked) if name in said}


def to_output(reply: Mapping[str, Any], where: str) -> str:
    """What a child printed that ended well."""
    with _decoding(where):
        return Fields(reply).text("output", MAX_FRAME)[-MAX_OUTPUT:]


def to_creation(reply: Mapping[str, Any], where: str) -> tuple[str | None, str | None]:
    """(what made a virtualenv, the version of its Python); None and None where it is there already."""
    with _decoding(where):
        fields = Fields(reply)
        return fields.line_or_none("with", MAX_NAME), fields.line_or_none("version", MAX_NAME)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How many trees of a store went, the bytes that they took, and the bytes of those that are left."""

    removed: int
    freed: int
    left: int


def to_cleaned(reply: Mapping[str, Any], where: str) -> Cleaned:
    """What became of a store."""
    with _decoding(where):
        fields = Fields(reply)
        return Cleaned(fields.number("removed"), fields.number("freed"), fields.number("left"))


def to_released(reply: Mapping[str, Any], where: str) -> bool:
    """Whether a virtualenv that was released had generations."""
    with _decoding(where):
        return Fields(reply).line("was", MAX_NAME) == "generations"


@dataclass(frozen=True, slots=True)
class Discovered:
    """A virtualenv that is there, whoever made it."""

    path: str
    owner: str
    python: str
    system_site_packages: bool


def to_discovered(reply: Mapping[str, Any], where: str) -> tuple[tuple[Discovered, ...], tuple[str, ...], int]:
    """(the virtualenvs of a host, the folders that were looked in, how many below could not be read)."""
    with _decoding(where):
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

"""The distinct interpreters among targets, and the file that carries them to another machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.tags import parse_tag

from envfab.errors import FormatError, SupplyError
from envfab.models.interpreter import Interpreter
from envfab.models.wheel import count_tags
from envfab.util.untrusted import parse_json
from envfab.util.versions import parse_version, shortened

FORMAT = 1
# CPython on macOS supports some 1,500
MOST_TAGS = 20_000
# a kernel's name and build differ between hosts that are alike in all else
_OF_THE_KERNEL = frozenset({"platform_release", "platform_version"})


@dataclass(frozen=True, slots=True)
class InterpreterKind:
    """An interpreter, its tags known, and the targets that have it."""

    interpreter: Interpreter
    targets: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """As files are named after it: `cp311-linux_x86_64`."""
        markers = self.interpreter.markers
        return f"{self._python()}-{markers['sys_platform']}_{markers['platform_machine']}"

    @property
    def full_label(self) -> str:
        """With all that tells it from its like: `cp3_11_7-manylinux_2_36_x86_64`."""
        tags = self.interpreter.tags or ()
        return f"{str(self.interpreter.version).replace('.', '_')}-{tags[0].platform if tags else 'any'}"

    def _python(self) -> str:
        release = self.interpreter.version.release
        short = {"CPython": "cp", "PyPy": "pp"}.get(self.interpreter.implementation, "py")
        return f"{short}{release[0]}{release[1]}"


def kinds(found: Iterable[tuple[str, Interpreter]]) -> list[InterpreterKind]:
    """The distinct interpreters among (target, interpreter), in the order of each one's first."""
    groups: dict[object, tuple[Interpreter, list[str]]] = {}
    for target, interpreter in found:
        groups.setdefault(_key(interpreter), (interpreter, []))[1].append(target)
    return [InterpreterKind(interpreter, tuple(targets)) for interpreter, targets in groups.values()]


def same(one: Interpreter, other: Interpreter) -> bool:
    """Whether the two are alike in all that a choice of wheels depends on."""
    return _key(one)[:-1] == _key(other)[:-1] and frozenset(one.tags or ()) == frozenset(other.tags or ())


def _key(interpreter: Interpreter) -> tuple[object, ...]:
    markers = {key: value for key, value in interpreter.markers.items() if key not in _OF_THE_KERNEL | {"extra"}}
    return interpreter.implementation, interpreter.version, frozenset(markers.items()), interpreter.tags


def to_json(found: Iterable[InterpreterKind]) -> dict[str, Any]:
    """What `fab targets --export` writes; `from_json` reads it."""
    return {
        "format": FORMAT,
        "interpreters": [
            {
                "targets": list(kind.targets),
                "implementation": kind.interpreter.implementation,
                "version": str(kind.interpreter.version),
                "markers": dict(kind.interpreter.markers),
                "tags": [str(tag) for tag in kind.interpreter.tags or ()],
            }
            for kind in found
        ],
    }


def from_json(text: str, where: str) -> list[InterpreterKind]:
    """The interpreters that another machine wrote down; raises `FormatError` and `SupplyError`."""
    try:
        document = parse_json(text)
        if document["format"] != FORMAT:
            raise FormatError(
                f"it is of format {shortened(repr(document['format']), 20)}; this envfab reads {FORMAT}",
                where=where,
                hint="write it again with `fab targets --export`, or use a newer envfab",
            )
        found = [_kind(one) for one in document["interpreters"]]
        if not found:
            raise ValueError("there is none in it")
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = shortened(f"{error} is missing" if isinstance(error, KeyError) else str(error), 200)
        raise SupplyError(
            f"no interpreters can be read from it: {problem}", where=where, hint="`fab targets --export FILE` writes it"
        ) from None


def _kind(one: Mapping[str, Any]) -> InterpreterKind:
    if sum(count_tags(text.split("-")) for text in one["tags"]) > MOST_TAGS:
        raise ValueError(f"an interpreter has more than {MOST_TAGS:,} tags")
    tags = tuple(tag for text in one["tags"] for tag in sorted(parse_tag(text), key=str))
    markers = {str(key): str(value) for key, value in one["markers"].items()}
    return InterpreterKind(
        Interpreter(parse_version(one["version"]), str(one["implementation"]), markers, tags), tuple(one["targets"])
    )

"""The grammar of Fabric 1's task arguments, and a description of what tokens can call (`Shapes`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envfab.errors import UsageError

KEYWORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
UNSET = "is a shell variable unset?"


def split_arguments(token: str) -> tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]:
    r"""Split `task:word,key=value` into the task, the positional words, and the keywords with their values.

    The first colon splits, commas separate, `\,` and `\=` are plain characters. A keyword is spelled like
    an argument's name, so `host:/a=b` and `shop==2.1` are words. Raises `UsageError` for an empty word or value.
    """
    task, _, text = token.partition(":")
    words: list[str] = []
    keywords: list[tuple[str, str]] = []
    for piece in _split(text, ","):
        key, equals, value = _partition(piece, "=")
        if equals and KEYWORD.fullmatch(key) and not value.startswith("="):
            if not value:
                raise UsageError(f"{key}= has no value", where=repr(token), hint=UNSET)
            keywords.append((key, _plain(value)))
        elif not piece.strip():
            raise UsageError("the name is empty", where=repr(token), hint=UNSET)
        else:
            words.append(_plain(piece))
    return task, tuple(words), tuple(keywords)


def _split(text: str, separator: str) -> list[str]:
    return re.split(rf"(?<!\\){separator}", text)


def _partition(text: str, separator: str) -> tuple[str, str, str]:
    parts = re.split(rf"(?<!\\){separator}", text, maxsplit=1)
    return (parts[0], separator, parts[1]) if len(parts) == 2 else (text, "", "")


def _plain(text: str) -> str:
    return text.replace(r"\,", ",").replace(r"\=", "=")


@dataclass(frozen=True, slots=True, eq=False)
class Flag:
    """An argument as the parser sees it; `name` is its long spelling without dashes."""

    name: str
    kind: type = str
    optional: bool = False
    required_positional: bool = False
    default: Any = None

    @property
    def spelling(self) -> str:
        """As it is typed."""
        return f"--{self.name}" if len(self.name) > 1 else f"-{self.name}"

    @property
    def takes_value(self) -> bool:
        """Whether the next token may be its value."""
        return self.kind is not bool


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What the parser knows of a task (or of the program itself, named ""): every spelling of every flag.

    `ours` tells whether Fabric 1's spelling is understood; `words` is the flag that positional words give,
    and `trailing` whether bare tokens after the task are such words too.
    """

    name: str
    flags: Mapping[str, Flag] = field(default_factory=dict)
    inverse: Mapping[str, Flag] = field(default_factory=dict)
    ours: bool = False
    words: str | None = None
    trailing: bool = False

    def positionals(self) -> list[Flag]:
        """The arguments that take a bare token as long as they have no value, in order."""
        return [flag for flag in dict.fromkeys(self.flags.values()) if flag.required_positional]

    def argument(self, keyword: str) -> Flag | None:
        """The flag that `keyword=` names; dashes and underscores are the same."""
        return next((flag for flag in self.flags.values() if flag.name == dashed(keyword)), None)


@dataclass(frozen=True, slots=True)
class Shapes:
    """All that tokens can mean: the program's own flags, and the tasks by every name they have.

    `left_out` are the tasks that the fabfile defines and its namespace does not have, by their variables.
    """

    core: Shape
    tasks: Mapping[str, Shape]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Shape | None:
        """The task that `name` means; dashes and underscores are the same for ours."""
        if name in self.tasks:
            return self.tasks[name]
        return next((shape for key, shape in self.tasks.items() if shape.ours and dashed(key) == dashed(name)), None)

    def named(self, token: str) -> tuple[str, Shape] | None:
        """The task that `token` calls, as it is spelled in the collection."""
        if token in self.tasks:
            return token, self.tasks[token]
        part = token.partition(":")[0]
        shape = self.find(part)
        if shape is None or not shape.ours:
            return None
        return next(key for key, one in self.tasks.items() if one is shape and dashed(key) == dashed(part)), shape


def dashed(name: str) -> str:
    """A name as Fabric spells it on the command line."""
    return name.replace("_", "-")

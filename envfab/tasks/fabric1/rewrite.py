"""Rewriting of a command line's tokens: calls of envfab's tasks get flags instead of Fabric 1's arguments.

Pure functions of the tokens and a description of what can be called; `task` gets both from Fabric.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envfab.errors import UsageError
from envfab.tasks.fabric1.tokens import UNSET, Flag, Shape, Shapes, dashed, split_arguments

TRUE = ("true", "yes", "1")
FALSE = ("false", "no", "0")
# Fabric 1's own arguments of every task, and how envfab's names for the same begin.
FABRIC_1 = {"host": "", "hosts": "", "role": "%", "roles": "%"}


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Tokens that Fabric understands, which of envfab's tasks they call, and which other tasks."""

    tokens: tuple[str, ...]
    called: tuple[str, ...]
    others: tuple[str, ...] = ()


def rewrite(tokens: Sequence[str], shapes: Shapes) -> Rewritten:
    """Rewrite every call of envfab's tasks to flags; nothing else changes.

    Raises `UsageError` for mistakes, also for some that Invoke does not notice: it would drop a list's flag without a
    value (`--name $HOST --yes`, HOST unset), which then selects everything.
    """
    walk = _Walk(shapes)
    for token in tokens:
        walk.take(token)
    walk.end_call()
    return Rewritten(tuple(walk.out), tuple(walk.called), tuple(walk.others))


def for_completion(tokens: Sequence[str], shapes: Shapes) -> list[str]:
    """Return a command line for completion, with calls of envfab's tasks but without their bare arguments.

    A shell that splits words at colons, as bash does, makes three tokens of `deploy:web1`.
    """
    kept = []
    in_our_call = False
    for token in tokens[:-1]:
        named = shapes.named(token)
        if named:
            in_our_call = named[1].ours
        if named or not in_our_call or token.startswith("-"):
            kept.append(named[0] if named else token)
    return [*kept, *tokens[-1:]]


class _Walk:
    """Goes along the tokens as Invoke's parser will, so as to know what each of them is to it."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        self.shape = shapes.core
        self.flag: Flag | None = None
        self.flag_has_value = True
        self.flag_place = 0
        self.valued: set[Flag] = set()
        self.call: _Call | None = None
        self.out: list[str] = []
        self.called: list[str] = []
        self.others: list[str] = []

    def take(self, token: str) -> None:
        """One token of the command line, in the pieces that Invoke splits it into."""
        pieces = [token]
        self.out.append(token)
        while pieces:
            piece = pieces.pop(0)
            head, rest = self._apart(piece)
            if rest and not self._waits_for(head):
                pieces[:0] = rest
                self._see(head, whole=False)
            else:
                self._see(piece, whole=piece is token)

    def _apart(self, piece: str) -> tuple[str, list[str]]:
        """`--a=b` and `-ab` as Invoke splits them, where it does."""
        if not piece.startswith("-"):
            return piece, []
        if "=" in piece:
            head, _, value = piece.partition("=")
            return head, [value]
        if not piece.startswith("--") and len(piece) > 2:
            head, rest = piece[:2], piece[2:]
            known = self.shape.flags.get(head)
            return head, [rest] if known and known.takes_value else [f"-{letter}" for letter in rest]
        return piece, []

    def _waits_for(self, head: str) -> bool:
        """Whether the flag before wants the token as it stands."""
        return self._waiting() and not (self.flag is not None and self.flag.optional and head in self.shape.flags)

    def _waiting(self) -> bool:
        if self.flag is None or not self.flag.takes_value:
            return False
        if self.flag.kind is list:
            return not self.flag_has_value
        return self.flag not in self.valued

    def _see(self, piece: str, *, whole: bool) -> None:
        """The order of these questions is that of Invoke's `ParseMachine.handle`."""
        if piece in self.shape.flags:
            self._switch(self.shape.flags[piece], True)
        elif piece in self.shape.inverse:
            self._switch(self.shape.inverse[piece], False)
        elif self._waiting():
            self._value(piece)
        elif missing := self._missing():
            self._note(missing[0], piece)
        elif whole and (named := self.shapes.named(piece)):
            self.out[-1] = named[0]
            self._start_call(piece, *named)
        elif piece in self.shapes.tasks:
            # Invoke takes the value of a flag that had one already (`--a=x --a=deploy`) for a task.
            self._start_call(piece, piece, self.shapes.tasks[piece])
        elif piece in self.shapes.core.flags:
            if self.shapes.core.flags[piece].name != "help":
                self._switch(self.shapes.core.flags[piece], True)
        elif whole and dashed(piece) in self.shapes.left_out:
            hint = f"put it in: ns.add_task({self.shapes.left_out[dashed(piece)]})"
            raise UsageError(f"{piece!r} is a task of the fabfile that its namespace `ns` does not have", hint=hint)
        elif whole and self.call is None and (called := self._in_a_namespace(piece)):
            raise UsageError(f"{piece!r} is in a namespace of the fabfile", hint=f"fab {called}")
        elif whole and self.shape.words and not piece.startswith("-"):
            self._bare_word(piece)

    def _in_a_namespace(self, piece: str) -> str:
        """Return how to call one of envfab's tasks that was typed without its namespace; empty for other words."""
        name, colon, arguments = piece.partition(":")
        for full, shape in self.shapes.tasks.items():
            if shape.ours and "." in full and dashed(full).rpartition(".")[2] == dashed(name):
                return f"{full.replace('-', '_')}{colon}{arguments}"
        return ""

    def _missing(self) -> list[Flag]:
        given = self.call.given if self.call else {}
        return [flag for flag in self.shape.positionals() if flag not in self.valued and flag not in given]

    def _switch(self, flag: Flag, on: bool) -> None:
        self._complete_flag()
        self.flag = flag
        self.flag_has_value = False
        self.flag_place = len(self.out) - 1
        if not flag.takes_value:
            self._note(flag, on)
        elif self.call is not None and flag.kind is not list and flag in self.call.flags:
            raise UsageError(f"{flag.spelling} is given twice", where=repr(self.call.typed))

    def _value(self, value: str) -> None:
        assert self.flag is not None
        self.flag_has_value = True
        self._note(self.flag, value)

    def _note(self, flag: Flag, value: str | bool) -> None:
        self.valued.add(flag)
        if self.call is not None and flag in self.shape.flags.values():
            self.call.explicit(flag, value)

    def _complete_flag(self) -> None:
        """Require a value for a flag that takes one: for lists, Invoke does not notice that it is missing."""
        flag = self.flag
        if flag is not None and flag.optional:
            self.valued.add(flag)
        if self.call is None or flag is None or flag not in self.shape.flags.values():
            return
        if not flag.takes_value or self.flag_has_value:
            return
        if not flag.optional:
            raise UsageError(f"{flag.spelling} needs a value", where=repr(self.call.typed), hint=UNSET)
        if flag.kind is list:
            # Invoke drops a list's flag without a value, also where it may stand alone.
            self.out[self.flag_place] = f"{flag.spelling}={TRUE[0]}"
            self.call.explicit(flag, TRUE[0])
            self.flag_has_value = True

    def _start_call(self, token: str, name: str, shape: Shape) -> None:
        self.end_call()
        self.shape = shape
        self.valued.intersection_update(self.shapes.core.flags.values())
        self.flag = None
        if shape.ours:
            self.called.append(name)
            self.call = _Call(shape, token, len(self.out))
        else:
            self.others.append(name)

    def end_call(self) -> None:
        """End the current task's call: insert the flags for its colon arguments."""
        self._complete_flag()
        if self.call is not None:
            self.out[self.call.place : self.call.place] = self.call.tokens()
        self.call = None

    def _bare_word(self, word: str) -> None:
        assert self.call is not None
        if not word.strip():
            raise UsageError("the name is empty", where=repr(self.call.typed), hint=UNSET)
        if not self.shape.trailing:
            raise UsageError(
                f"{word!r} is not a task",
                where=repr(self.call.typed),
                hint=f"names come after a colon: {self.shape.name}:{word}",
            )
        self.out[-1] = f"--{self.shape.words}={word}"


class _Call:
    """One call of a task of ours: what its colon arguments give, and what its flags do."""

    def __init__(self, shape: Shape, typed: str, place: int) -> None:
        self.shape = shape
        self.typed = typed
        self.place = place
        self.given: dict[Flag, list[str | bool]] = {}
        self.flags: dict[Flag, list[str | bool]] = {}
        if ":" in typed:
            _, words, keywords = split_arguments(typed)
            for word in words:
                self._give_word(word)
            for keyword, value in keywords:
                self._give(self._known(keyword, value), keyword, value)

    def explicit(self, flag: Flag, value: str | bool) -> None:
        """Note a flag of the call as typed; raises `UsageError` where it is empty or of the wrong type."""
        if isinstance(value, str) and not value.strip():
            raise UsageError(f"{flag.spelling} is empty", where=repr(self.typed), hint=UNSET)
        self.flags.setdefault(flag, []).append(self._checked(flag, value))

    def tokens(self) -> Iterator[str]:
        """Yield flags for the colon arguments that no flag gives; raises `UsageError` where both differ."""
        for flag, values in self.given.items():
            if flag in self.flags:
                if self.flags[flag] != values:
                    raise UsageError(
                        f"{flag.spelling} gives another value", where=repr(self.typed), hint="give it once"
                    )
                continue
            for value in values:
                if value is True:
                    yield flag.spelling
                elif value is False:
                    yield from (f"--no-{flag.name}",) if flag.default is True else ()
                else:
                    yield f"{flag.spelling}={value}"

    def _give_word(self, word: str) -> None:
        if self.shape.words is None:
            raise UsageError(f"{self.shape.name} takes no names", where=repr(self.typed), hint=self._arguments())
        flag = self.shape.argument(self.shape.words)
        assert flag is not None
        if flag in self.given and flag.kind is not list:
            raise UsageError(f"{self.shape.name} takes only one {flag.name}", where=repr(self.typed))
        self._give(flag, flag.name, word)

    def _known(self, keyword: str, value: str) -> Flag:
        flag = self.shape.argument(keyword)
        if flag is None:
            if keyword in FABRIC_1 and self.shape.words == "name":
                raise UsageError(
                    f"names are given without {keyword}=",
                    where=repr(self.typed),
                    hint=f"say {self.shape.name}:{FABRIC_1[keyword]}{value.replace(';', ',' + FABRIC_1[keyword])}",
                )
            names = [flag.name for flag in dict.fromkeys(self.shape.flags.values())]
            close = difflib.get_close_matches(dashed(keyword), names, n=1)
            what = f"{self.shape.name} has no argument {keyword!r}"
            raise UsageError(
                what + (f", did you mean {close[0]}?" if close else ""), where=repr(self.typed), hint=self._arguments()
            )
        return flag

    def _give(self, flag: Flag, keyword: str, text: str) -> None:
        if flag in self.given and flag.kind is not list:
            raise UsageError(f"{keyword} is given twice", where=repr(self.typed))
        value: str | bool = text
        if flag.kind is bool:
            if text.lower() not in TRUE + FALSE:
                raise UsageError(f"{keyword} must be true or false, not {text}", where=repr(self.typed))
            value = text.lower() in TRUE
        elif text in self.shape.flags or text in self.shape.inverse:
            raise UsageError(f"{text!r} is a flag of {self.shape.name}, not a value", where=repr(self.typed))
        self.given.setdefault(flag, []).append(self._checked(flag, value))

    def _checked(self, flag: Flag, value: str | bool) -> str | bool:
        """The value, once it is known to be one that Invoke can convert (it would end in a traceback)."""
        if flag.kind in (int, float) and isinstance(value, str):
            try:
                flag.kind(value)
            except ValueError:
                raise UsageError(f"{flag.spelling} must be a number, not {value!r}", where=repr(self.typed)) from None
        return value

    def _arguments(self) -> str:
        names = [flag.name for flag in dict.fromkeys(self.shape.flags.values())]
        return f"its arguments are: {', '.join(names)}; a plain = is written \\=" if names else "it takes no arguments"

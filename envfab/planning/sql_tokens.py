"""SQL in tokens: statements, and the words of each, taken from the left."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TOKEN = re.compile(
    r"""
    \s+ | --[^\n]* | /\*.*?(?:\*/|\Z)
    | (?P<name>"(?:[^"]|"")*" | `[^`]*`)
    | (?P<text>'(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<word>\w+)
    | (?P<sign>.)
    """,
    re.DOTALL | re.VERBOSE,
)
# fmt: off
# where the type of a column ends
AFTER_TYPE = frozenset((
    "NOT", "NULL", "DEFAULT", "CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "REFERENCES", "COLLATE", "USING",
    "GENERATED", "COMMENT",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a name in quotes (which is no word of the language), or a sign."""

    text: str
    word: str = ""


def statements(sql: str) -> Iterator[list[Token]]:
    """Split SQL into statements, each as its tokens; comments are left out, and what is in quotes is one token."""
    found: list[Token] = []
    for match in TOKEN.finditer(sql):
        if match["sign"] == ";":
            yield found
            found = []
        elif match["name"]:
            found.append(Token(match["name"][1:-1]))
        elif match["word"]:
            found.append(Token(match["word"], match["word"].upper()))
        elif match["text"] or match["sign"]:
            found.append(Token("''" if match["text"] else match["sign"], match["sign"] or "''"))
    yield found


class Words:
    """The tokens of a statement or of a part of one, taken from the left."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._left = list(tokens)

    def accept(self, *words: str) -> bool:
        """Take these words if they come next."""
        if [token.word for token in self._left[: len(words)]] != list(words):
            return False
        del self._left[: len(words)]
        return True

    def accept_any(self, *choices: str) -> bool:
        """Take each of these phrases that comes next; return whether there was one."""
        found = [self.accept(*choice.split()) for choice in choices]
        return any(found)

    def has(self, *words: str) -> bool:
        """Whether these words come one after the other."""
        said = [token.word for token in self._left]
        return any(said[start : start + len(words)] == list(words) for start in range(len(said)))

    def next_is(self, words: frozenset[str]) -> bool:
        """Whether one of these words comes next."""
        return bool(self._left) and self._left[0].word in words

    def name(self) -> str:
        """Take a name, without the schema before it; empty if there is none."""
        while len(self._left) > 1 and self._left[1].text == ".":
            del self._left[:2]
        return self._left.pop(0).text if self._left else ""

    def skip_to(self, *words: str) -> bool:
        """Take everything up to these words, and these; false if they do not come."""
        while self._left:
            if self.accept(*words):
                return True
            del self._left[0]
        return False

    def parts(self) -> Iterator[Words]:
        """Take all that is left, in the parts between commas outside of brackets."""
        depth = 0
        part: list[Token] = []
        for token in self._left:
            depth += {"(": 1, ")": -1}.get(token.word, 0)
            if token.word == "," and depth == 0:
                yield Words(part)
                part = []
            else:
                part.append(token)
        self._left = []
        yield Words(part)

    def in_brackets(self) -> tuple[str, ...]:
        """Take the names in the next brackets: the first word of each part."""
        if not self.skip_to("("):
            return ()
        depth = 1
        inner: list[Token] = []
        for token in self._left:
            depth += {"(": 1, ")": -1}.get(token.word, 0)
            if depth == 0:
                break
            inner.append(token)
        return tuple(part.name() for part in Words(inner).parts())

    def type(self) -> str:
        """Take the type of a column: `varchar(20)`, `double precision`."""
        taken = []
        while self._left and self._left[0].word not in AFTER_TYPE:
            taken.append(self._left.pop(0).text.lower())
        return re.sub(r" ?([(),]) ?", r"\1", " ".join(taken))

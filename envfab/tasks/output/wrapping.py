"""Lines that are too long for a terminal, broken between words: a terminal itself breaks them anywhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

HANG = 4  # columns by which what continues a line stands further in
CONTINUED = " \\"  # what a shell takes for a line that goes on


def wrap(text: Text, width: int) -> Text:
    """`text` in lines of at most `width` columns; a word that is longer stays whole."""
    lines = [part for line in text.split("\n", allow_blank=True) for part in _broken(line, width)]
    wrapped = Text("\n").join(lines)
    wrapped.end = text.end
    return wrapped


def cut(line: str, width: int) -> str:
    """As many words of a line as fit into `width` columns, with `…` where that is not all."""
    if cell_len(line) <= width:
        return line
    first = next(_broken(Text(line), max(width - 2, 1))).plain
    return f"{first} …"


def wrap_command(what: str, command: str, width: int) -> str:
    """A command line after the words `what`, in lines that a shell takes for one: it can be copied as it is shown."""
    first, *words = map(shlex.quote, shlex.split(command))
    lines, line = [], f"{what} {first}"
    for word in words:
        if cell_len(f"{line} {word}{CONTINUED}") > width:
            lines.append(line + CONTINUED)
            line = " " * HANG + word
        else:
            line = f"{line} {word}"
    return "\n".join([*lines, line])


def _broken(line: Text, width: int) -> Iterator[Text]:
    plain = line.plain
    if cell_len(plain) <= width:
        yield line
        return
    hang = min(len(plain) - len(plain.lstrip(" ")) + HANG, width // 2)
    start, end, indent = 0, 0, 0
    for word in re.finditer(r"\S+", plain):
        if end and indent + cell_len(plain[start : word.end()]) > width:
            yield Text(" " * indent) + line[start:end]
            start, indent = word.start(), hang
        end = word.end()
    yield Text(" " * indent) + line[start:end]

"""Lines that are broken between words, and commands that a shell still takes."""

from __future__ import annotations

import shlex
import string
import subprocess

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from envfab.tasks.output.wrapping import cut, wrap, wrap_command

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=20))
LINES = st.lists(WORDS.map("   ".join), max_size=3).map("\n".join)


@given(LINES, st.integers(24, 90))
def test_no_word_is_broken_and_none_is_lost(text: str, width: int) -> None:
    """All words are there in their order, and no line is wider unless it is a single word."""
    wrapped = wrap(Text(text), width).plain
    assert wrapped.split() == text.split()
    assert all(cell_len(line) <= width or len(line.split()) == 1 for line in wrapped.split("\n"))


def test_what_goes_on_stands_further_in_and_keeps_its_style() -> None:
    """The next line of the same thing can be told from the next thing."""
    text = Text("    ").append("warning: ", "yellow").append("Django 5.1.3 could not be brought back", "red")
    wrapped = wrap(text, 34)
    assert wrapped.plain == "    warning: Django 5.1.3 could\n        not be brought back"
    assert [(wrapped.plain[span.start : span.end], span.style) for span in wrapped.spans if span.style] == [
        ("warning: ", "yellow"),
        ("Django 5.1.3 could", "red"),
        ("not be brought back", "red"),
    ]


@given(st.lists(st.text(st.sampled_from(string.printable.split("\t")[0]), max_size=20), min_size=1, max_size=6))
def test_a_wrapped_command_is_the_same_command(words: list[str]) -> None:
    """Whatever it quotes, a line goes on only between two of its words."""
    wrapped = wrap_command("to do it:", shlex.join(words), 30).removeprefix("to do it: ")
    assert shlex.split(wrapped.replace("\\\n", "")) == words


def test_a_shell_takes_a_wrapped_command_for_one() -> None:
    """As somebody copies it from the terminal."""
    command = "printf '%s|' rollback:web1:/srv/shop --to 20261120-214900-9f3a '--name=a b  c'"
    wrapped = wrap_command("copy", command, 40).removeprefix("copy ")
    assert wrapped.count("\n") > 1
    done = subprocess.run(["/bin/sh", "-c", wrapped], capture_output=True, text=True, check=True)
    assert done.stdout == "rollback:web1:/srv/shop|--to|20261120-214900-9f3a|--name=a b  c|"


def test_a_live_line_ends_after_a_word() -> None:
    """What does not fit is left out as a whole."""
    assert cut("   web1  installing 12 packages   0:07", 60) == "   web1  installing 12 packages   0:07"
    assert cut("   web1  installing 12 packages   0:07", 21) == "   web1  installing …"

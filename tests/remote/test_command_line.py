"""Command lines that mean the same to every shell on their way."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envfab.remote import agent_sources, command_line

AWKWARD = [
    "plain",
    "",
    "with space",
    "it's",
    'a "quote"',
    "$(touch x)",
    "`id`",
    "!!",
    "wow!",
    "back\\slash",
    "\\n",
    "line\nbreak",
    "trailing\n",
    "\nleading",
    "tab\there",
    "*",
    "~",
    "#no",
    "-x",
    "ü€😀",
    "%s%%",
    "$HOME",
    "a;b&c|d<e>f",
    "{a,b}",
    "?[z]",
]


def arguments_through(shell: str, arguments: list[str]) -> list[str]:
    """What a program gets when `shell` is the login shell on the way to it."""
    line = command_line.quoted(["printf", "%s\\0", *arguments]) + "\n"
    done = subprocess.run(
        [shell, "-c", command_line.LOGIN_SHELL_LINE], input=line.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("shell", ["sh", "bash", "tcsh", "fish", "zsh"])
def test_every_argument_arrives_as_it_was_sent(shell: str) -> None:
    """Spaces, quotes, `$(…)`, `!`, backslashes, line breaks and emoji survive every login shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert arguments_through(shell, AWKWARD) == AWKWARD


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20), min_size=1))
def test_any_text_can_be_an_argument(arguments: list[str]) -> None:
    """There is no text that sh would understand otherwise."""
    assert arguments_through("sh", arguments) == arguments


def test_sudo_is_given_the_prompt_and_the_user_and_nothing_to_interpret() -> None:
    """The command behind `--` is no option of sudo's, whatever it looks like."""
    line = command_line.as_user("shop", "PROMPT", ["-x", "y"])
    assert line == ["sudo", "-H", "-S", "-p", "PROMPT", "-u", "shop", "--", "-x", "y"]


def test_a_text_prints_after_its_word() -> None:
    """The word stands on a line of its own, before the first byte of the command, whose status is kept."""
    line = command_line.shell("WORD", 'read -r x; echo "it\'s $(echo here) $x"; exit 3')
    done = subprocess.run(line, capture_output=True, text=True, check=False, input="not for it\n")
    assert (done.stdout, done.returncode) == ("WORD\nit's here \n", 3)


def test_an_interpreter_prints_after_its_word() -> None:
    """It is given the loader as it is, and names files in UTF-8, whatever the login's locale."""
    code = "import sys,os;print(sys.argv,os.environ['LC_ALL'],sys.flags.ignore_environment)"
    line = command_line.python("WORD", sys.executable, code)
    done = subprocess.run(line, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
    assert done.stdout == "WORD\n['-c'] C.UTF-8 1\n"


def test_the_loader_needs_no_quotes() -> None:
    """The only program text on a command line is one line without a quote that a shell could stumble over."""
    assert not set("'\n\\!$`\0") & set(agent_sources.loader())
    assert len(agent_sources.loader()) < 4096

"""Command lines for hosts, built as argument lists and quoted in one place."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

# sh sets IFS to a space, a tab and a line break, whatever the environment says
_LINE_BREAK = '"${IFS#??}"'
# The login shell may be sh, bash, csh, tcsh or fish. It is only given this line, which starts sh, and sh reads the
# real command from the first line of its input.
LOGIN_SHELL_LINE = "exec /bin/sh -c 'read -r x&&eval \"exec $x\"'"


def quoted(arguments: Sequence[str]) -> str:
    """Return a line that sh evaluates to these arguments."""
    return " ".join(_LINE_BREAK.join(map(shlex.quote, argument.split("\n"))) for argument in arguments)


def as_user(user: str, prompt: str, arguments: Sequence[str]) -> list[str]:
    """Return a command that runs `arguments` by sudo as `user`, with that user's HOME; sudo prints `prompt` to ask."""
    return ["sudo", "-H", "-S", "-p", prompt, "-u", user, "--", *arguments]


def python(word: str, executable: str, loader: str) -> list[str]:
    """Return a command that runs the loader, without PYTHON* and the user's site-packages, with UTF-8 file names.

    It first prints a line with `word`; all output after that line is the loader's.
    """
    script = 'echo "$0"; LC_ALL=C.UTF-8 LANG=C.UTF-8; export LC_ALL LANG; exec "$@"'
    return ["/bin/sh", "-c", script, word, executable, "-B", "-E", "-s", "-c", loader]


def shell(word: str, text: str) -> list[str]:
    """Return a command that runs the fabfile's shell text, with empty standard input.

    It first prints a line with `word`; all output after that line is the text's.
    """
    return ["/bin/sh", "-c", 'echo "$0"; exec /bin/sh -c "$1" </dev/null', word, text]


def program(word: str, arguments: Sequence[str]) -> list[str]:
    """Return a command that runs the fabfile's arguments, which no shell interprets, with empty standard input.

    It first prints a line with `word`; all output after that line is the program's.
    """
    return ["/bin/sh", "-c", 'echo "$0"; exec "$@" </dev/null', word, *arguments]


def program_as_user(user: str, arguments: Sequence[str]) -> list[str]:
    """Return a command that runs exactly `arguments` by sudo, so that sudoers rules match; sudo never asks."""
    return ["sudo", "-n", "-H", "-u", user, "--", *arguments]


def after_password(word: str, prompt: str, arguments: Sequence[str]) -> list[str]:
    """Return a command that gives sudo the password and then runs `arguments`, which use sudo without asking.

    The first sudo runs no program (`-v`), so no program can ask for the password in its place. It has ended when the
    line with `word` is printed.
    """
    return ["/bin/sh", "-c", 'sudo -S -p "$1" -v; echo "$0"; shift; "$@" </dev/null', word, prompt, *arguments]

"""Command lines, built as argument lists and quoted in one place."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

# sh sets IFS to a space, a tab and a line break, whatever it inherits
_LINE_BREAK = '"${IFS#??}"'
# The login shell may be sh, bash, csh, tcsh or fish: it only ever sees this, and hands over to sh, which
# reads the real command from the first line of its input.
LOGIN_SHELL_LINE = "exec /bin/sh -c 'read -r x&&eval \"exec $x\"'"


def quoted(arguments: Sequence[str]) -> str:
    """One line that sh evaluates to these arguments."""
    return " ".join(_LINE_BREAK.join(map(shlex.quote, argument.split("\n"))) for argument in arguments)


def as_user(user: str, prompt: str, arguments: Sequence[str]) -> list[str]:
    """`arguments` under sudo as `user`, with the home of that user; sudo asks with the words `prompt`."""
    return ["sudo", "-H", "-S", "-p", prompt, "-u", user, "--", *arguments]


def python(word: str, executable: str, loader: str) -> list[str]:
    """An interpreter that runs the loader, deaf to PYTHON* and the user's site, with UTF-8 file names.

    Before it there is a line with `word`: what is printed from there on comes from it alone.
    """
    script = 'echo "$0"; LC_ALL=C.UTF-8 LANG=C.UTF-8; export LC_ALL LANG; exec "$@"'
    return ["/bin/sh", "-c", script, word, executable, "-B", "-E", "-s", "-c", loader]


def shell(word: str, text: str) -> list[str]:
    """The fabfile's own text, the only one that a shell interprets; there is nothing for it to read.

    Before it there is a line with `word`, as above.
    """
    return ["/bin/sh", "-c", 'echo "$0"; exec /bin/sh -c "$1" </dev/null', word, text]


def program(word: str, arguments: Sequence[str]) -> list[str]:
    """The fabfile's own command as arguments, which no shell interprets; there is nothing for it to read.

    Before it there is a line with `word`, as above.
    """
    return ["/bin/sh", "-c", 'echo "$0"; exec "$@" </dev/null', word, *arguments]


def program_as_user(user: str, arguments: Sequence[str]) -> list[str]:
    """`arguments` alone under sudo, so that a rule for just this command matches; sudo never asks."""
    return ["sudo", "-n", "-H", "-u", user, "--", *arguments]


def after_password(word: str, prompt: str, arguments: Sequence[str]) -> list[str]:
    """`arguments` that use sudo, after the password has been given to sudo, which remembers it for one shell.

    That sudo runs nothing, so that no program can ask for the password in its place; when the word is out it is over.
    """
    return ["/bin/sh", "-c", 'sudo -S -p "$1" -v; echo "$0"; shift; "$@" </dev/null', word, prompt, *arguments]

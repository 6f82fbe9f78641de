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


def announced(word: str, arguments: Sequence[str]) -> list[str]:
    """`arguments`, behind a line with `word`: what is printed from there on comes from them alone."""
    return ["/bin/sh", "-c", 'echo "$0"; exec "$@"', word, *arguments]


def python(executable: str, loader: str) -> list[str]:
    """An interpreter that runs the loader, deaf to PYTHON* and the user's site, with UTF-8 file names."""
    script = 'LC_ALL=C.UTF-8 LANG=C.UTF-8; export LC_ALL LANG; exec "$0" "$@"'
    return ["/bin/sh", "-c", script, executable, "-B", "-E", "-s", "-c", loader]


def shell(text: str) -> list[str]:
    """The fabfile's own text, the only one that a shell interprets; there is nothing for it to read."""
    return ["/bin/sh", "-c", 'exec /bin/sh -c "$0" </dev/null', text]

"""The lines of a requirements file, as pip reads them: continuations, comments, variables and options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from envfab.errors import RequirementsError

# one character of space before the sign: with more of them, a long line of spaces would take for ever
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")

# What pip does with these settles nothing here: wheels come from the wheelhouse alone, and none is built.
_IGNORED_FLAGS = frozenset({"--no-index", "--prefer-binary"})
_IGNORED_WITH_VALUE = frozenset(
    {
        "--index-url", "--extra-index-url", "--find-links", "--trusted-host", "--only-binary", "--no-binary",
        "--use-feature", "--config-settings", "--global-option", "--uploaded-prior-to",
    }
)  # fmt: skip
IGNORED = _IGNORED_FLAGS | _IGNORED_WITH_VALUE
_LONG = {
    "-i": "--index-url",
    "-f": "--find-links",
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-C": "--config-settings",
    "--pypi-url": "--index-url",
    "--config-setting": "--config-settings",
}
_WITH_VALUE = _IGNORED_WITH_VALUE | {"--requirement", "--constraint", "--editable", "--hash"}

Option = tuple[str, str]


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, with the number of their first line; a backslash at the end continues a
    line."""
    parts: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if parts else number
        comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not comment:
            parts.append(line.rstrip("\\"))
            continue
        # a comment ends a continued line and must not melt into its last word
        parts.append(f" {line}" if comment else line)
        yield from _unless_empty(first, "".join(parts))
        parts = []
    yield from _unless_empty(first, "".join(parts))


def _unless_empty(number: int, line: str) -> Iterator[tuple[int, str]]:
    stripped = without_comment(line)
    if stripped:
        yield number, stripped


def without_comment(line: str) -> str:
    """Return a line without its comment and surrounding space."""
    return _COMMENT.sub("", line).strip()


def expand(line: str, environment: Mapping[str, str]) -> str:
    """Replace `${NAME}` by the variable of `environment`; an unset or empty one stays, as in pip."""
    return _VARIABLE.sub(lambda match: environment.get(match[1]) or match[0], line)


def divide(line: str, where: str) -> tuple[str, list[Option]]:
    """Split a line into its requirement and its options (pip's long names) with values; raises `RequirementsError`."""
    words = line.split(" ")
    split = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    try:
        tokens = shlex.split(" ".join(words[split:]))
    except ValueError as error:
        raise RequirementsError(
            f"the options cannot be taken apart: {error}", where=where, hint="close the quote"
        ) from None
    return " ".join(words[:split]).strip(), list(_options(tokens, where))


def _options(tokens: list[str], where: str) -> Iterator[Option]:
    rest = iter(tokens)
    for token in rest:
        if token.startswith("--"):
            name, equals, value = token.partition("=")
            name = _LONG.get(name, name)
        else:
            name = _LONG.get(token[:2], token)
            value = token[2:].removeprefix("=") if name != token else ""
            equals = value
        if name in _WITH_VALUE and not equals:
            value = next(rest, "")
        if name in _WITH_VALUE and not value:
            raise RequirementsError(f"{name} has no value", where=where, hint=f"say {name} VALUE")
        yield name, value

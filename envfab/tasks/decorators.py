"""The decorator that declares envfab's tasks, and the help texts that they share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from invoke.tasks import task

from envfab.errors import UsageError
from envfab.tasks.fabric1.task import Task

NAME = "which virtualenvs: host, user@host:/path, host:/path, :/path, user@, %group, globs; repeatable (default: all)"
SHARED = {
    "name": NAME,
    "yes": "do not ask",
    "wait": "seconds to wait until another deployment of a virtualenv ends (default: 0)",
    "json": "one JSON document on standard output",
    "metrics": "write metrics for Prometheus to this file, which node_exporter's textfile collector reads",
    "slice": "work on one slice of the fleet, such as 3/8: the third of eight that as many machines take",
    "older_than": "take only what was uploaded to the index so long ago: 7d, 24h (default: the setting older_than)",
    # the options of a plan: of plan and deploy
    "only": "change only this package and leave all others as they are; repeatable",
    "prune": "also remove what no requirement needs",
    "force": "go ahead even if an installed package outside the requirements would break",
    "reinstall": "install this package again even if its version is right; repeatable",
    "upgrade": "also upgrade this dependency to its newest wheel, or without a name all of them; repeatable",
}
# allowed without a value, which is then True
VALUE_OPTIONAL = frozenset({"upgrade"})


def ours(words: str = "name", trailing: bool = False, /, **texts: str) -> Callable[[Callable[..., None]], Any]:
    """Declare a task; `texts` are the help texts of its own arguments, beside those of `SHARED`.

    The argument `words`, if the task has it, takes Fabric 1's words after the colon and, with `trailing`, bare words
    after the task. Arguments that are annotated `Iterable[str]` can be repeated.
    """

    def declare(body: Callable[..., None]) -> Any:
        parameters = inspect.signature(body).parameters
        shared = {name: text for name, text in SHARED.items() if name in parameters}
        return task(
            klass=Task,
            positional_words=words if words in parameters else None,
            trailing_words=trailing,
            iterable=[name for name, one in parameters.items() if one.annotation == "Iterable[str]"],
            optional=[name for name in parameters if name in VALUE_OPTIONAL],
            auto_shortflags=False,
            help=shared | texts,
        )(body)

    return declare


def at_least(least: int, flag: str, number: int) -> int:
    """Return the number that a flag was given; raises `UsageError` where it is less than `least`."""
    if number < least:
        raise UsageError(f"must be a whole number of at least {least}, not {number}", where=flag)
    return number

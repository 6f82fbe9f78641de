"""Command lines that call tasks of the running fabfile: for cron, for hooks, and for people to copy."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import fabric.main

from envfab.config.fleet import Fleet
from envfab.errors import UsageError

# Fabric's own flags that decide what a task sees
FILES = ("config", "ssh-config", "identity")
PLACES = ("collection", "search-root", *FILES)
# and how it connects to hosts
ACCESS = (
    *("prompt-for-login-password", "prompt-for-passphrase", "prompt-for-sudo-password"),
    *("connect-timeout", "command-timeout"),
)
SHORT = {"collection": "-c", "search-root": "-r", "config": "-f", "ssh-config": "-S", "identity": "-i"}
SHORT |= {"connect-timeout": "-t", "command-timeout": "-T"}
# what needs no quoting after a task's colon
PLAIN = re.compile(r"[A-Za-z0-9_@%/.:+-]+")


def how_to_call(fleet: Fleet, task: str) -> tuple[str, list[str]]:
    """Return (the fabfile's folder, the words that call the fleet's `task` there), for calls from any folder and
    without a terminal. Raises `UsageError` where the fabfile does not have the task."""
    program = fabric.main.program
    name = _names_of(fleet).get(task)
    if name is None:
        raise UsageError(f"the fabfile has no task {task!r}", hint="add all of collection(fleet) to it")
    words = list(_program_words(("collection", *FILES), _absolute))
    return os.path.abspath(program.collection.loaded_from), [*_fab(), *words, name]


def fabfile_path() -> Path:
    """Return the path of the running fabfile; its folder if it is not one file."""
    program = fabric.main.program
    name = program.core[0].args.collection.value or program.config.tasks.collection_name
    folder = Path(program.collection.loaded_from)
    file = folder / f"{name}.py"
    return file if file.is_file() else folder


def spoken_name(fleet: Fleet, task: str) -> str | None:
    """Return what to type after `fab` for the fleet's `task`, with underscores; None where the fabfile does not have
    it."""
    name = _names_of(fleet).get(task)
    return name.replace("-", "_") if name is not None else None


def command(fleet: Fleet, task: str, *flags: str, names: Sequence[str] = ()) -> str:
    """Return the command line, quoted for a shell, that runs the fleet's `task`.

    It repeats the flags of the running `fab` for fabfile, settings, SSH configuration and login, followed by `flags`
    and the targets `names`.
    """
    called = spoken_name(fleet, task) or task
    if all(PLAIN.fullmatch(name) for name in names):
        words = [f"{called}:{','.join(names)}" if names else called, *flags]
    else:
        words = [called, *flags, *(f"--name={name}" for name in names)]
    return shlex.join(["fab", *_program_words((*PLACES, *ACCESS)), *words])


def flags(**given: str | int | bool | Iterable[str]) -> list[str]:
    """Return the flags for a task's arguments: `only=["x"], prune=True` → `--only x --prune`. Empty values, 0 and False
    give no flag."""
    words: list[str] = []
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words += [flag] if value else []
        else:
            several = [value] if isinstance(value, str | int) else value
            for one in several:
                words += [f"{flag}={one}"] if str(one).startswith("-") else [flag, str(one)] if one else []
    return words


class Speech:
    """Replaces commands in a text (`fab add_wheel`) by the words that call them in the running fabfile."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._words: dict[str, str] | None = None
        self._pattern: re.Pattern[str] | None = None

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield (start, end, replacement) of each command in `text` that is called differently in this fabfile."""
        if "fab " not in text:
            return
        if self._words is None:
            self._words = self._differing()
            if self._words:
                self._pattern = re.compile(rf"\bfab ({'|'.join(map(re.escape, self._words))})(?![\w.-])")
        if self._pattern is not None:
            for match in self._pattern.finditer(text):
                yield match.start(), match.end(), self._words[match[1]]

    def __call__(self, text: str) -> str:
        """Return the text with its commands as they are called in this fabfile."""
        said, done = [], 0
        for start, end, instead in self.find(text):
            said += [text[done:start], instead]
            done = end
        return "".join([*said, text[done:]])

    def _differing(self) -> dict[str, str]:
        prefix = shlex.join(["fab", *_program_words((*PLACES, *ACCESS))])
        spoken = {task: f"{prefix} {name.replace('-', '_')}" for task, name in _names_of(self._fleet).items()}
        return {task: words for task, words in spoken.items() if words != f"fab {task}"}


def _names_of(fleet: Fleet) -> dict[str, str]:
    """Return the names of the fleet's tasks in the fabfile's namespace, by envfab's names."""
    collection = getattr(fabric.main.program, "collection", None)
    if collection is None:
        return {}
    found: dict[str, str] = {}
    for name in collection.task_names:
        task = collection[name]
        of = getattr(task, "fleet", None)
        if of is not None and of() is fleet:
            found.setdefault(task.name, name)
    return found


def _program_words(flags: Sequence[str], seen: Callable[[str, str], str] | None = None) -> Iterator[str]:
    """Yield the words of those `flags` that the running command line has; `seen` converts each value."""
    core = getattr(fabric.main.program, "core", None)
    given = core[0].args if core else {}
    for flag in flags:
        value = given[flag].value if flag in given else None
        if value is True:
            yield f"--{flag}"
        for one in value if isinstance(value, list) else [value]:
            if one is not None and not isinstance(one, bool):
                yield from (SHORT[flag], seen(flag, str(one)) if seen is not None else str(one))


def _absolute(flag: str, value: str) -> str:
    """Return an absolute path for a file; other values as they are."""
    return os.path.abspath(os.path.expanduser(value)) if flag in FILES else value


def _fab() -> list[str]:
    """Return the `fab` of the running interpreter, since cron and activated virtualenvs have another PATH."""
    beside = Path(sys.executable).with_name("fab")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "fabric"]

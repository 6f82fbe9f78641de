"""How a task of the running `fab` can be called again, from anywhere and without a terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import fabric.main

from envfab.errors import UsageError

# the program's own flags that decide what a task sees, and that are files
FILE_FLAGS = {"config": "-f", "ssh-config": "-S"}


def how_to_call(task: Any) -> tuple[str, list[str]]:
    """(the folder of the fabfile, the words that call `task` there by its name in the fabfile)."""
    program = fabric.main.program
    name = _name(task)
    if name is None:
        raise UsageError(f"the fabfile has no task {task.name!r}", hint="add all of collection(fleet) to it")
    given = program.core[0].args
    words = []
    if given["collection"].value:
        words += ["-c", given["collection"].value]
    for flag, short in FILE_FLAGS.items():
        if given[flag].value:
            words += [short, os.path.abspath(os.path.expanduser(given[flag].value))]
    for identity in given["identity"].value or ():
        words += ["-i", os.path.abspath(os.path.expanduser(identity))]
    return os.path.abspath(program.collection.loaded_from), [*_fab(), *words, name]


def spoken_name(task: Any) -> str | None:
    """What to type for `task` after `fab`, with the underscores of this project; None where the fabfile has it not."""
    name = _name(task)
    return name.replace("-", "_") if name is not None else None


def _name(task: Any) -> str | None:
    """The task's name in the fabfile's namespace."""
    collection = fabric.main.program.collection
    names = (name for name in collection.task_names if getattr(collection[name], "body", None) is task.body)
    return next(names, None)


def _fab() -> list[str]:
    """The `fab` beside the interpreter that runs now: cron and activated virtualenvs have another PATH."""
    beside = Path(sys.executable).with_name("fab")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "fabric"]

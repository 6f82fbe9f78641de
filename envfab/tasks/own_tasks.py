"""A fabfile's own tasks beside envfab's: which of them its namespace leaves out, and which have a name twice.

Where a fabfile has a namespace (`ns`), Fabric takes that and nothing else: tasks beside it do not exist.
"""

from __future__ import annotations

import sys
from typing import Any

import invoke.tasks
from invoke.collection import Collection

from envfab.config.validation import error
from envfab.errors import UsageError
from envfab.tasks.fabric1.tokens import dashed

APART = "give yours another name, or keep envfab's apart: ns.add_collection(collection(fleet), name='env')"


class FleetTasks(Collection):
    """A collection of tasks in which none takes the place of another one of the same name."""

    def add_task(self, task: invoke.tasks.Task[Any], *args: Any, **options: Any) -> None:
        """As Invoke does; raises `ConfigurationError` for a name that is there."""
        name = options.get("name") or (args[0] if args else None) or task.name
        there = next((one for one in self.tasks if name and dashed(one) == dashed(name)), None)
        if there is not None and self.tasks[there] is not task:
            raise error("ns.add_task", f"envfab has a task {dashed(name).replace('-', '_')!r}", APART)
        super().add_task(task, *args, **options)


def left_out(module_name: str, collection: Collection) -> frozenset[str]:
    """The names, with dashes, of the tasks that a fabfile's module defines and its namespace does not have.

    Raises `UsageError` where the namespace has another task of that name: one would silently stand for the other.
    """
    module = sys.modules.get(module_name)
    bodies = {collection[name].body for name in collection.task_names}
    names = {dashed(name) for name in collection.task_names}
    found = set()
    for variable, task in vars(module).items() if module is not None else ():
        if isinstance(task, invoke.tasks.Task) and task.body not in bodies:
            name = dashed(task.name or variable)
            if name in names:
                said = name.replace("-", "_")
                what = f"two tasks are called {said!r}: the fabfile's own, and the one in its namespace `ns`"
                raise UsageError(what, where=str(getattr(module, "__file__", module_name)), hint=APART)
            found.add(name)
    return frozenset(found)

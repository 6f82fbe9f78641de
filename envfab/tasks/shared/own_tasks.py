"""A fabfile's own tasks beside envfab's: those that its namespace leaves out, and names that two tasks have.

Where a fabfile has a namespace (`ns`), Fabric uses only that: tasks beside it do not exist for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import invoke.tasks
from invoke.collection import Collection

from envfab.config.validation import error
from envfab.errors import UsageError
from envfab.tasks.fabric1.tokens import dashed

APART = "rename yours, or put envfab's in a collection: ns.add_collection(collection(fleet), name='env')"


class FleetTasks(Collection):
    """A collection that refuses a second task of the same name."""

    def add_task(self, task: invoke.tasks.Task[Any], *args: Any, **options: Any) -> None:
        """Add a task as Invoke does; raises `ConfigurationError` for a name that is taken, and for what is not a
        task."""
        if not isinstance(task, invoke.tasks.Task):
            shown = getattr(task, "__name__", type(task).__name__)
            raise error("ns.add_task", f"{shown} is not a task", "decorate it with @task of invoke")
        name = options.get("name") or (args[0] if args else None) or task.name
        aliases = options.get("aliases") or (args[1] if len(args) > 1 else None) or ()
        # an alias would be found first
        self._refuse_twice("ns.add_task", (name, *aliases, *task.aliases), but=task)
        super().add_task(task, *args, **options)

    def add_collection(self, coll: Collection, *args: Any, **options: Any) -> None:
        """Add a collection as Invoke does; raises `ConfigurationError` for a name that a task has."""
        name = options.get("name") or (args[0] if args else None) or getattr(coll, "name", None)
        self._refuse_twice("ns.add_collection", (name,))
        super().add_collection(coll, *args, **options)

    def _refuse_twice(self, call: str, names: Iterable[str | None], but: object = None) -> None:
        for name in filter(None, names):
            there = next((one for one in self.tasks if dashed(one) == dashed(name)), None)
            if there is not None and self.tasks[there] is not but:
                raise error(call, f"envfab has a task {dashed(name).replace('-', '_')!r}", APART)


def left_out(module_name: str, collection: Collection) -> dict[str, str]:
    """The names, with dashes, of the tasks that a fabfile's module defines and its namespace does not have.

    With each the variable that holds the task; an alias is a name, too.

    Raises `UsageError` where the namespace has another task of that name: one would silently stand for the other.
    """
    module = sys.modules.get(module_name)
    bodies = {collection[name].body for name in collection.task_names}
    names = {dashed(name) for name in collection.task_names}
    found = {}
    for variable, task in vars(module).items() if module is not None else ():
        if isinstance(task, invoke.tasks.Task) and task.body not in bodies:
            name = dashed(task.name or variable)
            if name in names:
                said = name.replace("-", "_")
                what = f"two tasks are called {said!r}: the fabfile's own, and the one in its namespace `ns`"
                raise UsageError(what, where=str(getattr(module, "__file__", module_name)), hint=APART)
            found.update(dict.fromkeys((name, *map(dashed, task.aliases)), variable))
    return found

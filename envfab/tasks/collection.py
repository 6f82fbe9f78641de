"""All tasks for one fleet, as an Invoke collection of its own."""

from __future__ import annotations

from invoke.collection import Collection

from envfab.config.fleet import Fleet
from envfab.config.settings import defaults
from envfab.config.validation import error
from envfab.tasks import collector, deploy, history, outdated, register, targets, usage_state, wheels
from envfab.tasks.own_tasks import FleetTasks
from envfab.tasks.usage_recording import record


def build(fleet: Fleet) -> Collection:
    """A new collection: two of them share nothing that can be changed. Raises `ConfigurationError`."""
    if not isinstance(fleet, Fleet):
        raise error("collection", f"takes a Fleet, not a {type(fleet).__name__}", "say collection(Fleet(hosts=[…]))")
    made = FleetTasks()
    groups = (wheels, outdated, targets, deploy, history, register, collector)
    tasks = [one for group in groups for one in group.tasks(fleet)]
    on_statistics = usage_state.tasks(fleet)
    if fleet.usage_stats is not None:
        enable, disable, *_ = on_statistics
        record(tasks, fleet.usage_stats, enable, disable)
    for one in [*tasks, *on_statistics]:
        one.fleet = lambda: fleet
        made.add_task(one)
    made.configure({"envfab": defaults()})
    return made

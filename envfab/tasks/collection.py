"""All tasks of one fleet, as an Invoke collection."""

from __future__ import annotations

from invoke.collection import Collection

from envfab.config.fleet import Fleet
from envfab.config.settings import defaults
from envfab.config.validation import error
from envfab.tasks import (
    accept_finding,
    add_wheel,
    approve_plan,
    audit,
    clean,
    collector,
    create_virtualenv,
    deploy,
    fetch_wheels,
    history,
    lock,
    outdated,
    plan,
    publish_index,
    register,
    register_hook,
    release_virtualenv,
    rollback,
    sbom,
    sign_wheels,
    stats_disable,
    stats_enable,
    stats_show,
    stats_status,
    stats_submit,
    targets,
    timer,
    verify,
    verify_wheels,
    wheels,
    yank_wheel,
)
from envfab.tasks.shared.own_tasks import FleetTasks
from envfab.tasks.shared.usage_recording import record

TASKS = (
    *(add_wheel, wheels, verify_wheels, yank_wheel, sign_wheels, publish_index, outdated, lock, fetch_wheels, audit),
    accept_finding,
    *(targets, create_virtualenv, release_virtualenv, clean, plan, approve_plan, deploy, verify, history, rollback),
    *(register, register_hook, timer, sbom, collector),
)
# they are not recorded themselves: what stats_show prints is what stats_submit sends, and nothing more
ON_STATISTICS = (stats_enable, stats_disable, stats_status, stats_show, stats_submit)


def build(fleet: Fleet) -> Collection:
    """Make a collection of all tasks for `fleet`, which shares no state with others. Raises `ConfigurationError`."""
    if not isinstance(fleet, Fleet):
        raise error("collection", f"takes a Fleet, not a {type(fleet).__name__}", "say collection(Fleet(hosts=[…]))")
    made = FleetTasks()
    tasks = [module.task(fleet) for module in TASKS]
    if fleet.usage_stats is not None:
        record(tasks, fleet, fleet.usage_stats)
    for one in [*tasks, *(module.task(fleet) for module in ON_STATISTICS)]:
        one.fleet = lambda: fleet
        made.add_task(one)
    made.configure({"envfab": defaults()})
    return made

"""The task `register_hook`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.active_virtualenv import active_virtualenv, existing
from envfab.tasks.shared.command_line import how_to_call
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.registration_servers import registration_servers
from envfab.tasks.timer import change_timer

if TYPE_CHECKING:
    from envfab.registration.hooks.activation import Call


def task(fleet: Fleet) -> Any:
    """`register_hook` for `fleet`."""

    @ours(
        workon="register every virtualenv that virtualenvwrapper activates, instead of the active one",
        cron="register the fleet (without hosts: the active virtualenv) from your crontab",
        systemd="register the fleet (without hosts: the active virtualenv) by a systemd timer",
        schedule="when cron or the timer registers, as in crontab(5) or systemd.time(7) (default: every day at 4:37)",
        remove="remove the hook",
    )
    def register_hook(
        c: Context,
        workon: bool = False,
        cron: bool = False,
        systemd: bool = False,
        schedule: str = "",
        remove: bool = False,
    ) -> None:
        """Register whenever the active virtualenv is activated, or at set times; a second call changes nothing."""
        from envfab.registration.hooks import activation, crontab
        from envfab.registration.hooks.systemd import Timer

        run = TaskContext(fleet, c)
        chosen = [flag for flag, given in (("--workon", workon), ("--cron", cron), ("--systemd", systemd)) if given]
        if len(chosen) > 1:
            raise UsageError(f"{' and '.join(chosen)} exclude each other")
        if schedule and not (cron or systemd):
            raise UsageError("--schedule needs --cron or --systemd")
        if not remove:
            registration_servers(fleet)
            if not (workon or ((cron or systemd) and fleet.all_hosts())):
                existing(active_virtualenv())
        with run.console as console:
            if systemd:
                call = _timed_call(fleet, *how_to_call(fleet, "register"))
                change_timer(console, Timer("register", call, "register_hook --systemd"), schedule, remove)
                return
            if cron:
                call = _timed_call(fleet, *how_to_call(fleet, "register"))
                done = crontab.remove(call) if remove else crontab.install(call, schedule or crontab.DAILY)
                console.print("the crontab was changed" if done else "the crontab needs no change")
                return
            names = activation.FLEET_VARIABLES if workon else activation.VARIABLES
            call = activation.Call(*how_to_call(fleet, "register"), _set_variables(names))
            hooks = activation.global_hooks(os.environ)
            place = hooks if workon else Path(active_virtualenv().target.path)
            if remove:
                changed = activation.remove(place if workon else place / "bin")
            else:
                changed = activation.install_for_all(place, call) if workon else activation.install(place, call)
            for path in changed:
                console.print(f"{'changed' if path.exists() else 'removed'}  {path}")
            if not changed:
                console.print("nothing to change")

    return register_hook


def _set_variables(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _timed_call(fleet: Fleet, folder: str, command: Sequence[str]) -> Call:
    """Return what cron or a timer calls; raises `UsageError` for a secret in it, since other users can see that."""
    from envfab.registration.hooks.activation import FLEET_VARIABLES, VARIABLES, Call

    variables = _set_variables(FLEET_VARIABLES if fleet.all_hosts() else VARIABLES)
    if "@" in variables.get("DIFIO_URL", ""):
        raise UsageError(
            "other users of this machine could read its password", where="DIFIO_URL", hint="say Difio(URL, token=…)"
        )
    if fleet.all_hosts():
        return Call(folder, command, variables)
    path = active_virtualenv().target.path
    return Call(folder, [*command, "--local"], {"VIRTUAL_ENV": path, **variables}, of=path)

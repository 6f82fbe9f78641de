"""The task `register`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from collections.abc import Iterable
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.fabric1.task import command_line_hosts
from envfab.tasks.shared.active_virtualenv import active_virtualenv, existing
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.registration_servers import registration_servers


def task(fleet: Fleet) -> Any:
    """`register` for `fleet`."""

    @ours(local="register the active virtualenv ($VIRTUAL_ENV) of this machine, as the DIFIO_ variables describe it")
    def register(c: Context, name: Iterable[str] = (), local: bool = False, json: bool = False) -> None:
        """Send package lists to servers (DIFIO_URL, DIFIO_USER_ID override them), and missed rollouts to collectors."""
        from envfab.registration.delivery import register as deliver
        from envfab.registration.jobs import jobs_for
        from envfab.tasks.output.registrations import registrations_json, show_outcomes
        from envfab.tasks.shared.unsent_rollouts import rollouts_json, send_rollouts, show_rollouts

        run, names = TaskContext(fleet, c, json), list(name)
        local = local or not (fleet.all_hosts() or names)
        tells_rollouts = bool(fleet.collectors) and not local
        servers = registration_servers(fleet, one_virtualenv=local, needed=not tells_rollouts)
        with run.console as console, run.connections() as links:
            if local and (names or command_line_hosts()):
                raise UsageError(
                    "--local cannot be combined with names or -H", hint="--local is for the active virtualenv alone"
                )
            members = [existing(active_virtualenv())] if local else run.select(names)
            finds = run.probe_to_register(
                members if servers else [], links, any(server.needs_materials for server in servers)
            )
            run.check_release_log()
            probed = [(find.member, find.probe) for find in finds if find.probe is not None]
            jobs, unfit = jobs_for(probed, servers, release_log=fleet.at(fleet.release_log))
            outcomes = deliver(jobs, servers, console, os.environ)
            errors = [*(find.error for find in finds if find.error is not None), *unfit]
            code = show_outcomes(console, outcomes, errors)
            told = send_rollouts(run) if tells_rollouts else []
            undelivered = show_rollouts(console, told)
            if not servers and not told:
                console.print("no rollout waits for a collector, and no registration server is configured")
            if json:
                document = {"format": 1, "registrations": registrations_json(outcomes, errors)}
                console.json({**document, "rollouts": rollouts_json(told)} if tells_rollouts else document)
        if code or undelivered:
            raise Exit(code=code or undelivered)

    return register

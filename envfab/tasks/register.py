"""The task `register`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import EnvfabError, UsageError
from envfab.tasks.active_virtualenv import active_virtualenv, existing
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours
from envfab.tasks.fabric1.task import command_line_hosts
from envfab.tasks.registration_servers import registration_servers

if TYPE_CHECKING:
    from envfab.registration.jobs import RegistrationOutcome
    from envfab.tasks.output.console import Console


def task(fleet: Fleet) -> Any:
    """`register` for `fleet`."""

    @ours(local="the active virtualenv ($VIRTUAL_ENV) of this machine, and the DIFIO_ variables that describe it")
    def register(c: Context, name: Iterable[str] = (), local: bool = False, json: bool = False) -> None:
        """Send package lists to the configured servers (DIFIO_URL and DIFIO_USER_ID override them)."""
        from envfab.registration import delivery
        from envfab.registration.difio.registration import Variables
        from envfab.registration.jobs import jobs_for

        run, names = TaskContext(fleet, c, json), list(name)
        local = local or not (fleet.hosts or names)
        variables = Variables.read(os.environ)
        variables = variables if local else variables.for_a_fleet()
        servers = registration_servers(fleet, variables)
        with run.console as console, run.connections() as links:
            if local and (names or command_line_hosts()):
                raise UsageError("--local means the active virtualenv, and names mean others", hint="give one of them")
            members = [existing(active_virtualenv())] if local else run.select(names)
            finds = run.probe(members, links)
            probed = [(find.member, find.probe) for find in finds if find.probe is not None]
            jobs, unfit = jobs_for(probed, servers, variables, release_log=fleet.at(fleet.release_log))
            outcomes = delivery.register(jobs, servers, console, os.environ)
            unreachable = [find.error for find in finds if find.error is not None]
            code = _tell(console, outcomes, [*unreachable, *unfit])
            if json:
                console.json({"format": 1, "registrations": _registrations_json(outcomes, [*unreachable, *unfit])})
        if code:
            raise Exit(code=code)

    return register


def _tell(console: Console, outcomes: Sequence[RegistrationOutcome], errors: Sequence[EnvfabError]) -> int:
    """Print what the servers said; the exit status: theirs, where they agree, 1 for any trouble."""
    from envfab.registration.server_kinds import kind_of

    codes = {1} if errors else set()
    for error in errors:
        console.complain(str(error))
    several = len({outcome.job.target for outcome in outcomes if outcome.job.missed is None}) > 1
    told = ""
    for outcome in outcomes:
        if outcome.job.missed is not None:
            _tell_of_missed(console, outcome)
        elif outcome.answer is not None:
            if several and outcome.job.target != told:
                # the answer's own line is a contract, and does not say whose it is
                told = outcome.job.target
                console.print(told, "bold")
            console.print(f"{kind_of(outcome.job.server)}: {outcome.answer.message}")
            codes.add(outcome.answer.exit_code)
        else:
            console.complain(f"{outcome.job.target}: {outcome.error}")
            codes.add(1)
    codes.discard(0)
    return codes.pop() if len(codes) == 1 else int(bool(codes))


def _tell_of_missed(console: Console, outcome: RegistrationOutcome) -> None:
    if outcome.answer is not None:
        console.note(f"made up for: {outcome.job.target}: {outcome.answer.message}")


def _registrations_json(outcomes: Sequence[RegistrationOutcome], errors: Sequence[EnvfabError]) -> list[dict[str, Any]]:
    from envfab.planning.plan import status_without

    told = [_registration_json(outcome) for outcome in outcomes if outcome.job.missed is None]
    return told + [
        {"target": error.where, "status": status_without(error).value, "error": str(error)} for error in errors
    ]


def _registration_json(outcome: RegistrationOutcome) -> dict[str, Any]:
    from envfab.registration.difio.protocol import Registration
    from envfab.registration.server_kinds import kind_of
    from envfab.util.untrusted import shown_url

    sent, answer = outcome.job.registration, outcome.answer
    return {
        "target": outcome.job.target,
        "server": shown_url(outcome.job.server.url),
        "kind": kind_of(outcome.job.server),
        "uuid": sent.uuid if isinstance(sent, Registration) else None,
        "name": sent.name,
        "packages": len(sent.packages) if isinstance(sent, Registration) else sent.components,
        "status": "failed" if answer is None else "refused" if answer.exit_code else "registered",
        "exit_code": answer.exit_code if answer else None,
        "message": answer.message if answer else None,
        "processed": outcome.processed,
        "error": str(outcome.error) if outcome.error else None,
    }

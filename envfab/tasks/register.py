"""The tasks `register`, `register_hook` and `sbom`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet, Host, Member, Target, Virtualenv
from envfab.config.servers import Server
from envfab.errors import EnvfabError, UsageError
from envfab.tasks.command_line import how_to_call
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours
from envfab.tasks.fabric1.task import command_line_hosts
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from envfab.registration.difio.registration import Variables
    from envfab.registration.hooks.activation import Call
    from envfab.registration.jobs import RegistrationOutcome
    from envfab.remote.probe import ProbeResult
    from envfab.remote.ssh.connections import Connections
    from envfab.tasks.output.console import Console


def tasks(fleet: Fleet) -> list[Any]:
    """`register`, `register_hook` and `sbom` for `fleet`."""

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
        servers = _servers(fleet, variables)
        with run.console as console, run.connections() as links:
            if local and (names or command_line_hosts()):
                raise UsageError("--local means the active virtualenv, and names mean others", hint="give one of them")
            members = [_there(_active())] if local else run.select(names)
            finds = _look(run, members, links)
            probed = [(find.member, find.probe) for find in finds if find.probe is not None]
            jobs, unfit = jobs_for(probed, servers, variables, release_log=fleet.at(fleet.release_log))
            outcomes = delivery.register(jobs, servers, console, os.environ)
            unreachable = [find.error for find in finds if find.error is not None]
            code = _tell(console, outcomes, [*unreachable, *unfit])
            if json:
                console.json({"format": 1, "registrations": _registrations_json(outcomes, [*unreachable, *unfit])})
        if code:
            raise Exit(code=code)

    @ours(
        workon="for every virtualenv that virtualenvwrapper activates, instead of the active one",
        cron="for the whole fleet (without hosts: the active virtualenv), as a line in your crontab",
        schedule="when cron registers, as crontab(5) writes it (default: every day at 4:37)",
        remove="undo it",
    )
    def register_hook(
        c: Context, workon: bool = False, cron: bool = False, schedule: str = "", remove: bool = False
    ) -> None:
        """Register whenever the active virtualenv is activated (or from cron); twice changes nothing."""
        from envfab.registration.difio.registration import Variables
        from envfab.registration.hooks import activation, crontab

        run = TaskContext(fleet, c)
        if (workon and cron) or (schedule and not cron):
            raise UsageError("--workon, and --cron with its --schedule, exclude each other")
        if not remove:
            _servers(fleet, Variables.read(os.environ))
            if not (workon or (cron and fleet.hosts)):
                _there(_active())
        with run.console as console:
            if cron:
                call = _cron_call(fleet, *how_to_call(register))
                done = crontab.remove(call) if remove else crontab.install(call, schedule or crontab.DAILY)
                console.print("the crontab was changed" if done else "the crontab is as it should be")
                return
            names = activation.FLEET_VARIABLES if workon else activation.VARIABLES
            call = activation.Call(*how_to_call(register), _set_variables(names))
            hooks = activation.global_hooks(os.environ)
            place = hooks if workon else Path(_active().target.path)
            if remove:
                changed = activation.remove(place if workon else place / "bin")
            else:
                changed = activation.install_for_all(place, call) if workon else activation.install(place, call)
            for path in changed:
                console.print(f"{'changed' if path.exists() else 'removed'}  {path}")
            if not changed:
                console.print("nothing to change")

    @ours(output="a folder: one file for each virtualenv (default: standard output, one line for each)")
    def sbom(c: Context, name: Iterable[str] = (), output: str = "") -> None:
        """Describe virtualenvs as software bills of materials: CycloneDX 1.6, JSON."""
        from envfab.sbom import Digests, document, write
        from envfab.wheelhouse.release_log.storage import LogFile

        run = TaskContext(fleet, c, as_json=not output)
        folder = user_path(output, "--output") if output else Path()
        if folder.is_file():
            raise UsageError(f"{output!r} is a file: name a folder", where="--output")
        with run.console as console, run.connections() as links:
            names = list(name)
            members = run.select(names) if fleet.hosts or names else [_there(_active())]
            finds = _look(run, members, links)
            digests = Digests(LogFile(fleet.at(fleet.release_log)).read())
            for find in finds:
                if find.probe is None:
                    _complain(console, str(find.error))
                elif output:
                    text = document(find.probe, digests, indent=2)
                    console.print(str(write(folder, find.member.target, text)))
                else:
                    console.line(document(find.probe, digests))
        if any(find.error is not None for find in finds):
            raise Exit(code=1)

    return [register, register_hook, sbom]


def _servers(fleet: Fleet, variables: Variables) -> tuple[Server, ...]:
    servers = variables.servers(fleet.registration)
    if not servers:
        raise UsageError(
            "no registration server is configured", hint="say Fleet(registration=[Difio(URL)]), or set DIFIO_URL"
        )
    return servers


def _active() -> Member:
    """The active virtualenv of this machine, whoever owns it, as a member of no fleet."""
    path = os.environ.get("VIRTUAL_ENV", "")
    if not os.path.isabs(path):
        raise UsageError("no virtualenv is active: VIRTUAL_ENV is not set", hint="activate one first")
    virtualenv = Virtualenv(path)
    try:
        owner = Path(virtualenv.path).owner()
    except (OSError, KeyError):
        owner = str(os.getuid())
    return Member(Target(owner, "localhost", virtualenv.path), Host("localhost"), virtualenv, owner)


def _there(member: Member) -> Member:
    """The active virtualenv, which may have been removed or moved since it was activated; raises `UsageError`."""
    path = member.target.path
    try:
        os.stat(os.path.join(path, "bin", "python"))
    except (FileNotFoundError, NotADirectoryError):
        what = "no virtualenv is there any more, or its interpreter is gone"
        raise UsageError(what, where=f"VIRTUAL_ENV={path}", hint="activate another one") from None
    except OSError:
        # the agent says what is in its way
        pass
    return member


def _look(run: TaskContext, members: Sequence[Member], links: Connections) -> list[ProbeResult]:
    from envfab.remote.probe import survey

    settings = run.settings
    with survey(
        members,
        links,
        run.console,
        parallel=settings.parallel,
        timeout=settings.command_timeout,
        look=lambda found: found,
    ) as finds:
        return finds.all()


def _tell(console: Console, outcomes: Sequence[RegistrationOutcome], errors: Sequence[EnvfabError]) -> int:
    """Print what the servers said; the exit status: theirs, where they agree, 1 for any trouble."""
    from envfab.registration.server_kinds import kind_of

    codes = {1} if errors else set()
    for error in errors:
        _complain(console, str(error))
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
            _complain(console, f"{outcome.job.target}: {outcome.error}")
            codes.add(1)
    codes.discard(0)
    return codes.pop() if len(codes) == 1 else int(bool(codes))


def _tell_of_missed(console: Console, outcome: RegistrationOutcome) -> None:
    if outcome.answer is not None:
        console.note(f"made up for: {outcome.job.target}: {outcome.answer.message}")


def _complain(console: Console, message: str) -> None:
    console.note(f"envfab: {message}", "red")


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


def _set_variables(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _cron_call(fleet: Fleet, folder: str, command: Sequence[str]) -> Call:
    """What cron calls; nothing of it may be a secret, for everybody sees what cron runs."""
    from envfab.registration.hooks.activation import FLEET_VARIABLES, VARIABLES, Call

    variables = _set_variables(FLEET_VARIABLES if fleet.hosts else VARIABLES)
    if "@" in variables.get("DIFIO_URL", ""):
        raise UsageError("its password would stand in the crontab", where="DIFIO_URL", hint="say Difio(URL, token=…)")
    if fleet.hosts:
        return Call(folder, command, variables)
    path = _active().target.path
    return Call(folder, [*command, "--local"], {"VIRTUAL_ENV": path, **variables}, of=path)

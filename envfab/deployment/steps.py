"""The steps of one deployment, in order. Each is a function of the `Work` that it carries on.

`STEPS` is the order; a step that needs nothing done returns at once. What a step raises ends the deployment.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from envfab.deployment.gates import Gates
from envfab.deployment.proposal import Proposal
from envfab.deployment.record import Caller, now
from envfab.errors import AgentError, DeploymentError, Disconnected, Unreachable
from envfab.facts.probe import Probe
from envfab.fleet import Command, Project
from envfab.managed import bundle
from envfab.managed.session import Identity, OperationFailed, Session, run_command, start_agent
from envfab.managed.survey import Site, to_probe
from envfab.planning.health import unmet
from envfab.planning.plan import Action, Kind, Status
from envfab.reporter import Reporter
from envfab.settings import Settings
from envfab.wheelhouse.house import House

CHECK_PAUSE = 1.0
APPLIED = re.compile(r"^\s*Applying (\S+?)\.\.\. .*OK", re.MULTILINE)
# what people need of a child's output when it failed
SHOWN_OUTPUT = 2000


class PlanChanged(DeploymentError):
    """The virtualenv is not as it was when the plan was made, and nobody agreed to another one."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all deployments of a rollout share."""

    rollout: str
    caller: Caller
    house: House
    settings: Settings
    gates: Gates
    reporter: Reporter
    force: bool
    # asked where a virtualenv changed since its plan was made: the proposal to go on with, or None
    reconsider: Callable[[Proposal, Probe], Proposal | None]


@dataclass(slots=True)
class Work:
    """One deployment under way."""

    id: str
    proposal: Proposal
    site: Site
    around: Surroundings
    # where the host's own reload runs once for all of its virtualenvs, it is not this work's
    host_reload: bool = True
    done: list[str] = field(default_factory=list)
    migrated: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The target, as messages name it."""
        return str(self.proposal.member.target)

    @property
    def agent(self) -> Session:
        """The owner's agent."""
        return self.site.agent()

    def says(self, step: str) -> None:
        """Tell that it has come to a step."""
        self.around.reporter.working(self.where, step)

    @property
    def nothing_left(self) -> bool:
        """Whether, seen under the lock, there is nothing to do after all."""
        return self.proposal.plan.status is Status.CURRENT


def lock(work: Work) -> None:
    """Take the virtualenv's lock, and see under it whether it still is as the plan took it to be."""
    caller = work.around.caller
    work.agent.load(bundle.DEPLOY)
    holder = {"format": 1, "who": caller.who, "from": caller.origin, "since": now(), "deployment": work.id}
    probe = to_probe(work.proposal.member.target, work.agent.ask("lock", holder=holder)["probe"])
    if probe.fingerprint == work.proposal.plan.fingerprint:
        return
    again = work.around.reconsider(work.proposal, probe)
    if again is None:
        raise PlanChanged("it changed since the plan was made; nothing was done", where=work.where)
    work.proposal = again


def upload(work: Work) -> None:
    """Send the wheels that the host's cache lacks; whoever shares the cache waits and then sends nothing."""
    house = work.around.house
    hashes = {house.sha256(wheel): wheel for wheel in work.proposal.wheels}
    target = work.proposal.member.target
    with work.around.gates.one_at_a_time(("cache", target.host, target.owner)):
        lacking = work.agent.ask("lacking", hashes=list(hashes))["lacking"]
        for number, sha256 in enumerate(lacking, 1):
            path = house.path_of(hashes[sha256])
            work.says(f"sending wheel {number} of {len(lacking)}: {path.name}")
            with path.open("rb") as stream:
                size = path.stat().st_size
                chunks = iter(lambda: stream.read(1 << 18), b"")
                work.agent.send_file("store", chunks, size, sha256=sha256, filename=path.name)


def before(work: Work) -> None:
    """Run the commands that the fabfile wants run first."""
    _run_all(work, "before", work.proposal.member.virtualenv.commands("before"))


def install(work: Work) -> None:
    """Install and remove what the plan says, in one call of pip."""
    house, settings = work.around.house, work.around.settings
    actions = work.proposal.plan.actions
    wheels = [
        _wheel_fields(action.wheel.filename, action, house.sha256(action.wheel)) for action in actions if action.wheel
    ]
    pip = work.proposal.pip_wheel
    work.says(f"installing {len(wheels)} wheels" if len(wheels) != 1 else f"installing {actions[0].shown_as}")
    reply = work.agent.ask(
        "install",
        wheels=wheels,
        remove=[action.shown_as for action in actions if action.kind is Kind.REMOVE],
        pip_wheel=pip
        and {"filename": pip.filename, "sha256": house.sha256(pip), "name": "pip", "version": str(pip.version)},
        compile=settings.compile,
        umask=settings.umask,
    )
    _compare(work, to_probe(work.proposal.member.target, reply["probe"]))


def _wheel_fields(filename: str, action: Action, sha256: str) -> dict[str, Any]:
    return {"name": str(action.name), "version": str(action.version), "filename": filename, "sha256": sha256}


def _compare(work: Work, after: Probe) -> None:
    """The versions must be what the plan says, and no requirement broken that was whole before."""
    for action in work.proposal.plan.actions:
        there = after.distributions.get(action.name)
        expected = None if action.kind is Kind.REMOVE else action.version
        if (there.version if there else None) != expected:
            found = f"{there.version_text} is installed" if there else "it is not installed"
            raise DeploymentError(f"{action.shown_as} should be {expected or 'gone'}, but {found}", where=work.where)
    before = unmet(work.proposal.probe) if work.proposal.probe else frozenset()
    broken = unmet(after) - before
    if broken and not work.around.force:
        raise DeploymentError(f"after the installation {'; '.join(sorted(broken))}", where=work.where)


def verify(work: Work) -> None:
    """The files of all that was installed must be what their RECORD says."""
    names = [str(action.name) for action in work.proposal.plan.actions if action.wheel]
    wrong: Mapping[str, list[str]] = work.agent.ask("verify", names=names)["wrong"] if names else {}
    if wrong:
        first, problems = next(iter(wrong.items()))
        raise DeploymentError(f"files of {first} are not as its RECORD says: {'; '.join(problems)}", where=work.where)


def migrate(work: Work) -> None:
    """Bring each project's database up to date, once a database, and run the project's own commands."""
    gates, target = work.around.gates, work.proposal.member.target
    for project in work.proposal.member.virtualenv.projects:
        if project.database is not None and project.migrate:
            with gates.database(project.database, target) as first:
                if first:
                    _migrate(work, project)
        elif project.migrate:
            with gates.one_at_a_time(("settings", project.settings)):
                _migrate(work, project)
        for command in project.commands:
            work.says(f"running {command}")
            _django_admin(work, project, shlex.split(command), command)


def _migrate(work: Work, project: Project) -> None:
    work.says(f"migrating {project.settings}")
    output = _django_admin(work, project, ["migrate", "--noinput", "--no-color"], "migrate")
    work.migrated += APPLIED.findall(output)


def _django_admin(work: Work, project: Project, arguments: list[str], title: str) -> str:
    with _agent_of(work, project) as agent:
        agent.load(bundle.PROJECTS)
        try:
            reply = agent.ask(
                "django_admin",
                settings=project.settings,
                arguments=arguments,
                env=dict(project.env),
                env_file=project.env_file,
            )
        except OperationFailed as error:
            # what was applied before the failing migration stays applied
            work.migrated += APPLIED.findall(error.output)
            what = f"django-admin {title} of {project.settings} {error.what}"
            raise OperationFailed(what, where=work.where, kind=error.kind, output=error.output) from None
    return str(reply["output"])


@contextmanager
def _agent_of(work: Work, project: Project) -> Iterator[Session]:
    """The agent that runs as the project's user: the owner's own, or a second one."""
    identity = work.site.as_user(project.user or work.proposal.member.target.owner)
    if identity == work.site.owner:
        yield work.agent
        return
    path = work.proposal.member.virtualenv.path
    with start_agent(
        work.site.reserve(),
        f"{path}/bin/python",
        path,
        where=f"{work.where} as {project.user}",
        identity=identity,
        modules=bundle.PROBE,
        timeout=work.site.timeout,
    ) as session:
        yield session


def reload(work: Work) -> None:
    """Reload the services that use the virtualenv."""
    member = work.proposal.member
    _run_all(work, "reload", member.virtualenv.commands("reload"))
    if work.host_reload:
        _run_all(work, "reload", member.host.reload_commands(member.virtualenv))


def check(work: Work) -> None:
    """Ask the fabfile's checks whether all is well, again and again until the time or the tries are used up."""
    settings = work.around.settings
    for command in work.proposal.member.virtualenv.commands("check"):
        deadline = time.monotonic() + settings.check_timeout
        for attempt in range(settings.check_retries + 1):
            work.says(f"checking ({attempt + 1})" if attempt else "checking")
            left = deadline - time.monotonic()
            try:
                status, output = _run(work, command, max(left, 1.0))
            except Disconnected:
                status, output = None, "it gave no answer in time"
            if status == 0:
                break
            if attempt == settings.check_retries or deadline - time.monotonic() < CHECK_PAUSE:
                raise OperationFailed(
                    f"the check {command.text!r} ended with status {status} ({attempt + 1} tries)",
                    where=work.where,
                    kind="check",
                    output=output,
                )
            time.sleep(CHECK_PAUSE)


def record(work: Work) -> None:
    """Write down what came where."""
    wheels = [action.wheel for action in work.proposal.plan.actions if action.wheel]
    work.around.house.log_install(work.proposal.member.target, wheels, work.id)


def _run_all(work: Work, title: str, commands: tuple[Command, ...]) -> None:
    for command in commands:
        work.says(f"{title}: {command.text}")
        status, output = _run(work, command, work.around.settings.command_timeout)
        if status != 0:
            raise OperationFailed(
                f"the {title} command {command.text!r} ended with status {status}",
                where=work.where,
                kind=title,
                output=output,
            )


def _run(work: Work, command: Command, timeout: float | None) -> tuple[int | None, str]:
    identity: Identity = work.site.as_user(command.user)
    outcome = run_command(work.site.reserve(), command.text, where=work.where, identity=identity, timeout=timeout)
    return outcome.status, outcome.output


@dataclass(frozen=True, slots=True)
class Step:
    """A step's name and what it does."""

    name: str
    run: Callable[[Work], None]


# up to where a host's virtualenvs are ready for the one reload that they share
MAKING = tuple(Step(step.__name__, step) for step in (lock, upload, before, install, verify, migrate, reload))
ENDING = tuple(Step(step.__name__, step) for step in (check, record))
STEPS = MAKING + ENDING

# what a step can raise on purpose, and how it says that nobody could be spoken with
FAILURES = (AgentError, DeploymentError, Unreachable)

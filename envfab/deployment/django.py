"""Django projects of a virtualenv: migrations once a database, and the projects' own commands."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from envfab.config.project import Project
from envfab.deployment.breaking_migrations import require_safe
from envfab.deployment.context import DeploymentContext
from envfab.deployment.observers import CommandEnded
from envfab.models.migration_plan import Migration, MigrationPlan
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_output
from envfab.remote.agent_session import OperationFailed, Session, start_agent
from envfab.remote.migration_replies import to_migration_plan
from envfab.remote.startup import last_line

BEGUN = re.compile(r"^\s*Applying (\S+?)\.\.\.", re.MULTILINE)
# Django writes it after each migration that succeeds; output of the migration itself may come before it
OK = re.compile(r" OK(?: \(\d+\.\d+s\))?\s*$", re.MULTILINE)
TRACEBACK = "Traceback (most recent call last)"
# how an agent says that a command ended
STATUS = re.compile(r"^ended with status (\d+)$")
# kinds of the agent's error replies: the Django command exited with an error, or was killed
ENDED, KILLED = "django", "django-killed"
# `migrate --plan` prints a migration's name at the start of a line, and its operations indented
PLANNED = re.compile(r"^(\w+\.\w+)$", re.MULTILINE)


def migrate_all(work: DeploymentContext) -> None:
    """Migrate each project's database and run the project's commands; a rollback does not migrate.

    Raises `OperationFailed` if a command fails, `DeploymentError` if another deployment failed to migrate the database.
    """
    gates, target = work.around.gates, work.proposal.member.target
    for project in work.proposal.member.virtualenv.projects:
        if project.migrate and work.proposal.undoes is None:
            if project.database is None:
                with gates.one_at_a_time(("settings", project.settings)):
                    _migrate(work, project)
            else:
                with gates.database(project.database, target) as first:
                    if first:
                        planned = _migrate(work, project)
                        gates.tell(project.database, planned, [name for name in planned if name in work.breaking])
                    else:
                        work.breaking += gates.breaking(project.database)
                        work.plans_migrations(gates.planned(project.database), applied=True)
        for command in project.commands:
            work.says(f"running {command}")
            _django_admin(work, project, shlex.split(command), command)


def _migrate(work: DeploymentContext, project: Project) -> tuple[str, ...]:
    """Judge and apply the project's migrations; return their names, which are written into the journal first."""
    plan = _plan(work, project)
    require_safe(work, project, plan)
    planned = plan.names
    work.plans_migrations(planned)
    work.says(f"migrating {project.settings}{_named(work, planned)}")
    try:
        output = _django_admin(work, project, ["migrate", "--noinput", "--no-color"], "migrate")
    except OperationFailed as error:
        if error.kind in (ENDED, KILLED):
            _sort(work, planned, progress(error.output), known=error.kind == ENDED)
        raise
    found = progress(output)
    _sort(work, planned, MigrationProgress((*found.applied, *found.unfinished, *planned)), known=True)
    work.note_migrations()
    return planned


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """How far `migrate` got: the migrations that it applied, and the last one if it was started but not finished."""

    applied: tuple[str, ...]
    unfinished: tuple[str, ...] = ()


def progress(output: str) -> MigrationProgress:
    """Parse the output of `migrate` into the migrations that it applied and the one that it did not finish."""
    begun = list(BEGUN.finditer(output))
    if not begun:
        return MigrationProgress(())
    names = tuple(match[1] for match in begun)
    # Django starts a migration only after the one before it has succeeded
    said = output[begun[-1].end() :].partition(TRACEBACK)[0]
    return MigrationProgress(names) if OK.search(said) else MigrationProgress(names[:-1], names[-1:])


def _sort(work: DeploymentContext, planned: Sequence[str], found: MigrationProgress, known: bool) -> None:
    """Record for each migration whether it was applied, was not (it failed or was never started), or is uncertain.

    `known` says that `migrate` exited by itself, so a migration that it did not finish has failed.
    """
    work.migrated += [name for name in dict.fromkeys(found.applied) if name not in work.migrated]
    open_ = () if known else found.unfinished
    work.uncertain = [*(name for name in work.uncertain if name not in planned), *open_]
    left = dict.fromkeys((*found.unfinished, *planned))
    work.unapplied += [name for name in left if name not in found.applied and name not in open_]


def _named(work: DeploymentContext, planned: tuple[str, ...]) -> str:
    """The migrations for the progress line: their names, or only their number if the rollout named them before."""
    if len(planned) < 2 or work.around.gates.is_first_to_plan(planned):
        return f"{': ' if planned else ''}{', '.join(planned)}"
    return f": the same {len(planned)} migrations"


def _plan(work: DeploymentContext, project: Project) -> MigrationPlan:
    """The migrations that `migrate` would apply, as the generation's Django tells; nothing is applied.

    If the project is broken, `migrate` itself fails afterwards with the reason.
    """
    try:
        reply = _ask(work, project, "migration_plan", program=agent_sources.program("migration_plan"))
        plan = to_migration_plan(reply, work.where)
    except OperationFailed as error:
        plan = MigrationPlan("", untold=last_line(error.output) or error.what)
    if not plan.untold:
        return plan
    return replace(plan, migrations=tuple(map(Migration, _names(work, project))))


def _names(work: DeploymentContext, project: Project) -> tuple[str, ...]:
    """The names of the migrations that `migrate` would apply; empty if Django cannot tell (before 2.2)."""
    try:
        return tuple(PLANNED.findall(_django_admin(work, project, ["migrate", "--plan", "--no-color"], "migrate")))
    except OperationFailed:
        return ()


def _django_admin(work: DeploymentContext, project: Project, arguments: list[str], title: str) -> str:
    work.after = None
    began = time.monotonic()
    try:
        reply = _ask(work, project, "django_admin", arguments=arguments)
    except OperationFailed as error:
        status = STATUS.search(error.what)
        _tell(work, project, arguments, int(status[1]) if status else None, error.output, began)
        what = f"django-admin {title} of {project.settings} {error.what}"
        raise OperationFailed(what, where=work.where, kind=error.kind, output=error.output) from None
    output, shown = to_output(reply, work.where)
    _tell(work, project, arguments, 0, shown, began)
    return output


def _ask(work: DeploymentContext, project: Project, operation: str, **fields: Any) -> dict[str, Any]:
    """Ask the agent of the project's user for an operation of `agent.django`."""
    environment = {"settings": project.settings, "env": dict(project.env), "env_file": project.env_file}
    with _agent_of(work, project) as agent:
        agent.load(agent_sources.DJANGO)
        return agent.ask(operation, **environment, **fields, number=work.next_generation)


def _tell(  # which command of which deployment, and how it ended
    work: DeploymentContext, project: Project, arguments: list[str], status: int | None, output: str, began: float
) -> None:
    """Tell the observers how a command ended."""
    command = shlex.join(["python", "-m", "django", *arguments])
    target, user, seconds = work.proposal.member.target, project.user, time.monotonic() - began
    work.tell(CommandEnded(work.id, target, project.settings, command, user, status, output, seconds))


@contextmanager
def _agent_of(work: DeploymentContext, project: Project) -> Iterator[Session]:
    """Yield an agent that runs as the project's user: the owner's agent, or a second one."""
    identity = work.site.as_user(project.user or work.proposal.member.target.owner)
    if identity == work.site.owner:
        yield work.agent
        return
    path = work.proposal.member.virtualenv.path
    with start_agent(
        work.site,
        f"{path}/bin/python",
        path,
        where=f"{work.where} as {project.user}",
        identity=identity,
        modules=agent_sources.PROBE,
        timeout=work.site.timeout,
    ) as session:
        session.load(agent_sources.DJANGO)
        session.ask("hold")
        yield session

"""Django projects of a virtualenv: migrations once a database, and the projects' own commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from envfab.config.fleet import Project
from envfab.deployment.context import DeploymentContext
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_output
from envfab.remote.agent_session import OperationFailed, Session, start_agent

APPLIED = re.compile(r"^\s*Applying (\S+?)\.\.\. .*OK", re.MULTILINE)
# `migrate --plan` indents what a migration does, and names it unindented
PLANNED = re.compile(r"^(\w+\.\w+)$", re.MULTILINE)


def migrate_all(work: DeploymentContext) -> None:
    """Bring each project's database up to date, and run its commands; a rollback leaves databases as they are."""
    gates, target = work.around.gates, work.proposal.member.target
    for project in work.proposal.member.virtualenv.projects:
        if project.migrate and work.proposal.undoes is None:
            if project.database is None:
                with gates.one_at_a_time(("settings", project.settings)):
                    _migrate(work, project)
            else:
                with gates.database(project.database, target) as first:
                    if first:
                        gates.tell(project.database, _migrate(work, project))
                    else:
                        work.plans_migrations(gates.planned(project.database))
        for command in project.commands:
            work.says(f"running {command}")
            _django_admin(work, project, shlex.split(command), command)


def _migrate(work: DeploymentContext, project: Project) -> tuple[str, ...]:
    """Apply the project's migrations; which they are is written down first, and returned."""
    planned = _planned(work, project)
    work.plans_migrations(planned)
    work.says(f"migrating {project.settings}{': ' if planned else ''}{', '.join(planned)}")
    output = _django_admin(work, project, ["migrate", "--noinput", "--no-color"], "migrate")
    work.migrated += APPLIED.findall(output)
    return planned


def _planned(work: DeploymentContext, project: Project) -> tuple[str, ...]:
    """What `migrate` would apply; nothing where Django cannot say (before 2.2), or where migrating will say why."""
    try:
        return tuple(PLANNED.findall(_django_admin(work, project, ["migrate", "--plan", "--no-color"], "migrate")))
    except OperationFailed:
        return ()


def _django_admin(work: DeploymentContext, project: Project, arguments: list[str], title: str) -> str:
    work.after = None
    with _agent_of(work, project) as agent:
        agent.load(agent_sources.DJANGO)
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
    return to_output(reply, work.where)


@contextmanager
def _agent_of(work: DeploymentContext, project: Project) -> Iterator[Session]:
    """The agent that runs as the project's user: the owner's own, or a second one."""
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

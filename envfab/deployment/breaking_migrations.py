"""Safety of migrations: a migration that breaks older code is refused where such code still runs, else warned of."""

from __future__ import annotations

from collections.abc import Sequence

from envfab.config.project import ANY, EXPAND_ONLY, Project
from envfab.config.target import Target
from envfab.deployment.context import DeploymentContext
from envfab.errors import DeploymentError
from envfab.models.migration_plan import MigrationPlan
from envfab.planning.migration_verdicts import Verdict, judge

SHOWN_TARGETS = 3
SHOWN_VERDICTS = 10
WAY_OUT = "deploy in steps (expand, deploy, contract: see docs/migrations.md), or pass --allow-breaking-migrations"


def require_safe(work: DeploymentContext, project: Project, plan: MigrationPlan) -> None:
    """Judge the migrations before any is applied, and warn of what is wrong with them.

    Raises `DeploymentError` if one breaks older code, and `project.migrations` or other virtualenvs of the database,
    which still run older code, are against that.
    """
    verdicts = judge(plan)
    work.verdicts += [verdict for verdict in verdicts if verdict not in work.verdicts]
    breaking = [verdict for verdict in verdicts if verdict.breaking]
    reason = _objection(work, project) if breaking else ""
    if reason:
        lines = "".join(f"\n  {line}" for line in _shown(breaking))
        raise DeploymentError(f"no migration was applied, since {reason}:{lines}", where=work.where, hint=WAY_OUT)
    work.breaking += dict.fromkeys(verdict.migration for verdict in breaking)
    for line in _shown(verdicts):
        work.around.reporter.warning(f"{work.where}: {line}")


def _objection(work: DeploymentContext, project: Project) -> str:
    """The reason why a breaking migration must not be applied now; empty if it may be."""
    if work.around.allow_breaking or project.migrations == ANY:
        return ""
    if project.migrations == EXPAND_ONLY:
        return f"{project.settings} takes no migrations that break older code (migrations={EXPAND_ONLY!r})"
    others = work.around.old_code.beside(project.database, work.proposal.member.target)
    if not others:
        return ""
    one = len(others) == 1
    return f"{_named(others)} still {'runs' if one else 'run'} older code on database {project.database}"


def _named(targets: Sequence[Target]) -> str:
    more = len(targets) - SHOWN_TARGETS
    return ", ".join(map(str, targets[:SHOWN_TARGETS])) + (f" and {more} more" if more > 0 else "")


def _shown(verdicts: Sequence[Verdict]) -> list[str]:
    more = len(verdicts) - SHOWN_VERDICTS
    lines = [str(verdict) for verdict in verdicts[:SHOWN_VERDICTS]]
    return [*lines, f"and {more} more, which deploy --json lists"] if more > 0 else lines

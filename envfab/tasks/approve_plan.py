"""The task `approve_plan`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.plan_approval import approval_key, approve
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from envfab.deployment.plan_file import SavedPlan
    from envfab.deployment.proposal import Proposal


def task(fleet: Fleet) -> Any:
    """`approve_plan` for `fleet`."""

    @ours("file", True, file="a plan that was saved by `fab plan --out FILE`")
    def approve_plan(c: Context, file: str = "", yes: bool = False) -> None:
        """Show a saved plan, ask, and sign it, so that others may deploy it."""
        from envfab.deployment.plan_file import load
        from envfab.tasks.output.plans import summary
        from envfab.tasks.shared.prompt import show

        run = TaskContext(fleet, c)
        if not file:
            raise UsageError("approve_plan needs a file", hint="fab approve_plan:plan.json")
        place = user_path(file, "file")
        saved = load(place)
        proposals = _proposals(run, saved, file)
        key = approval_key(run)
        with run.console as console:
            if not yes:
                console.require_terminal("approve_plan")
            show(console, proposals)
            for line in _besides(saved):
                console.print(line)
            console.print(summary(proposals, saved.slice), "bold")
            if not yes and not console.confirm(f"Approve {file} with {key.fingerprint}?"):
                raise Exit(code=1)
            approve(run, place, saved.sha256, key)

    return approve_plan


def _besides(saved: SavedPlan) -> list[str]:
    """Return what is approved besides the plans: that they may break packages, and their waves."""
    forced = [str(target) for target, plan in saved.plans.items() if plan.force]
    lines = [f"may break packages outside of the requirements (--force): {', '.join(forced)}"] if forced else []
    if saved.waves is not None and saved.waves.canaries:
        lines.append(f"first to: {', '.join(sorted(map(str, saved.waves.canaries)))}")
    if saved.waves is not None and saved.waves.batch is not None:
        lines.append(f"in waves of: {saved.waves.batch}")
    return lines


def _proposals(run: TaskContext, saved: SavedPlan, file: str) -> list[Proposal]:
    """Return the plans as they are shown; raises `UsageError` for virtualenvs that the fabfile does not have."""
    from envfab.deployment.proposal import Proposal
    from envfab.deployment.proposal_work import NOTHING_REQUIRED

    members = {member.target: member for member in run.fleet.members(run.login)}
    strange = [str(target) for target in saved.plans if target not in members]
    if strange:
        raise UsageError(
            f"the plan is for {strange[0]}, which is not in this fabfile",
            where=file,
            hint="approve it with the fabfile that made it",
        )
    return [
        Proposal(members[target], NOTHING_REQUIRED, plan, commands=saved.commands[target])
        for target, plan in saved.plans.items()
    ]

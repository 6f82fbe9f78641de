"""Who must approve a saved plan before it is deployed, and the keys of those who approve and deploy."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from pathlib import Path
from typing import TYPE_CHECKING

from envfab.errors import UsageError
from envfab.tasks.shared.command_line import command, flags
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.signing_key import signing_key
from envfab.util.paths import user_path
from envfab.util.times import present

if TYPE_CHECKING:
    from envfab.deployment.plan_file import SavedPlan
    from envfab.signatures.allowed_signers import AllowedSigners
    from envfab.signatures.ssh_keygen import SigningKey


def approval_key(run: TaskContext) -> SigningKey:
    """Return the key to approve plans with; raises `ConfigurationError` if there is none, or it may not approve."""
    from envfab.deployment.approvals import APPROVAL

    key = signing_key(run.fleet, run.console.can_ask, "an approval must be signed")
    allowed = _allowed(run)
    return key if allowed is None else allowed.require(key, APPROVAL, present())


def approve(run: TaskContext, plan: Path, sha256: str, key: SigningKey) -> None:
    """Write an approval of the plan with that digest beside its file, and say so; raises `EnvfabError`."""
    from envfab.deployment.approvals import Approval, add_approval, approvals_file

    add_approval(plan, Approval.sign(sha256, key, present()))
    run.console.print(f"approved in {approvals_file(plan)} with {key.fingerprint} ({key.path})")


def approve_command(run: TaskContext, plan: str) -> str:
    """Return the command line that approves the plan in a file, named as it was typed."""
    return command(run.fleet, "approve_plan", *flags(file=plan))


def require_approval(run: TaskContext, plan: str, saved: SavedPlan | None, force: bool) -> tuple[str, ...]:
    """Return who approved the saved plan in the file `plan`; nothing if the fleet has no approvers.

    Raises `EnvfabError` if it has, and no other person than the one who deploys approved this very plan, or if it is to
    be carried out with a `force` that it was not made with.
    """
    if run.fleet.approvers is None:
        return ()
    if saved is None:
        made = command(run.fleet, "plan", *flags(out="FILE"), "--sign")
        raise UsageError(
            "this fleet has approvers, so only saved plans that one of them approved are deployed",
            hint=f"{made}; then another person: {command(run.fleet, 'deploy', *flags(plan='FILE'))}",
        )
    if force and not all(saved.plans[target].force for target in saved.deployable):
        made = command(run.fleet, "plan", *flags(force=True, out="FILE"), "--sign")
        raise UsageError(
            "--force is not part of the plan that was approved", where=plan, hint=f"{made} makes one with it"
        )
    from envfab.deployment.approvals import DEPLOYMENT, Approvers, prove_deployer, read_approvals

    allowed = _allowed(run)
    assert allowed is not None
    key = signing_key(run.fleet, run.console.can_ask, "another person must approve what you deploy, so you must sign")
    if allowed.names(DEPLOYMENT):
        allowed.require(key, DEPLOYMENT, present())
    approvals = read_approvals(user_path(plan, "--plan"))
    hint = f"let another person, whose key is in {run.fleet.approvers}, approve it: {approve_command(run, plan)}"
    names = Approvers(allowed, present()).approved_by(approvals, saved.sha256, key, hint)
    prove_deployer(key, saved.sha256, present())
    return names


def _allowed(run: TaskContext) -> AllowedSigners | None:
    from envfab.signatures.allowed_signers import AllowedSigners

    return AllowedSigners.read(run.fleet.at(run.fleet.approvers)) if run.fleet.approvers is not None else None

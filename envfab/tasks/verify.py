"""The task `verify`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import at_least, ours
from envfab.tasks.output.wheelhouse import show_wheelhouse
from envfab.tasks.shared.command_line import command, flags
from envfab.tasks.shared.context import TaskContext
from envfab.util.paths import output_path

if TYPE_CHECKING:
    from envfab.deployment.proposal import Proposal
    from envfab.deployment.verification import Verification
    from envfab.models.probe import Probe
    from envfab.remote.probe import TargetSession


def task(fleet: Fleet) -> Any:
    """`verify` for `fleet`."""

    @ours(
        check="exit with 2 if something differs, or if it is not known what was deployed",
        repair="bring back what was deployed, from the wheelhouse: plan, show, ask, carry out",
    )
    def verify(
        c: Context,
        name: Iterable[str] = (),
        check: bool = False,
        repair: bool = False,
        yes: bool = False,
        wait: int = 0,
        metrics: str = "",
        json: bool = False,
    ) -> None:
        """Show what was changed in virtualenvs since they were deployed to: packages, scripts, data files."""
        _refuse(check, repair, yes, wait, metrics)
        measured = output_path(metrics, "--metrics") if metrics else None
        run = TaskContext(fleet, c, json)
        if repair:
            _repair(run, list(name), yes, wait)
        else:
            _verify(run, list(name), check, measured)

    return verify


def _refuse(check: bool, repair: bool, yes: bool, wait: int, metrics: str) -> None:
    """Raise `UsageError` for arguments that have no meaning together."""
    at_least(0, "--wait", wait)
    if check and repair:
        raise UsageError("--check and --repair exclude each other", hint="repair first, then check")
    if metrics and repair:
        raise UsageError("--metrics and --repair exclude each other", hint="repair first, then verify with --metrics")
    if not repair and (yes or wait):
        raise UsageError(f"{'--yes' if yes else '--wait'} needs --repair", hint="fab verify --repair --yes")


def _verify(run: TaskContext, names: Sequence[str], check: bool, measured: Path | None) -> None:
    """Compare, print what differs, tell it to the receivers of events, and measure it; raises `Exit`."""
    from envfab.deployment.verification import verify_all
    from envfab.tasks.output.drift import show_verification, summary, verifications_json

    with run.console as console, run.connections() as links:
        with verify_all(run.select(names), links, run.settings, console) as arrivals:
            verified = arrivals.all()
        for one in verified:
            console.print(show_verification(one))
        console.print(summary(verified), "bold")
        if console.as_json:
            console.json(verifications_json(verified))
        if measured is not None:
            _measure(measured, verified)
        if run.fleet.receivers:
            _tell(run, verified)
    if any(one.error for one in verified):
        raise Exit(code=1)
    if check and any(one.drift is None or one.drift for one in verified):
        raise Exit(code=2)


def _measure(place: Path, verified: Sequence[Verification]) -> None:
    """Write the metrics of what differs to the file that `--metrics` named."""
    from envfab.tasks.output.metrics import verify_metrics, write_metrics

    write_metrics(place, verify_metrics(verified, datetime.now(timezone.utc)))


def _tell(run: TaskContext, verified: Sequence[Verification]) -> None:
    """Send what differs to the receivers of events that the fabfile names."""
    from envfab.deployment.events.drift import tell_drift

    tell_drift(run.fleet.receivers, run.fleet.at("."), verified, run.console)


def _repair(run: TaskContext, names: Sequence[str], yes: bool, wait: int) -> None:
    """Propose what brings back what was deployed, ask, and carry it out as a deployment; raises `Exit`."""
    from envfab.deployment.compilers import Compilers
    from envfab.deployment.repair import propose_repairs, repair_one
    from envfab.tasks.shared.prompt import agree
    from envfab.tasks.shared.rollout import RolloutRequest, carry_out

    fleet, wheelhouse = run.fleet, run.open_wheelhouse()
    with run.console as console, run.connections() as links:
        members = run.select(names)
        if not yes:
            console.require_terminal("verify --repair")
        show_wheelhouse(console, wheelhouse, fleet)
        with propose_repairs(members, links, wheelhouse, run.settings, console) as proposals:

            def again(_old: Proposal, probe: Probe, site: TargetSession) -> Proposal:
                return repair_one(site, probe, wheelhouse)

            def resume(left: Sequence[str]) -> str:
                return command(fleet, "verify", "--repair", *flags(wait=wait), names=left)

            chosen = agree(console, proposals, yes, "Repair")
            compilers = Compilers(run.settings.compilers)
            request = RolloutRequest(
                names, yes, again, resume, run.host_commands(links), wait=wait, compilers=compilers
            )
            carry_out(run, wheelhouse, proposals.all(), chosen, request)

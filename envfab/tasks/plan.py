"""The task `plan`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.config.slices import Slice
from envfab.config.target import Member
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.output.wheelhouse import show_wheelhouse
from envfab.tasks.shared.command_line import command, flags
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.fleet_slice import (
    canary_targets,
    fingerprint_of,
    given_waves,
    nothing_selected,
    refuse_waves,
    select_slice,
)
from envfab.tasks.shared.plan_approval import approval_key, approve, approve_command
from envfab.util.paths import output_path

if TYPE_CHECKING:
    from envfab.deployment.plan_file import Waves
    from envfab.deployment.proposal import Proposal
    from envfab.remote.ssh.connections import Connections
    from envfab.signatures.ssh_keygen import SigningKey


def task(fleet: Fleet) -> Any:
    """`plan` for `fleet`."""

    @ours(
        check="exit with 2 if there is something to do",
        verbose="also tell where bytecode is compiled, and how large the store of wheels is for each host and owner",
        out="save the plan to this file, for `fab deploy --plan FILE`",
        sign="with --out: approve the saved plan with your key, so that others may deploy it",
        canary="with --out: deploy the saved plan to these first, and continue only if they succeed; repeatable",
        batch="with --out: virtualenvs per wave of the saved plan: a number or a percentage (setting: batch)",
    )
    def plan(
        c: Context,
        name: Iterable[str] = (),
        only: Iterable[str] = (),
        reinstall: Iterable[str] = (),
        upgrade: Iterable[str] = (),
        prune: bool = False,
        force: bool = False,
        check: bool = False,
        out: str = "",
        sign: bool = False,
        canary: Iterable[str] = (),
        batch: str = "",
        slice: str = "",
        verbose: bool = False,
        metrics: str = "",
        json: bool = False,
    ) -> None:
        """Show what deploy would do, without doing it."""
        from envfab.deployment.requirements_files import read_requirements
        from envfab.tasks.shared.plan_options import plan_options

        run = TaskContext(fleet, c, json, batch=batch)
        place, part = output_path(out, "--out") if out else None, Slice.parse(slice) if slice else None
        measured = output_path(metrics, "--metrics") if metrics else None
        options = replace(plan_options(only, reinstall, prune, force, upgrade), drift=True)
        _refuse(part, given_waves(run, list(canary), batch), place)
        key = _key(run, place) if sign else None
        members = select_slice(run, list(name), part)
        waves = _waves(run, list(canary), members) if place is not None and part is None else None
        if part is not None and not members:
            _nothing(run, part, place, out, key)
            return
        requirements = read_requirements(fleet, members)
        with run.console, run.connections(members) as links:
            # loaded while the hosts answer
            from envfab.deployment.propose import propose

            wheelhouse = run.open_wheelhouse()
            with propose(requirements, members, links, wheelhouse, options, run.settings, run.console) as proposing:
                # loaded while the hosts answer
                from envfab.planning.plan import UNPLANNABLE, Status
                from envfab.tasks.output.plans import plans_json, summary
                from envfab.tasks.shared.prompt import show

                show_wheelhouse(run.console, wheelhouse, fleet)
                proposals = proposing.all()
                show(run.console, proposals)
                run.console.print(summary(proposals, part), "bold")
            document = plans_json(proposals, part, fingerprint_of(run) if json or place else None, waves)
            if verbose:
                # after the agents of the plans have left their places
                document["stores"] = _stores(run, links, proposals)
                document["compilers"] = _compilers(run, proposals)
            _save(run, place, out, document, key)
            if measured is not None:
                _measure(measured, proposals)
            if json:
                run.console.json(document)
        statuses = {proposal.plan.status for proposal in proposals}
        if statuses & UNPLANNABLE:
            raise Exit(code=1)
        if check and Status.CHANGES in statuses:
            raise Exit(code=2)

    return plan


def _refuse(part: Slice | None, waves: Sequence[str], place: Path | None) -> None:
    """Raise `UsageError` for waves of a plan that is not saved, or is of one slice only."""
    if waves and place is None:
        raise UsageError(
            f"{' and '.join(waves)} needs --out FILE: a saved plan keeps its waves",
            hint="without a saved plan, give the waves to fab deploy",
        )
    refuse_waves(part, waves)


def _waves(run: TaskContext, canary: Sequence[str], members: Sequence[Member]) -> Waves | None:
    """Return the waves that the plan is to be carried out in; None if it has none."""
    from envfab.deployment.plan_file import Waves

    waves = Waves(canary_targets(run, canary, members), run.settings.batch)
    return None if waves == Waves() else waves


def _key(run: TaskContext, place: Path | None) -> SigningKey:
    """Return the key to sign the saved plan with; raises `EnvfabError` if it is not saved, or there is none."""
    if place is None:
        raise UsageError("--sign needs --out FILE: what is signed is a saved plan")
    return approval_key(run)


def _nothing(run: TaskContext, part: Slice, place: Path | None, out: str, key: SigningKey | None) -> None:
    """End a plan of a slice in which nothing was selected; `--out` and `--json` get a document without virtualenvs."""
    from envfab.tasks.output.plans import plans_json

    document = plans_json((), part, fingerprint_of(run))
    nothing_selected(run, part, document)
    _save(run, place, out, document, key)


def _save(run: TaskContext, place: Path | None, out: str, document: Mapping[str, Any], key: SigningKey | None) -> None:
    """Write the plan's document to the file that `--out` named, if it did, and approve it if there is a key."""
    if place is not None:
        from envfab.deployment.approvals import forget_approvals
        from envfab.deployment.plan_file import save

        forget_approvals(place)
        sha256 = save(place, document)
        if key is None and run.fleet.approvers is not None:
            run.console.command(f"saved to {out}; another person approves it by", approve_command(run, out))
        else:
            run.console.command(f"saved to {out}, for", command(run.fleet, "deploy", *flags(plan=out)))
        if key is not None:
            approve(run, place, sha256, key)


def _measure(place: Path, proposals: Sequence[Proposal]) -> None:
    """Write the metrics of the plans to the file that `--metrics` named."""
    from envfab.tasks.output.metrics import plan_metrics, write_metrics

    write_metrics(place, plan_metrics(proposals, datetime.now(timezone.utc)))


def _compilers(run: TaskContext, proposals: Sequence[Proposal]) -> list[dict[str, Any]]:
    """Print where bytecode is compiled for the wheels to be deployed; return it for JSON."""
    from envfab.tasks.output.compilers import compiler_lines, compilers_json, compilers_of

    found = compilers_of(proposals, run.settings)
    for line in compiler_lines(found):
        run.console.print(line, "dim")
    return compilers_json(found)


def _stores(run: TaskContext, links: Connections, proposals: Sequence[Proposal]) -> list[dict[str, Any]]:
    """Print the size of each store of a virtualenv that was probed; return them for JSON."""
    from envfab.remote.upkeep import measure
    from envfab.tasks.output.stores import store_line, stores_json

    answering = [proposal.member for proposal in proposals if proposal.probe is not None]
    stores = measure(answering, links, run.settings, run.console)
    for one in stores:
        run.console.print(store_line(one), "red" if one.error else "dim")
    return stores_json(stores)

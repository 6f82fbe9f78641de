"""The task `verify`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours


def task(fleet: Fleet) -> Any:
    """`verify` for `fleet`."""

    @ours(check="exit with 2 if something differs, or if it is not known what was deployed")
    def verify(c: Context, name: Iterable[str] = (), check: bool = False, json: bool = False) -> None:
        """Show what was changed in virtualenvs since they were deployed to: packages, scripts, data files."""
        from envfab.deployment.verification import verify_all
        from envfab.tasks.output.drift import show_verification, summary, verifications_json

        run = TaskContext(fleet, c, json)
        with run.console as console, run.connections() as links:
            with verify_all(run.select(list(name)), links, run.settings, console) as arrivals:
                verified = arrivals.all()
            for one in verified:
                console.print(show_verification(one))
            console.print(summary(verified), "bold")
            if json:
                console.json(verifications_json(verified))
        if any(one.error for one in verified):
            raise Exit(code=1)
        if check and any(one.drift is None or one.drift for one in verified):
            raise Exit(code=2)

    return verify

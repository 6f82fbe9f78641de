"""The task `audit`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours
from envfab.util.counts import count
from envfab.util.paths import output_path, user_path


def task(fleet: Fleet) -> Any:
    """`audit` for `fleet`."""

    @ours(osv="OSV's export for PyPI: all.zip, or a folder of its records")
    def audit(c: Context, name: Iterable[str] = (), osv: str = "", metrics: str = "", json: bool = False) -> None:
        """Compare installed packages with known vulnerabilities, offline; exit with 2 if there are any."""
        from envfab.audit.osv import read, unchecked, vulnerabilities
        from envfab.fetch.probe_interpreters import look
        from envfab.tasks.output.audit import audit_json, show_audit
        from envfab.tasks.output.metrics import audit_metrics, write_metrics

        run = TaskContext(fleet, c, json)
        if not osv:
            raise UsageError(
                "audit needs a file of known vulnerabilities", hint="fab audit --osv all.zip (OSV's export for PyPI)"
            )
        measured = output_path(metrics, "--metrics") if metrics else None
        with run.console as console, run.connections() as links:
            members = run.select(list(name))
            looks = look(members, links, run.settings, console, tags=False)
            installed = [{**found.probe.outside, **found.probe.distributions} if found.probe else {} for found in looks]
            export = read(user_path(osv, "--osv"), {one for there in installed for one in there})
            age = export.age(datetime.now(timezone.utc))
            if export.unreadable:
                console.warning(
                    f"{count(len(export.unreadable), 'record')} of {osv} cannot be read: {export.unreadable[0]} …"
                )
            rows = []
            for found, there in zip(looks, installed, strict=True):
                rows.append((found, vulnerabilities(there.values(), export), unchecked(there.values())))
            for found, known, left_out in rows:
                show_audit(console, found, known, left_out, age)
            console.print(f"{count(export.records, 'record')}, {age}", "dim")
            if measured is not None:
                write_metrics(measured, audit_metrics(rows, datetime.now(timezone.utc)))
            if json:
                as_of = export.as_of.isoformat() if export.as_of else None
                console.json({"format": 1, "as_of": as_of, "virtualenvs": [audit_json(*row, as_of) for row in rows]})
        if any(found.error for found in looks):
            raise Exit(code=1)
        if any(known for _found, known, _left_out in rows):
            raise Exit(code=2)

    return audit

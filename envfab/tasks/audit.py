"""The task `audit`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.config.target import Member
from envfab.errors import EnvfabError, UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.fabric1.task import command_line_hosts
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count
from envfab.util.paths import output_path, user_path

if TYPE_CHECKING:
    from envfab.audit.remedies import Remedies
    from envfab.audit.severity import Severity


def task(fleet: Fleet) -> Any:
    """`audit` for `fleet`."""

    @ours(
        osv="OSV's export for PyPI: all.zip, or a folder of its records (default: the fleet's advisories)",
        min_severity="count and show only findings from this severity on: low, medium, high or critical (default: all)",
        vex="a VEX document that says what is not affected: OpenVEX, or CycloneDX in JSON; repeatable",
        openvex="write the findings to this file as an OpenVEX document",
        cyclonedx_vex="write the findings to this file as a CycloneDX VEX document",
        sarif="write the findings to this file as SARIF 2.1.0, for code scanning services",
    )
    def audit(
        c: Context,
        name: Iterable[str] = (),
        osv: str = "",
        min_severity: str = "",
        vex: Iterable[str] = (),
        openvex: str = "",
        cyclonedx_vex: str = "",
        sarif: str = "",
        metrics: str = "",
        json: bool = False,
    ) -> None:
        """Compare installed packages with known vulnerabilities, offline; exit with 2 if any are not accepted."""
        from envfab.audit.acceptances import read as read_acceptances
        from envfab.audit.findings import audited
        from envfab.audit.osv import read
        from envfab.audit.triage import Triage
        from envfab.audit.vex_file import read as read_vex
        from envfab.fetch.probe_interpreters import look
        from envfab.tasks.output.audit import audit_json, show_audit, show_commands, show_unused
        from envfab.tasks.output.metrics import audit_metrics, write_metrics
        from envfab.tasks.shared.audit_documents import AuditDocuments

        run = TaskContext(fleet, c, json)
        osv = osv or run.advisories()
        if not osv:
            raise UsageError(
                "audit needs a file of known vulnerabilities", hint="fab audit --osv all.zip (OSV's export for PyPI)"
            )
        measured = output_path(metrics, "--metrics") if metrics else None
        documents = AuditDocuments.at(fleet, openvex=openvex, cyclonedx_vex=cyclonedx_vex, sarif=sarif)
        least = _least(min_severity)
        now = datetime.now(timezone.utc)
        acceptances = read_acceptances(fleet.at(fleet.accepted_findings), now.date())
        statements = [one for file in vex for one in read_vex(user_path(file, "--vex"))]
        with run.console as console, run.connections() as links:
            members = run.select(list(name))
            triage = Triage.of(now.date(), least, acceptances, fleet.members(run.login), statements)
            looks = look(members, links, run.settings, console, must=False)
            probes = [found.probe for found in looks if found.probe is not None]
            export = read(user_path(osv, "--osv"), {one for it in probes for one in (*it.outside, *it.distributions)})
            if export.unreadable:
                console.warning(
                    f"{count(len(export.unreadable), 'record')} of {osv} cannot be read: {export.unreadable[0]} …"
                )
            rows = [triage.decided(audited(found, export, now.date())) for found in looks]
            remedies = _remedies(run, members) if any(row.findings for row in rows) else None
            if remedies is not None:
                rows = [remedies.added(row) for row in rows]
            selected = None if command_line_hosts() else list(name)
            whole = selected == [] and all(found.probe for found in looks)
            unused = triage.unused(rows) if whole else []
            show_audit(console, rows, export, least, now)
            if remedies is not None:
                show_commands(console, fleet, rows, remedies, selected)
            show_unused(console, unused)
            documents.write(rows, now, console)
            if measured is not None:
                write_metrics(measured, audit_metrics(rows, now))
            if json:
                console.json(audit_json(rows, export, unused))
        if any(found.error for found in looks):
            raise Exit(code=1)
        if any(row.counted for row in rows):
            raise Exit(code=2)

    return audit


def _remedies(run: TaskContext, members: Sequence[Member]) -> Remedies | None:
    """Return what tells remedies; None, after a warning, if wheelhouse or requirements cannot be read."""
    from envfab.audit.remedies import Remedies
    from envfab.deployment.requirements_files import read_requirements

    try:
        wheelhouse = run.open_wheelhouse()
        wheelhouse.projects()
        return Remedies(wheelhouse, read_requirements(run.fleet, members))
    except EnvfabError as error:
        run.console.warning(f"what would mend the findings is not told: {error}")
        return None


def _least(text: str) -> Severity:
    """Return the least severity that counts; raises `UsageError` for what is not one."""
    from envfab.audit.severity import Severity

    choices = {one.value: one for one in (Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)}
    if not text:
        return Severity.NONE
    if text.strip().lower() not in choices:
        raise UsageError(f"must be low, medium, high or critical, not {text!r}", where="--min-severity")
    return choices[text.strip().lower()]

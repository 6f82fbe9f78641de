"""The task `sbom`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.active_virtualenv import active_virtualenv, existing
from envfab.tasks.shared.context import TaskContext
from envfab.util.paths import user_path


def task(fleet: Fleet) -> Any:
    """`sbom` for `fleet`."""

    @ours(
        output="a folder, for one file per virtualenv (default: standard output, one line per virtualenv)",
        format="cyclonedx (1.6) or spdx (2.3), as JSON",
    )
    def sbom(c: Context, name: Iterable[str] = (), output: str = "", format: str = "cyclonedx") -> None:
        """Describe virtualenvs as software bills of materials: packages, licences, bundled libraries."""
        from envfab.sbom.digests import Digests
        from envfab.sbom.files import write
        from envfab.sbom.formats import format_named
        from envfab.sbom.virtualenv_bill import make_bill
        from envfab.wheelhouse.release_log.storage import LogFile

        chosen = format_named(format)
        run = TaskContext(fleet, c, as_json=not output)
        folder = user_path(output, "--output") if output else Path()
        if folder.is_file():
            raise UsageError(f"must be a folder, not the file {output!r}", where="--output")
        chosen.check()
        with run.console as console, run.connections() as links:
            names = list(name)
            members = run.select(names) if fleet.all_hosts() or names else [existing(active_virtualenv())]
            finds = run.probe_with_materials(members, links)
            digests = Digests(LogFile(fleet.at(fleet.release_log), run.log_signers()).read())
            for find in finds:
                if find.probe is None:
                    console.complain(str(find.error))
                    continue
                bill = make_bill(find.probe, digests)
                for warning in bill.warnings:
                    console.warning(f"{find.member.target}: {warning}")
                if output:
                    path = write(folder, find.member.target, chosen.write(bill, indent=2), chosen.suffix)
                    console.print(str(path))
                else:
                    console.line(chosen.write(bill))
        if any(find.error is not None for find in finds):
            raise Exit(code=1)

    return sbom

"""The documents that `audit` writes for other programs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from envfab.audit import cyclonedx_vex, openvex, sarif
from envfab.audit.findings import AuditedVirtualenv
from envfab.audit.sarif import SARIFTool
from envfab.audit.vex_assessment import Assessment, assessments
from envfab.config.fleet import Fleet
from envfab.deployment.result import Caller
from envfab.errors import UsageError
from envfab.tasks.output.console import Console
from envfab.tasks.shared.command_line import fabfile_path
from envfab.util.atomic import write_file
from envfab.util.paths import output_path
from envfab.util.untrusted import format_json
from envfab.version import VERSION

PROGRAM = "envfab"


@dataclass(frozen=True, slots=True)
class AuditDocuments:
    """The files that were asked for, by the argument that asks for each."""

    fleet: Fleet
    files: Mapping[str, Path]

    @classmethod
    def at(cls, fleet: Fleet, **given: str) -> AuditDocuments:
        """Make it of the arguments, by their names; raises `UsageError` for a place where no file can be."""
        flags = {f"--{name.replace('_', '-')}": path for name, path in given.items() if path}
        return cls(fleet, {flag: output_path(path, flag) for flag, path in flags.items()})

    def write(self, rows: Sequence[AuditedVirtualenv], now: datetime, console: Console) -> None:
        """Write what was asked for; raises `UsageError` if a file cannot be written."""
        found = assessments(finding for row in rows for finding in row.findings)
        for flag, path in self.files.items():
            if flag == "--openvex" and not found:
                console.warning(
                    f"{flag}: {path} is not written: there is no finding, and OpenVEX has no empty document"
                )
            else:
                _write(flag, path, self._document(flag, rows, found, now))

    def _document(
        self, flag: str, rows: Sequence[AuditedVirtualenv], found: Sequence[Assessment], now: datetime
    ) -> Mapping[str, Any]:
        if flag == "--openvex":
            caller = Caller.here()
            return openvex.document(found, f"{caller.who}@{caller.origin}", f"{PROGRAM} {VERSION}", now)
        if flag == "--cyclonedx-vex":
            return cyclonedx_vex.document(found, (PROGRAM, VERSION), now)
        fabfile = os.path.relpath(fabfile_path(), self.fleet.at("."))
        return sarif.document(rows, SARIFTool(PROGRAM, VERSION, fabfile))


def _write(flag: str, path: Path, document: Mapping[str, Any]) -> None:
    try:
        write_file(path, f"{format_json(document)}\n".encode())
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}", where=flag) from None

"""The documents that `audit` writes for other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from envfab.audit import cyclonedx_vex, openvex
from envfab.audit.findings import AuditedVirtualenv
from envfab.audit.vex_assessment import assessments
from envfab.deployment.result import Caller
from envfab.errors import UsageError
from envfab.tasks.output.console import Console
from envfab.util.atomic import write_file
from envfab.util.paths import output_path
from envfab.util.untrusted import format_json
from envfab.version import VERSION

PROGRAM = "envfab"


@dataclass(frozen=True, slots=True)
class AuditDocuments:
    """The files that were asked for, by the argument that asks for each."""

    files: Mapping[str, Path]

    @classmethod
    def at(cls, openvex: str, cyclonedx_vex: str) -> AuditDocuments:
        """Make it of the arguments; raises `UsageError` for a place where no file can be."""
        given = {"--openvex": openvex, "--cyclonedx-vex": cyclonedx_vex}
        return cls({flag: output_path(path, flag) for flag, path in given.items() if path})

    def write(self, rows: Sequence[AuditedVirtualenv], now: datetime, console: Console) -> None:
        """Write what was asked for; raises `UsageError` if a file cannot be written."""
        found = assessments(finding for row in rows for finding in row.findings)
        for flag, path in self.files.items():
            if flag == "--openvex" and not found:
                console.warning(
                    f"{flag}: {path} is not written: there is no finding, and OpenVEX has no empty document"
                )
                continue
            caller = Caller.here()
            _write(
                flag,
                path,
                openvex.document(found, f"{caller.who}@{caller.origin}", f"{PROGRAM} {VERSION}", now)
                if flag == "--openvex"
                else cyclonedx_vex.document(found, (PROGRAM, VERSION), now),
            )


def _write(flag: str, path: Path, document: Mapping[str, Any]) -> None:
    try:
        write_file(path, f"{format_json(document)}\n".encode())
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}", where=flag) from None

"""`systemctl` and `loginctl` that only write down what they are asked for; systemd itself need not run."""

from __future__ import annotations

import shlex
from pathlib import Path

PROGRAM = """#!/bin/sh
cd {folder} || exit 1
echo "$(basename "$0") $*" >> asked
if [ -f failure ]; then cat failure >&2; exit 1; fi
case "$(basename "$0")" in loginctl) cat linger ;; esac
"""


class FakeSystemd:
    """The programs, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "linger").write_text("Linger=yes\n")
        for name in ("systemctl", "loginctl"):
            (folder / name).write_text(PROGRAM.format(folder=shlex.quote(str(folder))))
            (folder / name).chmod(0o755)

    @property
    def asked(self) -> list[str]:
        """What the programs were asked for, in order."""
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def fail(self, why: str) -> None:
        """Let every request fail with `why` on standard error."""
        (self.folder / "failure").write_text(why)

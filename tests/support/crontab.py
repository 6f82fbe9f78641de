"""A `crontab` program that keeps one user's crontab in a file."""

from __future__ import annotations

import shlex
from pathlib import Path

PROGRAM = """#!/bin/sh
cd {folder} || exit 1
if [ -f failure ]; then cat failure >&2; exit 1; fi
case "$1" in
    -l) if [ -f table ]; then cat table; else echo "no crontab for $(id -un)" >&2; exit 1; fi ;;
    -r) rm table ;;
    -) cat > table; echo x >> writes ;;
    *) exit 2 ;;
esac
"""


class FakeCrontab:
    """The program `crontab` in `folder`, with what it keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        program = folder / "crontab"
        program.write_text(PROGRAM.format(folder=shlex.quote(str(folder))))
        program.chmod(0o755)

    @property
    def text(self) -> str:
        """The crontab."""
        return (self.folder / "table").read_bytes().decode()

    @text.setter
    def text(self, text: str) -> None:
        (self.folder / "table").write_bytes(text.encode())

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return (self.folder / "table").exists()

    @property
    def writes(self) -> int:
        """How often it was written."""
        file = self.folder / "writes"
        return file.read_text().count("x") if file.exists() else 0

    def fail(self, message: str) -> None:
        """Let the program fail from now on."""
        (self.folder / "failure").write_text(f"{message}\n")

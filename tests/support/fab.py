"""The real `fab` program in a folder with a fabfile, in an environment of its own."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.support.prepared import Starter

INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_CONFIG")


def clean_environment(home: Path) -> dict[str, str]:
    """Variables without those that steer Fabric, Invoke, pip or statistics, and an empty home (no SSH config)."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return kept | {"HOME": os.fspath(home), "COLUMNS": "120", "PYTHONDONTWRITEBYTECODE": "1"}


AT_START: Mapping[str, str] = {"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
FAB = str(Path(sys.executable).with_name("fab"))


def run_program(
    program: str, folder: Path, *arguments: str, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `program`, installed beside this interpreter, in `folder`; never raises for its exit status."""
    home = folder / ".home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [os.fspath(Path(sys.executable).with_name(program)), *arguments],
        cwd=folder,
        env=clean_environment(home) | dict(env or {}),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def run_fab(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, stdin: str = "", prepared: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `fab` in `folder`, where the fabfile is. `prepared` is quicker, and no test of what a start loads."""
    home = folder / ".home"
    environment = clean_environment(home) | dict(env or {})
    if not prepared or len(stdin) > 1000 or _at_start(environment) != AT_START:
        return run_program("fab", folder, *arguments, env=env, stdin=stdin)
    home.mkdir(exist_ok=True)
    return _starter().run(arguments, folder, environment, stdin.encode(), timeout=120)


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that an interpreter heeds when it starts and never again."""
    # LC_ALL is above LANG
    return {name: environment[name] for name in environment if name.startswith(("PYTHON", "LC_", "COVERAGE"))}


@functools.cache
def _starter() -> Starter:
    """A prepared start for all tests of this process."""
    running = ExitStack()
    atexit.register(running.close)
    return running.enter_context(Starter(FAB, {"PATH": os.environ["PATH"], **AT_START}))

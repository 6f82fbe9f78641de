"""A folder as a user of envfab has it: a fabfile, requirement lists, a wheelhouse; and `fab` at work in it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fab import FAB, clean_environment, run_fab
from tests.support.sshd import Hosts
from tests.support.terminal import Terminal
from tests.support.wheels import make_wheel


@dataclass(frozen=True, slots=True)
class Workplace:
    """`hosts` is None where only this machine is worked on, or hosts of another kind by their `ssh_config`."""

    folder: Path
    hosts: Hosts | None = None
    ssh_config: Path | None = None

    def fabfile(self, hosts: str, settings: str = "") -> None:
        """Write the fabfile: `hosts` is the text of the fleet's list of hosts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "fabfile.py").write_text(
            "from envfab import *\n"
            f"fleet = Fleet(hosts=[{hosts}])\n"
            "ns = collection(fleet)\n"
            f"ns.configure({{'envfab': {{{settings}}}}})\n"
        )

    def file(self, name: str, content: str) -> Path:
        """Write a file, a requirement list say."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def add(self, *wheels: Path) -> None:
        """Take wheels into the wheelhouse."""
        done = self.fab("add_wheel", *map(str, wheels))
        assert done.returncode == 0, done.stderr + done.stdout

    def add_made(self, name: str, version: str, **options: Any) -> Path:
        """Make a small wheel and take it into the wheelhouse."""
        wheel = make_wheel(self.folder / "made", name, version, **options)
        self.add(wheel)
        return wheel

    def arguments(self, *arguments: str) -> Sequence[str]:
        """The command line of `fab`, with the hosts' SSH configuration."""
        config = self.hosts.config if self.hosts else self.ssh_config
        return [*(["-S", str(config)] if config else []), *arguments]

    def fab(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `fab` with no terminal."""
        return run_fab(self.folder, *self.arguments(*arguments), stdin=stdin)

    def start(
        self, *arguments: str, stdout: int = subprocess.DEVNULL, stderr: int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        """Let `fab` run beside the test, with no terminal."""
        return subprocess.Popen(
            [FAB, *self.arguments(*arguments)],
            cwd=self.folder,
            env=clean_environment(self.folder / ".home"),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )

    def at_terminal(self, *arguments: str) -> Terminal:
        """`fab` at a terminal of its own."""
        home = self.folder / ".home"
        home.mkdir(exist_ok=True)
        return Terminal([FAB, *self.arguments(*arguments)], self.folder, clean_environment(home))

    def json(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """What a task with `--json` prints."""
        done = self.fab(*arguments, "--json")
        assert done.returncode == status, done.stderr + done.stdout
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def statuses(self, *arguments: str, status: int = 0) -> dict[str, str]:
        """The status of each virtualenv by host and path, as a task with `--json` tells it."""
        document = self.json(*arguments, status=status)
        return {f"{one['host']}:{one['path']}": one["status"] for one in document["virtualenvs"]}

    @property
    def log(self) -> str:
        """The release log."""
        return (self.folder / "release_log").read_text()


FREEZE = """
try:
    from importlib.metadata import distributions
except ImportError:
    import runpy, sys
    sys.argv[1:] = ["freeze"]
    runpy.run_module("pip", run_name="__main__")
else:
    for found in distributions():
        if found.metadata["Name"] not in ("pip", "setuptools", "wheel"):
            print(found.metadata["Name"] + "==" + found.version)
"""


def freeze(virtualenv: Path) -> dict[str, str]:
    """What is installed in a virtualenv, as its own Python finds it, pip and its kin left out.

    pip freeze says the same, which `test_unpack_like_pip` and `tests/agent` have it do; but it takes four times as long.
    """
    done = subprocess.run(
        [str(virtualenv / "bin" / "python"), "-c", FREEZE], capture_output=True, text=True, check=True, cwd="/"
    )
    pairs = [line.partition("==") for line in done.stdout.splitlines()]
    # the first one on the path is what is imported
    return {name: version for name, _, version in reversed(pairs)}


def wait_for(file: Path) -> None:
    """Until a file is there."""
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)

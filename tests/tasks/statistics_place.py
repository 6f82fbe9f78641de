"""A fabfile whose fleet configures usage statistics, and the server that takes its reports."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fab import FAB, clean_environment, run_fab
from tests.support.terminal import Terminal
from tests.usagestats.server import Server

PLAIN = "ns = collection(fleet)\n"
NESTED = "import invoke\nns = invoke.Collection()\nns.add_collection(collection(fleet), name='our_env')\n"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a fabfile, and a server that takes reports."""

    folder: Path
    server: Server

    def fabfile(self, hosts: str = "", end: str = PLAIN, usage: str = "") -> None:
        """Write a fabfile whose fleet configures usage statistics; `usage` says otherwise."""
        usage = usage or f"UsageStats({self.server.url!r} + 'reports/envfab/')"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "fabfile.py").write_text(
            f"from envfab import *\nfleet = Fleet(hosts=[{hosts}], usage_stats={usage})\n{end}"
        )

    def fab(
        self, *arguments: str, status: int = 0, env: Mapping[str, str] | None = None, prepared: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `fab`, which must end with `status`."""
        done = run_fab(self.folder, *arguments, env=env, prepared=prepared)
        assert done.returncode == status, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done

    def at_a_terminal(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """What `fab` shows at a terminal."""
        home = self.folder / ".home"
        home.mkdir(exist_ok=True)
        command = [FAB, *arguments]
        with Terminal(command, self.folder, clean_environment(home) | dict(env or {})) as terminal:
            terminal.finish()
            return terminal.shown

    def status(self, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What `stats_status --json` tells."""
        found: dict[str, Any] = json.loads(self.fab("stats_status", "--json", env=env).stdout)
        return found

    def waiting(self) -> list[dict[str, str]]:
        """The reports that wait, as their entries."""
        return [entries(text.encode()) for text in json.loads(self.fab("stats_show", "--json").stdout)["reports"]]

    @property
    def kept(self) -> list[str]:
        """The names of the files in the folder of the statistics."""
        folders = self.folder.glob(".home/.local/state/envfab/usage_stats/*")
        return sorted(path.name for folder in folders for path in folder.iterdir())


def entries(report: bytes) -> dict[str, str]:
    """A report's lines, none of which comes twice."""
    pairs = [line.partition(":")[::2] for line in report.decode().splitlines()]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def host(*paths: Path, name: str = "localhost", **arguments: str) -> str:
    """A host with these virtualenvs, for a fabfile."""
    more = "".join(f", {key}={value}" for key, value in arguments.items())
    return f"Host({name!r}, virtualenvs=[{', '.join(f'Virtualenv({str(path)!r}{more})' for path in paths)}])"

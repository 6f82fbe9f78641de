"""A server, a location, and a closed port, for all tests of the statistics client."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envfab.usagestats import Prompt, Stats
from tests.usagestats.server import Server, running_server

PROMPT = Prompt(enable="cool_program --enable-stats", disable="cool_program --disable-stats")
Make = Callable[..., Stats]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that stores every report."""
    with running_server() as server:
        yield server


@pytest.fixture
def dead() -> str:
    """The URL of a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


@pytest.fixture
def location(tmp_path: Path) -> Path:
    """A folder for reports, not there yet."""
    return tmp_path / "stats"


@pytest.fixture
def make(location: Path, server: Server) -> Make:
    """Makes `Stats` objects as a program would; `enabled=True` opts in first."""

    def make(*, enabled: bool = False, **changes: Any) -> Stats:
        arguments = {"location": location, "prompt": PROMPT, "drop_point": server.url, "version": "1.0", **changes}
        stats = Stats(**arguments)
        if enabled:
            stats.enable_reporting()
        return stats

    return make

"""A server to register at, and an address where none is."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.support.registration_server import RecordingServer, running_server


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A registration server."""
    with running_server() as running:
        yield running


@pytest.fixture
def nobody() -> str:
    """The URL of a server that is down."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/application/register/"

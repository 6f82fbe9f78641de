"""Web servers as processes of their own, and the collector with several workers of gunicorn, which can be killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.fab import clean_environment
from tests.support.ports import free_port

BIN = Path(sys.executable).parent


def gunicorn(port: int, workers: int) -> list[str | Path]:
    """The command that docs/collector.md names, on another port and with as many workers."""
    return [
        BIN / "gunicorn",
        "--workers",
        str(workers),
        "--preload",
        "--bind",
        f"127.0.0.1:{port}",
        "envfab.collector.wsgi:application",
    ]


@contextmanager
def web_server(
    command: Sequence[str | Path], folder: Path, port: int, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that listens on a port, until the end of the context, and then ends with 0."""
    with (folder / "server.log").open("ab") as log:
        started = subprocess.Popen(
            command, cwd=folder, env=clean_environment(folder) | variables, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    assert started.poll() is None, (folder / "server.log").read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield started
        except BaseException:
            print((folder / "server.log").read_text())  # shown beside a failure
            raise
        finally:
            started.send_signal(signal.SIGTERM)
            status = started.wait(timeout=60)
    assert status == 0, (folder / "server.log").read_text()


@contextmanager
def web_workers(folder: Path, number: int, **variables: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A collector that listens on loopback: its address, and gunicorn's own process. `variables` configure it."""
    port = free_port()
    with web_server(gunicorn(port, number), folder, port, **variables) as process:
        yield f"http://127.0.0.1:{port}", process


def workers_of(process: subprocess.Popen[bytes]) -> Sequence[int]:
    """The processes that gunicorn has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return [int(one) for one in children.split()]

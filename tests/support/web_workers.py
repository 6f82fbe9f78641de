"""The collector with several workers of gunicorn, which can be killed."""

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


@contextmanager
def web_workers(folder: Path, number: int, **variables: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A collector that listens on loopback: its address, and gunicorn's own process. `variables` configure it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("gunicorn")),
        f"--workers={number}",
        "--preload",
        f"--bind=127.0.0.1:{port}",
        "envfab.collector.wsgi:application",
    ]
    with (folder / "workers.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=clean_environment(folder) | variables, stdout=log, stderr=log
        )
        try:
            _wait_for(port, process, folder / "workers.log")
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def workers_of(process: subprocess.Popen[bytes]) -> Sequence[int]:
    """The processes that gunicorn has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return [int(one) for one in children.split()]


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

"""A real haproxy on loopback, in front of web servers that are restarted by deployments."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port

CONFIGURATION = """
global
    stats socket {socket} mode 666 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    retries 0
frontend site
    bind 127.0.0.1:{port}
    default_backend web
backend web
    balance roundrobin
{servers}
"""
# like `echo … | socat stdio socket`, which need not be installed
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as admin:
    admin.connect(sys.argv[1])
    admin.sendall((" ".join(sys.argv[2:]) + "\\n").encode())
    sys.exit(admin.makefile().read().strip() or None)
"""
PROGRAM = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@contextmanager
def balancing(folder: Path, servers: Sequence[tuple[str, int]]) -> Iterator[tuple[str, Path]]:
    """A balancer for servers (name, port on loopback): its address, and its admin socket."""
    port, admin = free_port(), folder / "haproxy.sock"
    lines = "\n".join(f"    server {name} 127.0.0.1:{number} check inter 100ms rise 1" for name, number in servers)
    (folder / "haproxy.cfg").write_text(CONFIGURATION.format(socket=admin, port=port, servers=lines))
    assert PROGRAM is not None
    running = subprocess.Popen([PROGRAM, "-db", "-q", "-f", str(folder / "haproxy.cfg")], cwd=folder)
    try:
        deadline = time.monotonic() + 20
        while not admin.exists():
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/", admin
    finally:
        running.terminate()
        running.wait(20)


# seconds between two pages: without any, the visitor would take all of a processor
PAUSE = 0.01


class Visitor:
    """Somebody who asks for one page after another, and counts what comes."""

    def __init__(self, url: str) -> None:
        self.answers: Counter[str] = Counter()
        self._url = url
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._visit)

    def _visit(self) -> None:
        while not self._ends.is_set():
            try:
                with urllib.request.urlopen(self._url, timeout=10) as page:
                    self.answers[page.read().decode()] += 1
            except (OSError, urllib.error.URLError) as error:
                self.answers[f"failed: {error}"] += 1
            time.sleep(PAUSE)

    @property
    def failures(self) -> int:
        """How many pages did not come."""
        return sum(count for answer, count in self.answers.items() if answer.startswith("failed"))

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

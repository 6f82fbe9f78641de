"""Hosts that let one wait: behind a program that connects only once a file is there, or that never say a word."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tests.support.sshd import Hosts

GATE = """
import os, select, socket, sys, time
gate, host, port = sys.argv[1:]
enough = time.time() + 100
while not os.path.exists(gate):
    if time.time() > enough:
        sys.exit()
    time.sleep(0.02)
with socket.create_connection((host, int(port))) as there:
    ways = {0: there.fileno(), there.fileno(): 1}
    while True:
        for source in select.select(list(ways), [], [])[0]:
            data = os.read(source, 65536)
            if not data:
                sys.exit()
            while data:
                data = data[os.write(ways[source], data):]
"""


def behind_gates(hosts: Hosts, folder: Path, *names: str) -> Hosts:
    """The same hosts, but each of `names` can be reached only once `folder/NAME` exists."""
    folder.mkdir()
    script = folder / "gate.py"
    script.write_text(GATE)
    entries = [f"Host {name}\n    ProxyCommand {sys.executable} {script} {folder / name} %h %p\n" for name in names]
    config = folder / "ssh_config"
    config.write_text("".join(entries) + hosts.config.read_text())
    return replace(hosts, config=config)


@contextmanager
def mute(hosts: Hosts, folder: Path, *names: str) -> Iterator[Hosts]:
    """The same hosts, but what listens on each of `names` takes the connection and never says a word."""
    folder.mkdir()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(20)
        entries = [f"Host {name}\n    Port {listener.getsockname()[1]}\n    HostName 127.0.0.1\n" for name in names]
        config = folder / "ssh_config"
        config.write_text("".join(entries) + hosts.config.read_text())
        yield replace(hosts, config=config)


@contextmanager
def listener_that(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port that accepts connections, and closes each after `answer`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(20)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _address = listener.accept()
                    with peer:
                        answer(peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)

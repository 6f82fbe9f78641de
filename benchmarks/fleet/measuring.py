"""One command, and what it cost here and on the hosts."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet import processes
from benchmarks.fleet.errors import BenchmarkError
from benchmarks.fleet.hosts import Hosts

LIMIT = 1200
LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock; CPU seconds of the controller with all that it started, and of all hosts; bytes, or nought.

    `memory` is the most that the controller's processes had at once. Looking for it costs time: where it was looked
    for, the seconds are not to be used.
    """

    wall: float
    controller: float
    managed: float
    memory: int


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, where, with which environment (the whole of it), and the file for what it prints."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    output: Path


def measure(command: Command, hosts: Hosts, *, memory: bool = False) -> Cost:
    """Run a command to its end; raises where it fails.

    Connections that it leaves open on purpose (OpenSSH's masters) are closed when the clock has stopped; their CPU
    time counts.
    """
    hosts.wait_until_idle()
    managed = hosts.cpu_seconds()
    with command.output.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(command.words), cwd=command.folder, env=dict(command.environment), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        limit = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        try:
            with _watching(hosts, wanted=memory) as most:
                _pid, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _end_orphans(hosts)
            raise
        finally:
            limit.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    controller = _cpu(used) + _end_orphans(hosts)
    if process.returncode:
        tail = "\n".join(command.output.read_text(errors="replace").splitlines()[-25:])
        raise BenchmarkError(f"`{' '.join(command.words)}` ended with {process.returncode}:\n{tail}")
    hosts.wait_until_idle()
    return Cost(wall, controller, hosts.cpu_seconds() - managed, most[0])


@contextmanager
def _watching(hosts: Hosts, *, wanted: bool) -> Iterator[list[int]]:
    """A list of one number: the most memory that this process's descendants, without the hosts, had at once."""
    most = [0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_EVERY):
            most[0] = max(most[0], processes.memory(processes.descendants(os.getpid(), hosts.holders)))

    watcher = threading.Thread(target=look, daemon=True)
    if wanted:
        watcher.start()
    try:
        yield most
    finally:
        over.set()
        if wanted:
            watcher.join()


def _end_orphans(hosts: Hosts) -> float:
    """End what a command has left running, and give the CPU seconds of that and of what ended before."""
    seconds = 0.0
    while left := [pid for pid in processes.children().get(os.getpid(), []) if pid not in hosts.holders]:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in left:
            _pid, _status, used = os.wait4(pid, 0)
            seconds += _cpu(used)
    return seconds


def _cpu(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime

"""Tests for what a command is said to have cost; each in a process of its own, since orphans are adopted there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fleet.hosts import missing

ROOT = Path(__file__).resolve().parents[3]
MEASURE = """
import sys
from pathlib import Path
from benchmarks.fleet.hosts import Hosts, running_hosts
from benchmarks.fleet.measuring import Command, measure
from benchmarks.fleet.processes import adopt_orphans
adopt_orphans()
def cost(script, hosts=Hosts(Path("/"), (), Path("/")), memory=False):
    command = Command(["sh", "-c", script], Path("/"), {"PATH": "/usr/bin:/bin"}, Path(sys.argv[1]) / "output")
    return measure(command, hosts, memory=memory)
BURN = f"{sys.executable} -c 'import time\\nwhile time.process_time() < 0.4: pass'"
"""


def run(script: str, folder: Path) -> str:
    """What a program prints that begins with `MEASURE`."""
    command = [sys.executable, "-c", MEASURE + script, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_children_count_and_also_those_that_outlive_the_command(tmp_path: Path) -> None:
    """CPU time of a child, and of a process that the command leaves behind, is the controller's; the clock waits for neither."""
    child = run("print(cost(BURN).controller)", tmp_path)
    assert 0.35 < float(child) < 0.9
    orphan = run("c = cost(f'({BURN}; sleep 60) & sleep 1; exit 0'); print(c.controller, c.wall)", tmp_path)
    controller, wall = (float(word) for word in orphan.split())
    assert 0.35 < controller < 0.9
    assert wall < 10


def test_memory_is_of_all_processes_together(tmp_path: Path) -> None:
    """Two processes that hold 60 MB each hold 120 MB together."""
    script = 'HOLD = f"{sys.executable} -c \'import time; x = b\\"x\\" * 60_000_000; time.sleep(1)\'"\n'
    script += "print(cost(f'{HOLD} & {HOLD}; wait', memory=True).memory)"
    assert 120_000_000 < int(run(script, tmp_path)) < 200_000_000


def test_command_that_fails_ends_the_benchmark_with_what_it_said(tmp_path: Path) -> None:
    """A contender that fails is no figure; its last lines are shown."""
    script = (
        "try:\n    cost('echo no wheels; exit 3')\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    assert run(script, tmp_path) == "BenchmarkError `sh -c echo no wheels; exit 3` ended with 3:\nno wheels\n"


def test_hosts_are_real_and_leave_nothing(tmp_path: Path) -> None:
    """A host has a home and processes of its own, what runs there is the managed side's CPU time, and all of it goes away."""
    if reason := missing():
        pytest.skip(reason)
    script = """
with running_hosts(2) as hosts:
    first, second = hosts.all
    print(hosts.run(first, "echo ~ && touch ~/mine").strip() == str(hosts.home))
    print((first.home / "mine").exists(), (second.home / "mine").exists())
    used = cost(f"ssh -F {hosts.config} web2 'i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done'", hosts)
    print(used.managed > 0.1, used.controller < used.managed / 2)
print(hosts.root.exists(), any(Path(f"/proc/{host.sshd}").exists() for host in hosts.all))
"""
    assert run(script, tmp_path).splitlines() == [
        "True", "True False", "True True", "False False",
    ]  # fmt: skip

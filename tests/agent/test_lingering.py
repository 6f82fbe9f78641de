"""Which processes are told to run the generation before, and that those which need it keep it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import lingering as source
from tests.agent.conftest import Starter, install
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel

# the agent runs on CPython 2.7 too, and has no annotations
agent: Any = source
Start = Callable[..., subprocess.Popen[str]]
# a process that waits for a line, becomes `sleep` or forks once, and waits for its end
WAITING = "import os, sys; print(1, flush=True); sys.stdin.readline(); "
BECOMING = WAITING + "os.execv(sys.argv[1], [sys.argv[1], '60'])"
FORKING = WAITING + "pid = os.fork(); pid and print(pid, flush=True); sys.stdin.readline()"


@pytest.fixture
def venv(make_virtualenv: VirtualenvMaker, tmp_path: Path) -> Path:
    """A plain virtualenv with a program that is no script."""
    path = make_virtualenv("3.13", tmp_path / "v")
    shutil.copy2("/bin/sleep", path / "bin" / "nap")
    return path


@pytest.fixture
def start(venv: Path) -> Iterator[Start]:
    """Starts a program of the virtualenv; a Python program has said its first line."""
    running: list[subprocess.Popen[str]] = []

    def begin(name: str, *arguments: str) -> subprocess.Popen[str]:
        command = [str(venv / "bin" / name), *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        if name == "python":
            hear(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def hear(process: subprocess.Popen[str]) -> int:
    """The next line that a process says."""
    assert process.stdout is not None
    return int(process.stdout.readline())


def tell(process: subprocess.Popen[str]) -> None:
    """Let a process go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def wait_for_exec(process: subprocess.Popen[str]) -> None:
    """Until a process has become another program."""
    deadline = time.monotonic() + 20
    while Path(f"/proc/{process.pid}/comm").read_text().strip() != "nap":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pids(path: Path, *, pinned: bool = False) -> set[int]:
    """Those that are told of."""
    return {one["pid"] for one in agent.lingering(str(path), pinned)}


def upgrade(deploying: Starter, venv: Path, folder: Path, version: str, *, pinned: bool = False) -> None:
    """Make another generation current."""
    install(deploying(venv), make_wheel(folder, "alpha", version), pinned=pinned)
    # the kernel counts starts in hundredths of a second
    time.sleep(0.05)


@pytest.mark.parametrize("interpreter", ["linked", "copied"])
def test_who_is_forked_after_the_switch_is_told_of_only_where_it_was_pinned(
    venv: Path, deploying: Starter, start: Start, tmp_path: Path, interpreter: str
) -> None:
    """It imports what is current, else, whatever it has mapped; the one that forked it is told of in both cases."""
    if interpreter == "copied":
        real = (venv / "bin" / "python").resolve()
        (venv / "bin" / "python").unlink()
        shutil.copy2(real, venv / "bin" / "python")
    upgrade(deploying, venv, tmp_path, "1.0")
    parent = start("python", "-c", FORKING)
    time.sleep(0.05)
    upgrade(deploying, venv, tmp_path, "2.0")
    tell(parent)
    child = hear(parent)
    assert pids(venv) == {parent.pid}
    assert pids(venv, pinned=True) == {parent.pid, child}


def test_who_runs_a_program_of_the_generation_before_is_told_of(
    venv: Path, deploying: Starter, start: Start, tmp_path: Path
) -> None:
    """Also where that was a plain virtualenv, by whatever name it was started; one of the current generation is not."""
    (tmp_path / "linked").symlink_to(venv / "bin" / "nap")
    first = subprocess.Popen([tmp_path / "linked", "60"])
    try:
        upgrade(deploying, venv, tmp_path, "1.0")
        second = start("nap", "60")
        wait_for_exec(second)
        assert pids(venv) == {first.pid}
        upgrade(deploying, venv, tmp_path, "2.0")
        assert pids(venv) == {first.pid, second.pid}
    finally:
        first.kill()
        first.wait()


def test_who_became_a_program_of_the_current_generation_is_not_told_of(
    venv: Path, deploying: Starter, start: Start, tmp_path: Path
) -> None:
    """As uWSGI does to reload: it keeps its number and the time of its start. One that was told of is so no more."""
    upgrade(deploying, venv, tmp_path, "1.0")
    process = start("python", "-c", BECOMING, str(venv / "bin" / "nap"))
    time.sleep(0.05)
    upgrade(deploying, venv, tmp_path, "2.0")
    said = agent.lingering(str(venv), False)
    assert [one["pid"] for one in agent.still_there(str(venv), said)] == [process.pid]
    tell(process)
    wait_for_exec(process)
    assert pids(venv) == set()
    assert agent.still_there(str(venv), said) == []


def test_who_has_ended_is_not_told_of(venv: Path, deploying: Starter, start: Start, tmp_path: Path) -> None:
    """Though its parent has not asked yet how it ended, as an init of a container may never do."""
    upgrade(deploying, venv, tmp_path, "1.0")
    process = start("nap", "60")
    wait_for_exec(process)
    upgrade(deploying, venv, tmp_path, "2.0")
    said = agent.lingering(str(venv), False)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert [one["pid"] for one in said] == [process.pid]
    assert agent.still_there(str(venv), said) == []


def test_a_pinned_generation_stays_while_a_process_may_import_from_it(
    venv: Path, deploying: Starter, start: Start, tmp_path: Path
) -> None:
    """However few are to be kept; it goes when the process has ended. Those that nothing runs go at once."""
    upgrade(deploying, venv, tmp_path, "1.0", pinned=True)
    process = start("python", "-c", WAITING + "import alpha; print(alpha.VERSION == '1.0' and 1)")
    time.sleep(0.05)
    for version in ("2.0", "3.0"):
        upgrade(deploying, venv, tmp_path, version, pinned=True)
    session = deploying(venv)
    session.ask("probe")
    assert [one["pid"] for one in session.ask("tidy", previous=2, retain=[2], days=None)["lingering"]] == [process.pid]
    there = {int(name) for name in os.listdir(venv / ".envfab" / "generations")}
    assert there == {1, 2, 3}
    tell(process)
    assert hear(process) == 1
    process.wait()
    session.ask("tidy", previous=2, retain=[], days=None)
    assert os.listdir(venv / ".envfab" / "generations") == ["3"]

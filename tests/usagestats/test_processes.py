"""Real programs: how they end, how they are killed, and two of them at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from envfab.usagestats.queue import Queue
from tests.usagestats.conftest import Make
from tests.usagestats.server import OK, Reply, Server

PROGRAM = """
import sys
from envfab import usagestats

location, url, *whats = sys.argv[1:]
for what in whats:
    stats = usagestats.Stats(location, "asking\\n", url, "1.0")
    stats.enable_reporting()
    stats.submit({"what": what})
"""
# An interpreter's start, on a machine that is busy with other tests.
START = 3.0


def start(location: Path, url: str, *whats: str, program: str = PROGRAM) -> subprocess.Popen[str]:
    """A program that submits a report for each of `whats`, and ends."""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(location), url, *whats],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(location: Path, url: str, *whats: str, program: str = PROGRAM) -> tuple[float, tuple[int, str, str]]:
    """How long such a program takes; its exit status, stdout and stderr."""
    began = time.monotonic()
    process = start(location, url, *whats, program=program)
    out, err = process.communicate(timeout=60)
    return time.monotonic() - began, (process.returncode, out, err)


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_short_program_delivers(location: Path, server: Server) -> None:
    """A program that ends right after `submit()` has delivered its report."""
    _, ended = run(location, server.url, "ran")
    assert ended == (0, "", "")
    assert server.what == ["ran"]


def test_a_silent_server_holds_up_the_end_two_seconds_once(location: Path, silent: str) -> None:
    """The end waits at most two seconds, however many reports there are; the next run finds the pause, and does not wait."""
    took, ended = run(location, silent, "one", "two", "three")
    assert ended == (0, "", "")
    assert 1.9 < took < 2.0 + START
    assert len(Queue(location).names()) == 3
    took, ended = run(location, silent, "four")
    assert ended == (0, "", "")
    assert took < 1.9
    assert len(Queue(location).names()) == 4


def test_several_locations_share_the_two_seconds(tmp_path: Path, silent: str) -> None:
    """Two libraries that each report hold up their program no longer than one."""
    program = PROGRAM.replace("Stats(location,", "Stats(location + what,")
    took, ended = run(tmp_path / "stats", silent, "one", "two", "three", program=program)
    assert ended == (0, "", "")
    assert took < 2.0 + START


def test_a_dead_server_holds_up_nothing(location: Path, dead: str) -> None:
    """A port where nobody listens is no reason to wait."""
    took, ended = run(location, dead, "one")
    assert ended == (0, "", "")
    assert took < 1.9
    assert len(Queue(location).names()) == 1


def test_an_interrupt_ends_the_wait(location: Path, silent: str) -> None:
    """Ctrl-C while the program's end is held up ends it at once, without a traceback."""
    process = start(location, silent, "one", program=PROGRAM + "print('done', flush=True)\n")
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert err == ""
    assert time.monotonic() - began < 1.5


def test_a_killed_program_loses_nothing(make: Make, location: Path, silent: str, server: Server) -> None:
    """What was submitted is on disk when `submit()` returns, and is sent by the next run."""
    program = PROGRAM + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    _, ended = run(location, silent, "one", "two", program=program)
    assert ended == (-signal.SIGKILL, "", "")
    assert make().flush() == 0
    assert server.what == ["one", "two"]


def test_submitting_at_exit(make: Make, location: Path, server: Server) -> None:
    """A program that submits from its own exit handlers delivers, or keeps the report for the next run."""
    program = (
        "import atexit, sys\n"
        "from envfab import usagestats\n"
        "atexit.register(lambda: early.submit({'what': 'early'}))\n"
        "early = usagestats.Stats(sys.argv[1], 'asking', sys.argv[2], '1.0')\n"
        "early.enable_reporting()\n"
        "late = usagestats.Stats(sys.argv[1], 'asking', sys.argv[2], '1.0')\n"
        "atexit.register(lambda: late.submit({'what': 'late'}))\n"
    )
    _, ended = run(location, server.url, program=program)
    assert ended == (0, "", "")
    # These two versions cannot start a thread from an exit handler.
    assert "late" in server.what or sys.version_info[:3] in ((3, 12, 0), (3, 12, 1))
    location.joinpath("retry").unlink(missing_ok=True)
    make().flush()
    assert set(server.what) == {"late", "early"}


def test_submit_returns_at_once(make: Make, silent: str) -> None:
    """Whatever the server does, `submit()` takes no noticeable time."""
    stats = make(enabled=True, drop_point=silent)
    began = time.perf_counter()
    stats.submit({"what": "ran"})
    assert time.perf_counter() - began < 0.5


def test_many_programs_at_once(make: Make, location: Path, server: Server) -> None:
    """Programs that run at the same time deliver each report once, one at a time, and lose none."""
    one, overlaps = threading.Lock(), []

    def answer(body: bytes) -> Reply:
        if not one.acquire(blocking=False):
            overlaps.append(body)
            return OK
        time.sleep(0.005)
        one.release()
        return OK

    server.answer = answer
    whats = [[f"{program}-{number}" for number in range(6)] for program in range(4)]
    processes = [start(location, server.url, *own) for own in whats]
    assert [process.communicate(timeout=60) for process in processes] == [("", "")] * 4
    location.joinpath("retry").unlink(missing_ok=True)
    assert make().flush() == 0
    assert overlaps == []
    assert Counter(server.what) == Counter(what for own in whats for what in own)


def test_one_user_for_programs_at_once(location: Path) -> None:
    """Programs that start at the same time agree on the user's id."""
    program = (
        "import sys, time, uuid\nfrom envfab import usagestats\n"
        "for number in range(20):\n"
        "    time.sleep(max(0, float(sys.argv[3]) + number / 50 - time.time()))\n"
        "    folder = f'{sys.argv[1]}{number}'\n"
        "    print(usagestats.Stats(folder, 'asking', sys.argv[2], '1.0', unique_user_id=True).user_id)\n"
    )
    soon = str(time.time() + 0.5)
    processes = [start(location, "http://127.0.0.1:9/", soon, program=program) for _ in range(4)]
    ids = {process.communicate(timeout=60) for process in processes}
    kept = [Path(f"{location}{number}", "user_id").read_text() for number in range(20)]
    assert ids == {("\n".join(kept) + "\n", "")}


def test_nothing_but_the_prompt(location: Path, dead: str) -> None:
    """Also with warnings on and logging at its default, only the prompt is printed, on stderr."""
    program = PROGRAM.replace("    stats.enable_reporting()\n", "")
    environment = dict(os.environ, PYTHONWARNINGS="always", PYTHONDEVMODE="1")
    done = subprocess.run(
        [sys.executable, "-c", program, str(location), dead, "one"],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "asking\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(location), dead, "two"],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")

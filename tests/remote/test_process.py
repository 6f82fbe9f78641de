"""Processes on this machine, and places on a link."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence

import pytest

from envfab.errors import Disconnected, Unreachable
from envfab.remote.process import HostConnection, LocalProcess, Silence


def python(text: str) -> list[str]:
    """A command line for a small program."""
    return [sys.executable, "-c", text]


def test_what_is_written_comes_back_and_the_status_is_told() -> None:
    """Standard input, both outputs and the exit status belong together."""
    process = LocalProcess(
        python("import sys; print(sys.stdin.readline().upper(), file=sys.stderr, end=''); sys.exit(7)")
    )
    process.write(b"hello\n")
    assert process.stream.line() == b"HELLO\n"
    assert process.finish() == 7


def test_it_starts_in_the_root_folder_and_in_a_session_of_its_own() -> None:
    """A Ctrl-C at the terminal does not reach it, nor does it keep a folder busy."""
    process = LocalProcess(python("import os; print(os.getcwd(), os.getsid(0) == os.getpid(), flush=True)"))
    assert process.stream.line() == b"/ True\n"
    process.finish()


def test_a_program_that_is_not_there_is_one_error() -> None:
    """The message names what cannot be started."""
    with pytest.raises(Unreachable, match=r"^cannot start /no/such/program: No such file or directory$"):
        LocalProcess(["/no/such/program"])


def test_silence_ends_a_limited_read() -> None:
    """A read waits for as long as it is told, and then says so."""
    process = LocalProcess(python("import time; time.sleep(60)"))
    process.limit(0.05)
    with pytest.raises(Silence, match=r"no answer within 0\.05 s"):
        process.stream.line()
    process.kill()
    assert process.ended()


def test_writing_to_one_that_has_ended_is_a_lost_connection() -> None:
    """Nobody reads any more, and that is said instead of a broken pipe."""
    process = LocalProcess(python(""))
    assert process.finish() == 0
    with pytest.raises(Disconnected, match="the connection ended"):
        process.write(b"x")


def test_killing_takes_its_children_along() -> None:
    """A shell that is given up does not leave its `sleep` behind."""
    process = LocalProcess(["sh", "-c", "sleep 60 & echo $!; wait"])
    child = int(process.stream.line())
    process.kill()
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{child}/cwd") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}/cwd")


def test_descriptors_beyond_a_thousand_are_no_matter() -> None:
    """Many connections at once leave high descriptor numbers only, which select() does not take."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 1200:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 1200), limits[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1030)]
    try:
        process = LocalProcess(python("print('up')"))
        process.limit(30)
        assert process.stream.line() == b"up\n"
        process.finish()
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def _nothing(_arguments: Sequence[str]) -> LocalProcess:
    raise AssertionError


def test_places_are_taken_all_at_once() -> None:
    """Two who need two of three places each never hold one and wait for another."""
    link = HostConnection("host", 3, _nothing)
    first = link.reserve(2)
    second: list[object] = []
    waiting = threading.Thread(target=lambda: second.append(link.reserve(2)))
    waiting.start()
    with link.reserve(1):
        pass
    assert not second
    first.release()
    waiting.join(5)
    assert len(second) == 1


def test_places_are_given_back_once() -> None:
    """Releasing twice makes no place out of nothing."""
    link = HostConnection("host", 2, _nothing)
    reservation = link.reserve(1)
    reservation.release()
    reservation.release()
    link.reserve(2).release()
    taken = link.reserve(2)
    late: list[object] = []
    thread = threading.Thread(target=lambda: late.append(link.reserve(1)), daemon=True)
    thread.start()
    thread.join(0.1)
    assert not late
    taken.release()
    thread.join(5)

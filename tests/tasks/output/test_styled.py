"""What the console tells of long work where nobody looks: plain lines."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import sys
import termios

import pytest
from rich.console import Console as RichConsole

from envfab.tasks.output.console import Console
from envfab.tasks.output.styled import Progress, elapsed


def test_a_step_that_goes_on_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Who waits for a lock says so every second; a log has one line of it, until something else happens."""
    with Console() as console:
        console.stage("deploying", 2)
        for step in ("waiting for the lock", "waiting for the lock", "installing", "waiting for the lock"):
            console.working("web1", step)
            console.working("web2", "installing")
    assert capsys.readouterr().err.splitlines() == [
        "web1: waiting for the lock", "web2: installing", "web1: installing", "web1: waiting for the lock",
    ]  # fmt: skip


def test_two_pieces_of_one_name_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Two sets of requirements for one interpreter are resolved one after the other, under its name; a stage is new."""
    with Console() as console:
        for stage in ("resolving", "downloading"):
            console.stage(stage, 2)
            for _ in range(2):
                console.working("CPython 3.11.7", stage)
                console.advance(stage, "CPython 3.11.7")
    assert capsys.readouterr().err.splitlines() == ["CPython 3.11.7: resolving", "CPython 3.11.7: downloading"]


def test_what_no_stream_takes_ends_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A server may answer with half of a surrogate pair: it is replaced in text, and escaped in JSON."""
    console = Console()
    console.print("a\ud800b\u202ec")
    console.json({"message": "a\ud800b"})
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "a\ufffdb\ufffdc"
    assert json.loads(out.partition("\n")[2]) == {"message": "a\ud800b"}
    assert out.encode()


def test_the_live_block_tells_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage, and each that is at work since its step began: a step that is told again goes on."""
    clock = iter([100.0, 110.0, 163.0])
    monkeypatch.setattr("envfab.tasks.output.styled.time.monotonic", lambda: next(clock))
    out = io.StringIO()
    progress = Progress(RichConsole(file=out, force_terminal=False, width=60))
    progress.stage("deploying", 2, None)
    progress.working("web1", "installing 12 packages")
    progress.working("web1", "installing 12 packages")
    assert str(progress._block().text).splitlines() == [
        " 1:03  deploying: 0 of 2", "   web1  0:53  installing 12 packages",
    ]  # fmt: skip


def test_durations_are_shown_as_clocks_do() -> None:
    """Hours only where there are any."""
    assert [elapsed(seconds) for seconds in (0.9, 7, 61, 3723)] == ["0:00", "0:07", "1:01", "1:02:03"]


@pytest.mark.parametrize(("columns", "lines"), [(60, 3), (0, 1)])
def test_no_word_is_broken_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, lines: int) -> None:
    """Plain and styled lines alike; a terminal that does not say how wide it is gets them whole."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    monkeypatch.setenv("COLUMNS", "30")
    text = " ".join(f"word{number}" for number in range(20))
    with open(terminal, "w", closefd=True) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        console = Console()
        console.print(text)
        console.print(text, "bold")
        shown = ""
        while shown.count("word19") < 2 or not shown.endswith("\n"):
            shown += os.read(controller, 65536).decode()
    os.close(controller)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\r\n")[:-1]
    assert len(plain) == 2 * lines
    assert " ".join(plain).split() == text.split() * 2
    assert not columns or all(len(line) <= columns for line in plain)


def test_a_command_to_copy_is_joined_by_a_shell_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error as on standard output: what is pasted is the command in one piece."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with open(terminal, "w", closefd=True) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        console = Console()
        for tell in (console.command, console.note_command):
            tell("copy", "fab -S ssh_config history --rollout 20261127-032233-bc7e")
            shown = ""
            while not shown.endswith("bc7e\r\n"):
                shown += os.read(controller, 65536).decode()
            assert shown.splitlines() == ["copy fab -S ssh_config history \\", "    --rollout 20261127-032233-bc7e"]
    os.close(controller)

"""Hosts that stop answering in the middle of a deployment, and whoever does not want to wait for them."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze, wait_for

IMPATIENT = "from envfab.remote import agent_session\nfrom envfab.remote.ssh import keepalive\nkeepalive.INTERVAL, keepalive.SILENCE, agent_session.SILENCE = 1, 4, 6\n"


@pytest.fixture
def holding(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> Path:
    """A virtualenv whose deployment waits in `before` while a file says so."""
    srv.chmod(0o777)
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin)
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'],"
        f" before='touch {srv}/begun; while test -e {srv}/hold; do sleep 0.05; done')])"
    )
    workplace.add_made("shop", "1.0")
    (srv / "hold").touch()
    return path


@contextmanager
def stopped(hosts: Hosts) -> Iterator[None]:
    """Every connection's server is there and does nothing: what is sent is taken by the system, and never answered."""
    sessions = hosts.sessions()
    assert sessions
    for pid in sessions:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in sessions:
            os.kill(pid, signal.SIGCONT)
        hosts.cut()


def test_a_host_that_gives_no_sign_of_life_is_given_up(
    workplace: Workplace, hosts: Hosts, holding: Path, srv: Path
) -> None:
    """It has failed, in one line, though nobody ended the connection; the next deployment repairs it."""
    fabfile = workplace.folder / "fabfile.py"
    plain = fabfile.read_text()
    fabfile.write_text(IMPATIENT + plain)
    with workplace.at_terminal("deploy", "--yes") as terminal:
        wait_for(srv / "begun")
        with stopped(hosts):
            assert terminal.finish(30) == 1, terminal.shown
    assert "the host gave no sign of life for" in terminal.shown
    assert "the journal is open: the next fab" in unstyled(terminal.shown)
    assert "Traceback" not in terminal.shown
    (srv / "hold").unlink()
    fabfile.write_text(plain)
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert freeze(holding) == {"shop": "1.0"}


def test_the_second_ctrl_c_ends_at_once_whatever_hangs(
    workplace: Workplace, hosts: Hosts, holding: Path, srv: Path
) -> None:
    """The first says what a second will do; the second brings the summary and the command that takes back."""
    with workplace.at_terminal("deploy", "--yes") as terminal:
        wait_for(srv / "begun")
        with stopped(hosts):
            terminal.interrupt()
            terminal.expect("a second Ctrl-C ends at once")
            began = time.monotonic()
            terminal.interrupt()
            assert terminal.finish(10) == 1, terminal.shown
            assert time.monotonic() - began < 2
    assert "given up at the step before" in terminal.shown
    assert "1 not finished" in terminal.shown
    assert "Traceback" not in terminal.shown
    (srv / "hold").unlink()
    command = shlex.split(unstyled(terminal.shown).partition("to roll back: fab ")[2].splitlines()[0])
    taken = run_fab(workplace.folder, *command, "--yes")
    assert taken.returncode == 0, taken.stdout + taken.stderr
    assert freeze(holding) == {}
    assert not (holding / ".envfab" / "journal.json").exists()


def test_a_ctrl_c_does_not_reach_the_program_that_leads_to_a_host(
    workplace: Workplace, hosts: Hosts, holding: Path, srv: Path
) -> None:
    """A ProxyCommand shares the terminal; what is under way by way of it is finished all the same."""
    config = workplace.folder / "proxied"
    relay = workplace.file(
        "relay.py",
        "import os, socket, sys, threading\n"
        "there = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def back():\n"
        "    while data := there.recv(65536):\n"
        "        os.write(1, data)\n"
        "threading.Thread(target=back, daemon=True).start()\n"
        "while data := os.read(0, 65536):\n"
        "    there.sendall(data)\n",
    )
    command = f"Host web1\n ProxyCommand {sys.executable} {relay} %h %p\n"
    config.write_text(command + hosts.config.read_text())
    with Workplace(workplace.folder).at_terminal("-S", str(config), "deploy", "--yes") as terminal:
        wait_for(srv / "begun")
        terminal.interrupt()
        terminal.expect("those under way are finished")
        time.sleep(0.5)
        (srv / "hold").unlink()
        assert terminal.finish() == 0, terminal.shown
    assert freeze(holding) == {"shop": "1.0"}


@pytest.mark.parametrize("banner", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_a_ctrl_c_ends_a_look_at_silent_hosts(local: Workplace, tmp_path: Path, banner: bytes) -> None:
    """Nothing is under way there that could be finished: the first one ends it, within two seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = f"Host silent\n HostName 127.0.0.1\n Port {server.getsockname()[1]}\n"
        (tmp_path / "config").write_text(config)
        local.fabfile("Host('silent', virtualenvs=[Virtualenv('/srv/v', packages=['shop'])])")
        local.add_made("shop", "1.0")
        with local.at_terminal("-S", str(tmp_path / "config"), "plan") as terminal:
            connection, _ = server.accept()
            connection.sendall(banner)
            terminal.expect("looking")
            began = time.monotonic()
            terminal.interrupt()
            assert terminal.finish(10) == 1, terminal.shown
            assert time.monotonic() - began < 2
            assert "Traceback" not in terminal.shown
            connection.close()


def test_whatever_ended_well_is_no_failure_for_a_ctrl_c(workplace: Workplace, holding: Path, srv: Path) -> None:
    """All that was begun ended well, and nothing was left out: exit 0."""
    with workplace.at_terminal("deploy", "--yes") as terminal:
        wait_for(srv / "begun")
        terminal.interrupt()
        terminal.expect("those under way are finished")
        (srv / "hold").unlink()
        assert terminal.finish() == 0, terminal.shown
    assert "1 deployed" in terminal.shown
    assert freeze(holding) == {"shop": "1.0"}


def unstyled(shown: str) -> str:
    """What a terminal was told to show, without how."""
    return re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", shown)

"""More hosts than connections: what is idle is closed for others, and opened again."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest
from fabric import Connection

from envfab.config.host import Host
from envfab.config.settings import Settings
from envfab.errors import Unreachable
from envfab.remote import descriptor_limit
from envfab.remote.probe import ProbeResult, probe_all
from envfab.remote.run_command import run_command
from envfab.remote.ssh.connections import Connections
from envfab.remote.startup import Identity
from envfab.remote.workers import SPARE, start_workers
from envfab.util.progress import Silent
from tests.remote.conftest import Connect, member
from tests.support.crowd import busy, crowd
from tests.support.late import listener_that
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker

MANY = SPARE + 6


def says(connections: Connections, host: str) -> str:
    """What a command prints on a host, or why there is none."""
    try:
        with connections.link(Host(host)).reserve(1) as place:
            return run_command(place, "echo here", where=host, identity=Identity()).output.strip()
    except Unreachable as error:
        return str(error)


def open_transports() -> int:
    """The connections that are open."""
    return sum(isinstance(one, paramiko.Transport) and one.is_active() for one in threading.enumerate())


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that were connected to, in order."""
    names: list[str] = []
    opening = Connection.open

    def counting(self: Connection) -> object:
        # Fabric opens a gateway once more for each connection through it
        if not self.is_connected:
            names.append(self.original_host)
        return opening(self)

    monkeypatch.setattr(Connection, "open", counting)
    return names


def test_what_was_idle_longest_is_closed_and_opened_again(
    hosts: Hosts, connect: Connect, tmp_path: Path, opened: list[str]
) -> None:
    """Two hosts in work leave room for two connections and the spare ones, and every host goes on answering."""
    before = open_transports()
    connections = connect(crowd(hosts, tmp_path / "config").config, parallel=2)
    names = [f"crowd{number}" for number in range(MANY)]
    for name in names:
        assert says(connections, name) == "here"
        assert open_transports() - before <= 2 + SPARE
    assert opened == names
    # the last ones are still open, the first were closed
    assert says(connections, names[-1]) == says(connections, names[0]) == "here"
    assert opened == [*names, names[0]]


def test_a_connection_in_use_stays(hosts: Hosts, connect: Connect, tmp_path: Path) -> None:
    """A place that is taken keeps its connection, whatever others need."""
    connections = connect(crowd(hosts, tmp_path / "config").config, parallel=1)
    with connections.link(Host("crowd0")).reserve(1) as place:
        process = place.start(["cat"])
        for number in range(1, MANY):
            says(connections, f"crowd{number}")
        process.write(b"still here\n")
        assert process.stream.line() == b"still here\n"
        process.kill()


def test_a_jump_host_stays(hosts: Hosts, connect: Connect, tmp_path: Path, opened: list[str]) -> None:
    """It may be a host of the fleet itself: those behind it need it for as long as they are there."""
    connections = connect(crowd(hosts, tmp_path / "config").config, parallel=1)
    assert says(connections, "jump") == says(connections, "inner1") == "here"
    with connections.link(Host("inner1")).reserve(1) as place:
        process = place.start(["cat"])
        for number in range(MANY):
            says(connections, f"crowd{number}")
        process.write(b"still here\n")
        assert process.stream.line() == b"still here\n"
        process.kill()
    assert says(connections, "inner2") == says(connections, "jump") == "here"
    assert opened.count("jump") == 1


def test_many_threads_find_their_hosts(hosts: Hosts, connect: Connect, tmp_path: Path) -> None:
    """Whoever closes a connection for room, and whoever opens it meanwhile, do not wait for each other."""
    connections = connect(crowd(hosts, tmp_path / "config").config, parallel=1)
    rolls = random.Random(7)
    turns = [f"crowd{rolls.randrange(MANY)}" for _ in range(120)]
    results: list[str] = []
    threads = start_workers(lambda name: results.append(says(connections, name)), turns, 8, "test")
    for thread in threads:
        thread.join(60)
    assert results == ["here"] * len(turns)


def test_nothing_is_opened_again_after_the_end(hosts: Hosts, connect: Connect, tmp_path: Path) -> None:
    """Whoever still wants something is told so."""
    connections = connect(crowd(hosts, tmp_path / "config").config, parallel=1)
    first = connections.link(Host("crowd0"))
    for number in range(1, MANY):
        connections.link(Host(f"crowd{number}"))
    connections.close()
    with pytest.raises(Unreachable):
        run_command(first.reserve(1), "true", where="crowd0", identity=Identity())


class TestLargeFleets:
    """What probing more hosts than there may be connections needs of this machine."""

    def test_descriptors_and_threads_depend_on_the_hosts_in_work(
        self, hosts: Hosts, connect: Connect, tmp_path: Path, make_virtualenv: VirtualenvMaker
    ) -> None:
        """At most three descriptors and two threads for each of these, and a few more."""
        path = make_virtualenv("3.11", hosts.srv / "pooled", owner=hosts.users.admin)
        parallel, number = 3, 40
        members = [member(path, f"crowd{one}", login=hosts.users.admin) for one in range(number)]
        connections = connect(crowd(hosts, tmp_path / "config").config, parallel=parallel)
        descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
        most = [0, 0]

        def look(found: ProbeResult) -> ProbeResult:
            most[0] = max(most[0], len(os.listdir("/proc/self/fd")) - descriptors)
            most[1] = max(most[1], threading.active_count() - threads)
            return found

        connections.open_ahead(one.host for one in members)
        settings = Settings(parallel=parallel)
        with probe_all(members, connections, settings, Silent(), look=look, needed=lambda _: True) as found:
            everyone = found.all()
        assert [one.error for one in everyone] == [None] * number
        # none was left to keep a connection open that others need
        assert not [one for one in everyone if one.site is not None and one.site.session]
        assert most[0] <= 3 * parallel + 30
        assert most[1] <= 2 * parallel + 20

    @pytest.mark.parametrize(
        ("soft", "hard", "parallel", "allowed", "raised"),
        [
            (1024, 4096, 20, 20, 1024),
            (64, 4096, 20, 20, 90),
            (64, 64, 20, 11, 64),
            (16, 16, 20, 1, 16),
            (64, -1, 500, 500, 1530),
            (-1, -1, 500, 500, -1),
        ],
    )
    def test_the_limit_on_descriptors_is_raised_as_far_as_needed(
        self, monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, parallel: int, allowed: int, raised: int
    ) -> None:
        """Where the hard limit is too low, fewer hosts are in work at once."""
        now = [(soft, hard)]
        monkeypatch.setattr("resource.getrlimit", lambda _which: now[-1])
        monkeypatch.setattr("resource.setrlimit", lambda _which, new: now.append(new))
        assert descriptor_limit.make_room_for(parallel) == allowed
        assert now[-1] == (raised, hard)


class TestBusyServers:
    """sshd ends connections above `MaxStartups` at once: they are tried again."""

    def test_a_server_that_accepts_few_at_once_lets_all_in(
        self, hosts: Hosts, connect: Connect, tmp_path: Path, opened: list[str]
    ) -> None:
        """Twelve hosts at once where two logins may be under way."""
        names = [f"crowd{number}" for number in range(12)]
        results: list[str] = []
        with busy(hosts, tmp_path / "busy", "2:100:2") as crowded:
            connections = connect(crowded.config, timeout=30)
            threads = start_workers(lambda name: results.append(says(connections, name)), names, 12, "test")
            for thread in threads:
                thread.join(60)
            connections.close()
        assert results == ["here"] * 12
        assert len(opened) > 12

    @pytest.mark.parametrize("word", [b"", b"Exceeded MaxStartups\r\n"], ids=["silently", "with a word"])
    def test_a_server_that_never_lets_one_in_is_told(self, connect: Connect, tmp_path: Path, word: bytes) -> None:
        """After the time limit of a connection, with what to do."""
        with listener_that(lambda peer: peer.sendall(word)) as port:
            config = tmp_path / "config"
            config.write_text(f"Host web\n    HostName 127.0.0.1\n    Port {port}\n")
            began = time.monotonic()
            with pytest.raises(Unreachable) as told:
                connect(config, timeout=2).link(Host("web"))
        assert time.monotonic() - began < 4
        said = str(told.value)
        assert said.startswith(f"web: 127.0.0.1 port {port} ended the connection before the login, ")
        assert said.endswith(" times within 2 s\n  raise MaxStartups in its sshd_config, or lower the setting parallel")

    def test_closing_does_not_wait_for_the_next_try(self, connect: Connect, tmp_path: Path) -> None:
        """Ctrl-C ends the pause."""
        with listener_that(lambda _peer: None) as port:
            config = tmp_path / "config"
            config.write_text(f"Host web\n    HostName 127.0.0.1\n    Port {port}\n")
            connections = connect(config, timeout=60)
            told: list[Exception] = []

            def link() -> None:
                try:
                    connections.link(Host("web"))
                except Unreachable as error:
                    told.append(error)

            thread = threading.Thread(target=link)
            thread.start()
            time.sleep(1)
            connections.close()
            thread.join(3)
        assert len(told) == 1

    @pytest.mark.parametrize("way", ["ProxyJump jump", "ProxyCommand ssh -F {config} -W %h:%p jump"])
    def test_a_jump_host_gets_few_connections_at_once(
        self, hosts: Hosts, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        """Of twelve hosts behind it three are connected to at the same time, as `jump_parallel` says."""
        config = crowd(hosts, tmp_path / "config", way.format(config=hosts.config)).config
        now, most = [0], [0]
        opening: Callable[[Connection], object] = Connection.open
        counting = threading.Lock()

        def counted(self: Connection) -> object:
            if not self.original_host.startswith("crowd"):
                return opening(self)
            with counting:
                now[0] += 1
                most[0] = max(most[0], now[0])
            try:
                return opening(self)
            finally:
                with counting:
                    now[0] -= 1

        monkeypatch.setattr(Connection, "open", counted)
        connections = connect(config, timeout=30, jump_parallel=3)
        results: list[str] = []
        names = [f"crowd{number}" for number in range(12)]
        for thread in start_workers(lambda name: results.append(says(connections, name)), names, 12, "test"):
            thread.join(60)
        assert results == ["here"] * 12
        assert most == [3]

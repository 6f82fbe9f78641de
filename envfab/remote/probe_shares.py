"""The processes in which a large fleet is probed, each with its share of the hosts.

They are forked before the first connection is opened. Each probes its hosts and sends back what was made of each
result. Whatever needs the user's terminal, and whatever a process did not answer for, is probed in this process
afterwards.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, Protocol, TypeVar

from envfab.config.settings import Settings
from envfab.config.target import Member
from envfab.errors import NeedsTerminal
from envfab.remote.probe import Links, ProbeResult, TargetSession, hosts_of, probe_all
from envfab.remote.result_queue import ResultQueue
from envfab.util.progress import Reporter, Silent

# seconds that processes may take to end once all results are there
GOODBYE = 5.0
FORK = multiprocessing.get_context("fork")
T = TypeVar("T")


def _parts(members: Sequence[Member], number: int) -> list[list[Member]]:
    """Divide the members into parts with about as many hosts; a host is in one part."""
    names = {name: place % number for place, name in enumerate(hosts_of(members))}
    parts: dict[int, list[Member]] = defaultdict(list)
    for member in members:
        parts[names[member.host.name]].append(member)
    return [*parts.values()]


class Work(Protocol[T]):
    """The protocol of what is made of each probe: in another process, or in this one."""

    def make(self, found: ProbeResult) -> T:
        """Make the result; called in any thread of any process."""
        ...

    def pack(self, result: T) -> bytes:
        """Return the result as bytes for this process."""
        ...

    def unpack(self, packed: bytes, member: Member, site: TargetSession) -> T:
        """Return what was packed; `site` is a session that is not open."""
        ...

    def accept(self, result: T) -> None:
        """Called in this process with each result, before it can be taken."""
        ...

    def is_needed(self, result: T) -> bool:
        """Return whether the agent may be needed for what comes next."""
        ...


class Shares(Generic[T]):
    """The processes that probe, each with its share of the hosts, and the thread that takes what they send."""

    def __init__(
        self, arrivals: ResultQueue[T], links: Links, settings: Settings, reporter: Reporter, work: Work[T]
    ) -> None:
        self._arrivals = arrivals
        self._links = links
        self._settings = settings
        self._reporter = reporter
        self._work = work
        self._parts: dict[Connection, list[Member]] = {}
        self._processes: list[BaseProcess] = []
        self._receiver = threading.Thread(target=self._receive, name="envfab-receive", daemon=True)
        # nothing is ever sent through it: its end tells the others that this process is gone
        self._alive, self._held = FORK.Pipe(duplex=False)

    def start(self, number: int) -> None:
        """Start the processes, and take what they send."""
        for part in _parts(self._arrivals.members, number):
            ours, theirs = FORK.Pipe(duplex=False)
            process = FORK.Process(target=self._probe, args=(part, theirs, ours), daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._parts[ours] = part
        self._alive.close()
        missing = self._arrivals
        self._reporter.stage("looking", len(missing.members), lambda: hosts_of(missing.missing))
        self._receiver.start()

    def end(self) -> None:
        """End the processes: at once, if results are missing."""
        if self._arrivals.missing:
            self._arrivals.abandon()
            for process in self._processes:
                process.terminate()
        self._receiver.join(GOODBYE)
        self._held.close()
        for process in self._processes:
            process.join(GOODBYE)

    def _probe(self, part: Sequence[Member], answers: Connection, ours: Connection) -> None:
        """Probe a part, in a process of its own, and send (the member's number in the part, packed result) for each."""
        # Ctrl-C at the terminal reaches all processes; the first one ends the others
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for inherited in (self._held, ours, *self._parts):
            inherited.close()
        threading.Thread(target=self._exit_with_parent, daemon=True).start()
        self._links.ask_nobody()
        numbers = {member.target: number for number, member in enumerate(part)}
        sending = threading.Lock()

        def look(found: ProbeResult) -> None:
            if isinstance(found.error, NeedsTerminal):
                return
            answer = numbers[found.member.target], self._work.pack(self._work.make(found))
            with sending:
                answers.send(answer)

        with probe_all(part, self._links, self._settings, Silent(), look=look) as arrivals:
            arrivals.all()
        self._links.close()
        answers.close()

    def _exit_with_parent(self) -> None:
        with suppress(EOFError, OSError):
            self._alive.recv_bytes()
        os._exit(1)

    def _receive(self) -> None:
        """Put what the processes send into the queue, and then what is missing, probed in this process."""
        try:
            open_pipes = set(self._parts)
            while open_pipes and not self._arrivals.over:
                for pipe in wait([*open_pipes]):
                    assert isinstance(pipe, Connection)
                    try:
                        self._take(pipe.recv(), self._parts[pipe])
                    except (EOFError, OSError):
                        open_pipes.discard(pipe)
            missing = self._arrivals.missing
            if missing and not self._arrivals.over:
                with probe_all(missing, self._links, self._settings, Silent(), look=self._make_here) as rest:
                    rest.all()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that takes the arrivals
            self._arrivals.fail(error)

    def _take(self, sent: tuple[int, bytes], part: Sequence[Member]) -> None:
        number, packed = sent
        member = part[number]
        link = self._links.link_later(member.host)
        site = TargetSession(member, link, self._links.sudo_password, self._settings.command_timeout)
        self._arrived(member, self._work.unpack(packed, member, site))

    def _make_here(self, found: ProbeResult) -> None:
        self._arrived(found.member, self._work.make(found))

    def _arrived(self, member: Member, result: T) -> None:
        self._work.accept(result)
        if not self._arrivals.over:
            self._reporter.advance("looking", str(member.target))
        self._arrivals.put(member.target, result)

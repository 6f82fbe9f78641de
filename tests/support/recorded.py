"""A fleet of any size on one machine: processes that answer as an agent once did, behind the links of real hosts.

What a real agent replied is recorded once; a virtualenv of the fleet gets it under its own host's name, as one of a few
kinds, each with another version of one package. Everything above `managed.process` is the real thing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envfab.config.host import Host
from envfab.remote import agent_sources
from envfab.remote.agent_session import AGENT_WORD, start_agent
from envfab.remote.process import HostConnection, local_link
from envfab.remote.ssh.channel import PLACES
from envfab.remote.startup import Identity
from envfab.remote.stream import Stream
from tests.support.links import PlainLinks

Replies = Mapping[str, Any]


def record(virtualenv: Path) -> Replies:
    """What a real agent in `virtualenv` replies to the questions of `fab plan`, by operation."""
    with (
        local_link().reserve(1) as place,
        start_agent(
            place,
            f"{virtualenv}/bin/python",
            str(virtualenv),
            where=str(virtualenv),
            identity=Identity(),
            modules=(*agent_sources.PROBE, *agent_sources.TAGS),
        ) as session,
    ):
        return {operation: session.ask(operation) for operation in ("probe", "tags")}


def of_kind(replies: Replies, kind: int) -> Replies:
    """The replies of a virtualenv in which one more package, `kind`, has the version that is the number."""
    another = {**replies["probe"]["own"][0], "name": "kind", "version": str(kind), "requires": []}
    return {**replies, "probe": {**replies["probe"], "own": [*replies["probe"]["own"], another]}}


class RecordedProcess:
    """An agent that has its replies ready; it reads what it is sent as `agent.kernel` does (it is a `Process`)."""

    def __init__(self, arguments: Sequence[str], replies: Mapping[str, bytes]) -> None:
        self._replies = replies
        self._skip = 0
        self._pending = b""
        self._started = False
        # the shell of `commands.python` says the word behind its script, and the loader says its own
        self._out = [f"{arguments[3]}\n".encode() + AGENT_WORD]
        self.stream = Stream(lambda: self._out.pop(0) if self._out else b"")

    def write(self, data: bytes) -> None:
        """As `Process` says."""
        self._pending += data
        while self._pending:
            if self._skip:
                taken = min(self._skip, len(self._pending))
                self._pending, self._skip = self._pending[taken:], self._skip - taken
                continue
            line, end, rest = self._pending.partition(b"\n")
            if not end:
                return
            self._pending = rest
            if self._started:
                request = json.loads(line)
                self._skip = request["bytes"]
                self._out.append(self._replies[request["op"]])
            else:
                self._started, self._skip = True, int(line)

    def limit(self, seconds: float | None) -> None:
        """As `Process` says; nothing is waited for."""

    def ended(self) -> bool:
        """As `Process` says."""
        return False

    def finish(self) -> int | None:
        """As `Process` says."""
        return 0

    def abandon(self) -> None:
        """As `Process` says."""

    def kill(self) -> None:
        """As `Process` says."""


@dataclass(slots=True)
class RecordedLinks(PlainLinks):
    """Links to hosts that all have the same recorded virtualenvs (it is `probe.Links`).

    `started` counts the agents, `threads` is the most that this program had when one of them started, without those
    that it had before: other tests may have left some that end a little later.
    """

    replies: Replies
    kinds: int = 1
    sudo_password: str | None = None
    links: dict[str, HostConnection] = field(default_factory=dict)
    started: int = 0
    threads: int = 0
    _before: int = field(default_factory=threading.active_count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _frames: list[Mapping[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for kind in range(self.kinds):
            frames = {op: _frame(reply) for op, reply in of_kind(self.replies, kind).items()}
            self._frames.append({"load": _frame({}), **frames})

    def link(self, host: Host) -> HostConnection:
        """As `Links` says."""
        with self._lock:
            if host.name not in self.links:
                self.links[host.name] = HostConnection(host.name, PLACES, self._start)
            return self.links[host.name]

    def _start(self, arguments: Sequence[str]) -> RecordedProcess:
        with self._lock:
            self.started += 1
            self.threads = max(self.threads, threading.active_count() - self._before)
            return RecordedProcess(arguments, self._frames[self.started % self.kinds])


def _frame(reply: Any) -> bytes:
    return json.dumps({"ok": reply}).encode() + b"\n"

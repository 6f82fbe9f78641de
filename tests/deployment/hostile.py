"""Virtualenvs whose agents answer what a test wants them to: at the boundary where bytes come from a host.

What a good one says was said by a real agent (`recorded`); a bad one says the same but for what was mutated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.text import Text

from envfab.config.host import Host
from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.barriers import Barriers
from envfab.deployment.context import RolloutContext
from envfab.deployment.proposal import Proposal, propose_one
from envfab.deployment.propose import propose
from envfab.deployment.result import Caller, Deployment, new_rollout_id
from envfab.deployment.rollback import histories, propose_undo
from envfab.deployment.rollout import Rollout, settled
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements, parse
from envfab.planning.plan import Options, Status
from envfab.planning.plan_cache import Plans
from envfab.remote.process import HostConnection, LocalProcess, Process
from envfab.remote.stream import Stream
from envfab.tasks.output.endings import show_endings
from envfab.tasks.output.history import show_history
from envfab.tasks.output.plans import plans_json, rollout_json, show_group
from envfab.util.progress import Silent
from envfab.util.untrusted import format_json, harmless
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.links import PlainLinks

SETTINGS = Settings()
# what an agent says to each operation, one line a time that it was asked
Conversation = Mapping[str, Sequence[bytes]]
Answer = Callable[[str, bytes], bytes]


class Requests:
    """What is written to an agent, as the operations that it asks for."""

    def __init__(self) -> None:
        self._came = bytearray()
        self._to_skip = -1

    def feed(self, data: bytes) -> Iterable[str]:
        """The operations that are complete with this."""
        self._came += data
        while True:
            if self._to_skip > 0:
                skipped = min(self._to_skip, len(self._came))
                del self._came[:skipped]
                self._to_skip -= skipped
            end = self._came.find(b"\n")
            if self._to_skip > 0 or end < 0:
                return
            line = bytes(self._came[: end + 1])
            del self._came[: end + 1]
            if self._to_skip < 0:
                # the agent's first sources
                self._to_skip = int(line)
                continue
            request = json.loads(line)
            self._to_skip = request["bytes"]
            yield request["op"]


class Recording:
    """A real agent's process, whose answers are written down."""

    def __init__(self, process: Process, conversation: dict[str, list[bytes]]) -> None:
        self._process = process
        self._requests = Requests()
        self._asked: list[str] = []
        self._conversation = conversation
        self._line = bytearray()
        self.stream = Stream(self._receive)

    def _receive(self) -> bytes:
        data = self._process.stream.chunk()
        self._line += data
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[: end + 1])
            del self._line[: end + 1]
            if line.startswith((b'{"ok"', b'{"problem"')):
                self._conversation.setdefault(self._asked.pop(0), []).append(line)
        return data

    def write(self, data: bytes) -> None:
        """As `Process` says."""
        self._asked += self._requests.feed(data)
        self._process.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)


class Replay:
    """An agent that says what another one said, as `answer` changes it for its operation."""

    def __init__(self, arguments: Sequence[str], conversation: Conversation, answer: Answer) -> None:
        word = arguments[3]
        self._left = {operation: list(lines) for operation, lines in conversation.items()}
        self._said = bytearray(word.encode() + b"\n\nENVFAB-AGENT\n")
        self._requests = Requests()
        self._answer = answer
        self.stream = Stream(self._receive)

    def _receive(self) -> bytes:
        data = bytes(self._said[:65536])
        del self._said[:65536]
        return data

    def write(self, data: bytes) -> None:
        """As `Process` says."""
        for operation in self._requests.feed(data):
            lines = self._left.get(operation) or [b'{"ok": {}}\n']
            self._said += self._answer(operation, lines.pop(0) if len(lines) > 1 else lines[0])

    def limit(self, seconds: float | None) -> None:
        """As `Process` says."""

    def ended(self) -> bool:
        """As `Process` says."""
        return True

    def finish(self) -> int | None:
        """As `Process` says."""
        return 0

    def abandon(self) -> None:
        """As `Process` says."""

    def kill(self) -> None:
        """As `Process` says."""


def as_it_was(_operation: str, line: bytes) -> bytes:
    """A good agent's answer."""
    return line


@dataclass(slots=True)
class HostileFleet(PlainLinks):
    """Virtualenvs by host name, each with what starts a process on that host."""

    starts: Mapping[str, Callable[[Sequence[str]], Process]]
    wheelhouse: Wheelhouse
    path: str
    sudo_password: str | None = None
    links: dict[str, HostConnection] = field(default_factory=dict)

    @property
    def members(self) -> list[Member]:
        """One virtualenv for each host."""
        return [
            Member(Target("root", name, self.path), Host(name), Virtualenv(self.path, packages=["shop"]), "root")
            for name in self.starts
        ]

    def link(self, host: Host) -> HostConnection:
        """As `Links` says."""
        return self.links.setdefault(host.name, HostConnection(host.name, 8, self.starts[host.name]))

    def requirements(self) -> Mapping[Target, Requirements]:
        """All want a shop."""
        wanted = parse((), lambda name: name, ("shop",))
        return {member.target: wanted for member in self.members}

    def plan_and_deploy(self) -> tuple[list[Proposal], dict[str, Deployment], str]:
        """(the plans, what became of each host's virtualenv, all that is shown of both)."""
        shown: list[str | Text] = []
        options = Options()
        with propose(
            self.requirements(), self.members, self, self.wheelhouse, options, SETTINGS, Silent()
        ) as proposing:
            proposals = proposing.all()
            shown += [show_group([proposal]) for proposal in proposals]
            shown.append(format_json(plans_json(proposals)))
            around = RolloutContext(
                rollout=new_rollout_id(),
                caller=Caller("ada", "laptop"),
                wheelhouse=self.wheelhouse,
                settings=SETTINGS,
                gates=Barriers(),
                reporter=Silent(),
                reconsider=self.plan_again,
            )
            chosen = [proposal for proposal in proposals if proposal.plan.status is Status.CHANGES]
            results = Rollout(around, chosen).carry_out()
            deployments = [results.get(one.plan.target) or settled(one) for one in proposals]
        shown += [show_endings(deployments), format_json(rollout_json("r", deployments))]
        return proposals, {one.target.host: one for one in deployments}, text_of(shown)

    def plan_again(self, old: Proposal, probe: Probe) -> Proposal | None:
        """The plan for a virtualenv that changed, or says so."""
        if old.site is None:
            return None
        return propose_one(old.site, probe, old.requirements, Plans(self.wheelhouse, Options()))

    def look_back(self) -> tuple[dict[str, Status], str]:
        """(what rolling back would be for each host's virtualenv, what is shown of all histories)."""
        with histories(self.members, self, SETTINGS, Silent()) as arrivals:
            shown = [show_history(found, records[::-1], 10) for found, records in arrivals.all()]
        with propose_undo(self.members, self, self.wheelhouse, SETTINGS, Silent(), None) as proposing:
            proposals = proposing.all()
        shown += [show_group([proposal]) for proposal in proposals]
        return {one.plan.target.host: one.plan.status for one in proposals}, text_of(shown)


def text_of(shown: Iterable[str | Text]) -> str:
    """What a console would print."""
    return "\n".join(harmless(one if isinstance(one, str) else one.plain) for one in shown)


def recorded(path: Path, wheelhouse: Wheelhouse) -> Conversation:
    """What a real agent says in a deployment of the wheelhouse's shop to the virtualenv at `path`, and of its history."""
    conversation: dict[str, list[bytes]] = {}
    fleet = HostileFleet(
        {"here": lambda arguments: Recording(LocalProcess(arguments), conversation)}, wheelhouse, str(path)
    )
    _, endings, shown = fleet.plan_and_deploy()
    assert endings["here"].ending.value == "deployed", shown
    with suppress(KeyError):
        conversation["probe"] = conversation["probe"][:1]
    fleet.look_back()
    return conversation

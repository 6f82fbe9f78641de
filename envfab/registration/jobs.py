"""What is to be sent to which server."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envfab.errors import RegistrationError
from envfab.facts.probe import Probe
from envfab.fleet import Member, Server
from envfab.registration import kinds
from envfab.registration.difio import Answer
from envfab.registration.inventory import Variables
from envfab.registration.kinds import Content
from envfab.registration.pending import Missed
from envfab.registration.sbom import Digests
from envfab.registration.web import shown_url
from envfab.wheelhouse.log_file import LogFile
from envfab.wheelhouse.log_text import LogText


@dataclass(frozen=True, slots=True)
class Job:
    """A registration for a server; one that was `missed` before is sent in passing."""

    server: Server = field(repr=False)
    target: str
    registration: Content
    missed: Missed | None = None

    def as_missed(self) -> Missed:
        """How it is remembered."""
        return self.missed or Missed(shown_url(self.server.url), self.target, self.registration, int(time.time()))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: exactly one of `answer` and `error`; `processed` where a server tells that afterwards."""

    job: Job
    answer: Answer | None = None
    error: RegistrationError | None = None
    processed: bool | None = None


def jobs_for(
    probed: Iterable[tuple[Member, Probe]],
    servers: Sequence[Server],
    variables: Variables,
    *,
    release_log: Path | None = None,
    until: float = math.inf,
) -> tuple[list[Job], list[RegistrationError]]:
    """Each virtualenv for each server, and why those that are missing cannot be registered.

    The release log tells which wheels are installed. Bills of materials take some time to make: none is begun after
    `until`, by the monotonic clock.
    """
    jobs: list[Job] = []
    obstacles = {server: kinds.obstacle(server) for server in servers}
    unfit = [obstacle for obstacle in obstacles.values() if obstacle is not None]
    able = [server for server in servers if obstacles[server] is None]
    digests = _Digests(release_log)
    late = 0
    for member, probe in probed:
        try:
            for server in able:
                if kinds.takes_long(server) and time.monotonic() > until:
                    late += 1
                    continue
                content = kinds.content_for(server, member, probe, variables, digests)
                jobs.append(Job(server, str(member.target), content))
        except RegistrationError as error:
            unfit.append(error)
    if late:
        unfit.append(
            RegistrationError(f"no time for the bills of materials of {late} virtualenvs", hint="run fab register")
        )
    return jobs, unfit


class _Digests:
    """What the release log knows of wheels, read when somebody first asks."""

    def __init__(self, release_log: Path | None) -> None:
        self._release_log = release_log
        self._found: Digests | None = None

    def __call__(self) -> Digests:
        """It; raises `HouseError` where the log cannot be read."""
        if self._found is None:
            text = LogFile(self._release_log).read() if self._release_log else LogText("", "")
            self._found = Digests(text)
        return self._found

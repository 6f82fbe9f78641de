"""What is to be sent to which server."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envfab.config.fleet import Member
from envfab.config.servers import Server
from envfab.errors import EnvfabError, RegistrationError
from envfab.models.probe import Probe
from envfab.registration import server_kinds
from envfab.registration.difio.protocol import ServerAnswer
from envfab.registration.difio.registration import Variables
from envfab.registration.retry_queue import Missed
from envfab.registration.server_kinds import Content
from envfab.sbom import Digests
from envfab.util.untrusted import shown_url
from envfab.wheelhouse.release_log.storage import LogFile
from envfab.wheelhouse.release_log.view import LogText


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
class RegistrationOutcome:
    """What became of a job: exactly one of `answer` and `error`; `processed` where a server tells that afterwards."""

    job: Job
    answer: ServerAnswer | None = None
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
    unfit: dict[str, RegistrationError] = {}  # by their words: each is told once
    able, digests = [], Digests(LogText("", ""))
    for server in servers:
        try:
            server_kinds.require(server)
            if server_kinds.takes_long(server) and release_log is not None:
                digests = Digests(LogFile(release_log).read())
            able.append(server)
        except EnvfabError as error:
            unfit[str(error)] = RegistrationError(error.what, where=error.where, hint=error.hint)
    late = 0
    for member, probe in probed:
        for server in able:
            if server_kinds.takes_long(server) and time.monotonic() > until:
                late += 1
                continue
            try:
                content = server_kinds.content_for(server, member, probe, variables, digests)
            except RegistrationError as error:
                unfit[str(error)] = error
            else:
                jobs.append(Job(server, str(member.target), content))
    told = list(unfit.values())
    if late:
        told.append(RegistrationError(f"no time for {late} bills of materials", hint="run fab register"))
    return jobs, told

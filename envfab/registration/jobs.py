"""Jobs: which payload is sent to which server, and what becomes of it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envfab.config.target import Member
from envfab.errors import EnvfabError, RegistrationError
from envfab.models.probe import Probe
from envfab.registration.retry_queue import Missed, Pending
from envfab.registration.servers import Payload, RegistrationServer, ServerAnswer
from envfab.util.untrusted import shown_url


@dataclass(frozen=True, slots=True)
class Job:
    """A payload for a server; `missed` where it is one of an earlier run that failed."""

    server: RegistrationServer[Any] = field(repr=False)
    target: str
    payload: Payload
    missed: Missed | None = None

    def as_missed(self) -> Missed:
        """How the retry file keeps it."""
        url = shown_url(self.server.url)
        return self.missed or Missed(url, self.target, self.server.retry_key, self.payload, int(time.time()))


@dataclass(frozen=True, slots=True)
class RegistrationOutcome:
    """The outcome of a job: exactly one of `answer` and `error`.

    `processed` is whether the server has processed the payload; None where it is not asked.
    """

    job: Job
    answer: ServerAnswer | None = None
    error: RegistrationError | None = None
    processed: bool | None = None


def jobs_for(
    probed: Iterable[tuple[Member, Probe]],
    servers: Sequence[RegistrationServer[Any]],
    *,
    release_log: Path | None = None,
    until: float = math.inf,
) -> tuple[list[Job], list[RegistrationError]]:
    """A job for each virtualenv and server, and the reasons why some are missing.

    `release_log` says which wheels are installed. Payloads that take long to make are not begun after `until`
    (seconds of the monotonic clock).
    """
    unfit: dict[str, RegistrationError] = {}  # by their words: each is told once
    makers: list[tuple[RegistrationServer[Any], Callable[[Member, Probe], Payload]]] = []
    for server in servers:
        try:
            makers.append((server, server.payload_maker(release_log)))
        except EnvfabError as error:
            unfit[str(error)] = RegistrationError(error.what, where=error.where, hint=error.hint)
    jobs: list[Job] = []
    late: Counter[tuple[str, str]] = Counter()
    for member, probe in probed:
        for server, make in makers:
            if server.payload_takes_long and time.monotonic() > until:
                late[server.payload_noun] += 1
                continue
            try:
                jobs.append(Job(server, str(member.target), make(member, probe)))
            except RegistrationError as error:
                unfit[str(error)] = error
    return jobs, [*unfit.values(), *(_no_time_for(count, noun) for noun, count in late.items())]


def missed_jobs(pending: Pending, jobs: Sequence[Job], servers: Sequence[RegistrationServer[Any]]) -> list[Job]:
    """What the servers missed before, except what `jobs` send anew."""
    anew = {job.as_missed().key for job in jobs}
    found = ((missed, _taker(missed, servers)) for missed in pending.read() if missed.key not in anew)
    return [Job(server, missed.target, missed.payload, missed) for missed, server in found if server is not None]


def _taker(missed: Missed, servers: Sequence[RegistrationServer[Any]]) -> RegistrationServer[Any] | None:
    """The server that a payload was for: of its kind, at its address; of several the last."""
    fitting = [one for one in servers if one.retry_key == missed.kind and shown_url(one.url) == missed.url]
    return fitting[-1] if fitting else None


def _no_time_for(count: int, noun: tuple[str, str]) -> RegistrationError:
    return RegistrationError(f"no time for {count} {noun[count != 1]}", hint="run fab register")

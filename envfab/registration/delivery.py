"""Sending registrations, several at once and for a bounded time, with those that failed before."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from envfab.config.servers import secret
from envfab.errors import RegistrationError
from envfab.registration.http import NoAnswer, registration_session
from envfab.registration.jobs import Job, RegistrationOutcome, missed_jobs
from envfab.registration.processing import Processing, Unprocessed
from envfab.registration.registry import kinds_of
from envfab.registration.retry_queue import Pending
from envfab.registration.servers import RegistrationServer
from envfab.util.http import WebSession
from envfab.util.progress import Reporter
from envfab.util.state_folder import state_folder
from envfab.util.untrusted import shown_url

AnyServer = RegistrationServer[Any]

AT_ONCE = 8
STAGE = "registering"
PATIENCE = 30.0  # seconds for one registration
PROCESSING_PATIENCE = 60.0  # seconds for servers to process what they took


class Delivery:
    """Jobs that are sent in the background. A server that does not answer is not asked again in this run.

    The threads end with the program; jobs without an answer by then stay in the retry file.
    """

    def __init__(self, jobs: Sequence[Job], reporter: Reporter) -> None:
        self._jobs = list(jobs)
        self._reporter = reporter
        self._waiting = deque(enumerate(self._jobs))
        self._outcomes: dict[int, RegistrationOutcome] = {}
        self._lost: dict[str, NoAnswer] = {}
        self._secrets: dict[AnyServer, str | RegistrationError | None] = {}
        self._asking = threading.Lock()
        self._changed = threading.Condition()

    def start(self) -> None:
        """Begin."""
        for _ in range(min(AT_ONCE, len(self._jobs))):
            threading.Thread(target=self._work, name="envfab-register", daemon=True).start()

    def wait(self, seconds: float) -> list[RegistrationOutcome]:
        """Wait for at most `seconds`; return the outcomes in the order of the jobs. Late ones count as not answered."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._outcomes) == len(self._jobs), seconds)
            self._waiting.clear()
            return [
                self._outcomes.get(number) or RegistrationOutcome(job, error=_too_slow(job, seconds))
                for number, job in enumerate(self._jobs)
            ]

    def ask_for_secrets(self) -> None:
        """Call the secrets' callables now, in this thread: they may ask the user something."""
        for job in self._jobs:
            self.secret(job.server)

    def secret(self, server: AnyServer) -> str | RegistrationError | None:
        """A server's secret, which is read once; or the reason why it cannot be read."""
        with self._asking:
            if server not in self._secrets:
                self._secrets[server] = _secret_of(server)
            return self._secrets[server]

    def _work(self) -> None:
        with registration_session() as session:
            while True:
                with self._changed:
                    if not self._waiting:
                        return
                    number, job = self._waiting.popleft()
                outcome = self._send(session, job)
                with self._changed:
                    self._outcomes[number] = outcome
                    self._changed.notify_all()
                self._reporter.advance(STAGE, job.target)

    def _send(self, session: WebSession, job: Job) -> RegistrationOutcome:
        url = job.server.url
        key = self._lost.get(url) or self.secret(job.server)
        if isinstance(key, RegistrationError):
            return RegistrationOutcome(job, error=key)
        try:
            return RegistrationOutcome(job, job.server.send(session, key, job.payload))
        except NoAnswer as error:
            self._lost[url] = error
            return RegistrationOutcome(job, error=error)
        except RegistrationError as error:
            return RegistrationOutcome(job, error=error)


def _secret_of(server: AnyServer) -> str | RegistrationError | None:
    """A server's secret, without the line end that files and password programs add; or the reason why it is missing."""
    called, where = server.secret_name, shown_url(server.url)
    try:
        found = secret(server.configured_secret())
    except Exception as error:  # noqa: BLE001 - the fabfile's own code may raise anything
        # the message of any other exception might hold a secret
        why = f": {error}" if isinstance(error, (KeyError, OSError)) else ""
        return RegistrationError(f"cannot read the {called}: {type(error).__name__}{why}", where=where)
    if found is None or isinstance(found, str):
        return found and found.strip()
    return RegistrationError(f"the {called} must be a string, not {type(found).__name__}", where=where)


def _too_slow(job: Job, seconds: float) -> NoAnswer:
    return NoAnswer(f"Communication failed: no answer within {round(seconds, 1):g} s", where=shown_url(job.server.url))


def register(
    jobs: Sequence[Job],
    servers: Sequence[AnyServer],
    reporter: Reporter,
    environment: Mapping[str, str],
    processing: float = PROCESSING_PATIENCE,
) -> list[RegistrationOutcome]:
    """Send jobs, and what these servers missed before; return an outcome for each. Jobs that fail go to the retry file.

    Servers that process what they take are waited for, for at most `processing` seconds.
    """
    pending = Pending(state_folder(environment), kinds_of(servers))
    every = [*jobs, *missed_jobs(pending, jobs, servers)]
    delivery = Delivery(every, reporter)
    delivery.ask_for_secrets()
    reporter.stage(STAGE, len(every))
    pending.remember([job.as_missed() for job in jobs])
    delivery.start()
    outcomes = delivery.wait(PATIENCE * math.ceil(len(every) / AT_ONCE))
    pending.forget([outcome.job.as_missed() for outcome in outcomes if outcome.answer])
    return _processed(outcomes, delivery, reporter, processing)


def _processed(
    outcomes: Sequence[RegistrationOutcome], delivery: Delivery, reporter: Reporter, seconds: float
) -> list[RegistrationOutcome]:
    """The outcomes, once the servers have processed everything; a warning for each server that has not."""
    tokens: dict[AnyServer, list[str]] = {}
    for outcome in outcomes:
        if outcome.answer is not None and outcome.answer.token:
            tokens.setdefault(outcome.job.server, []).append(outcome.answer.token)
    processing = Processing()
    for server, mine in tokens.items():
        key = delivery.secret(server)
        assert not isinstance(key, RegistrationError)
        processing.follow(server, key, mine, seconds)
    waiting: set[str] = set()
    for one in processing.wait():
        waiting.update(one.tokens)
        reporter.warning(_unprocessed(one))
    return [
        replace(outcome, processed=outcome.answer.token not in waiting)
        if outcome.answer is not None and outcome.answer.token
        else outcome
        for outcome in outcomes
    ]


def _unprocessed(one: Unprocessed) -> str:
    noun = one.server.payload_noun[one.many != 1]
    verb = "is" if one.many == 1 else "are"
    return (
        f"{shown_url(one.server.url)}: {len(one.tokens)} of {one.many} {noun} {verb} not known to be processed"
        f" ({one.why})\n  they arrived; the server goes on by itself"
    )

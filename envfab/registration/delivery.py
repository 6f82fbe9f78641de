"""Registrations on their way to their servers, several at once, for a bounded time; and what was missed before."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from envfab.config.fleet import Fleet, Member
from envfab.config.servers import secret
from envfab.errors import EnvfabError, RegistrationError
from envfab.models.probe import Probe
from envfab.registration.http import NoAnswer
from envfab.registration.jobs import Job, RegistrationOutcome, jobs_for
from envfab.registration.processing import Processing, Unprocessed
from envfab.registration.registry import kinds_of, servers_for
from envfab.registration.retry_queue import Missed, Pending
from envfab.registration.servers import RegistrationServer
from envfab.registration.state_files import state_folder
from envfab.util.progress import Reporter, Silent
from envfab.util.untrusted import shown_url

if TYPE_CHECKING:
    import requests

AnyServer = RegistrationServer[Any]

AT_ONCE = 8
STAGE = "registering"
# what one registration may take, however slowly its server speaks
PATIENCE = 30.0
# what servers may take to process what they got
PROCESSING_PATIENCE = 60.0
# how long a deployment's end may be held up
SHORT_PATIENCE = 2.0


class Delivery:
    """Jobs under way in the background. A server that gives no answer is not asked again in this run.

    The threads end with the program: what has no answer by then stays remembered.
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
        """The outcomes in the order of the jobs; those that take longer count as not answered."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._outcomes) == len(self._jobs), seconds)
            self._waiting.clear()
            return [
                self._outcomes.get(number) or RegistrationOutcome(job, error=_too_slow(job, seconds))
                for number, job in enumerate(self._jobs)
            ]

    def ask_for_secrets(self) -> None:
        """Call the secrets' callables now, in this thread: they may want to talk with the user."""
        for job in self._jobs:
            self.secret(job.server)

    def secret(self, server: AnyServer) -> str | RegistrationError | None:
        """A server's secret, which is asked for once; or why it cannot be had."""
        with self._asking:
            if server not in self._secrets:
                self._secrets[server] = _secret_of(server)
            return self._secrets[server]

    def _work(self) -> None:
        import requests

        with requests.Session() as session:
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

    def _send(self, session: requests.Session, job: Job) -> RegistrationOutcome:
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
    """A server's secret, without the line end that files and password programs give; or why there is none."""
    called, where = server.secret_name, shown_url(server.url)
    try:
        found = secret(server.configured_secret())
    except Exception as error:  # noqa: BLE001 - the fabfile's own code may raise anything
        # of others the message might hold what must not be shown
        why = f": {error}" if isinstance(error, (KeyError, OSError)) else ""
        return RegistrationError(f"its {called} cannot be had: {type(error).__name__}{why}", where=where)
    if found is None or isinstance(found, str):
        return found and found.strip()
    return RegistrationError(f"its {called} is no text but {type(found).__name__}", where=where)


def _too_slow(job: Job, seconds: float) -> NoAnswer:
    return NoAnswer(f"Communication failed: no answer within {round(seconds, 1):g} s", where=shown_url(job.server.url))


def register(
    jobs: Sequence[Job],
    servers: Sequence[AnyServer],
    reporter: Reporter,
    environment: Mapping[str, str],
    processing: float = PROCESSING_PATIENCE,
) -> list[RegistrationOutcome]:
    """Send, and wait for the answers; with them goes what these servers missed before. What fails is remembered.

    Where a server processes what it got, wait for that, too, for `processing` seconds at most.
    """
    pending = Pending(state_folder(environment), kinds_of(servers))
    every = [*jobs, *_missed_before(pending, jobs, servers)]
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
    """The outcomes, once what was uploaded is processed; a warning for each server where that is not so."""
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


@contextmanager
def after_deployment(
    fleet: Fleet,
    changed: Iterable[tuple[Member, Probe]],
    reporter: Reporter,
    *,
    environment: Mapping[str, str] | None = None,
    patience: float = SHORT_PATIENCE,
) -> Iterator[None]:
    """Register what a deployment changed (members with their fresh probes), while the body prints the summary.

    Never raises, and holds up the end by `patience` at most: what could not be told is a warning, and is sent at
    the next run, as is now what was missed before.
    """
    environment = os.environ if environment is None else environment
    try:
        servers = servers_for(fleet.registration, environment)
    except EnvfabError as error:
        reporter.warning(f"nothing was registered: {error}")
        servers = ()
    if not servers:
        yield
        return
    began = time.monotonic()
    log = fleet.at(fleet.release_log)
    jobs, unfit = jobs_for(changed, servers, release_log=log, until=began + patience)
    for reason in unfit:
        reporter.warning(f"not registered: {reason}")
    pending = Pending(state_folder(environment), kinds_of(servers))
    every = [*jobs, *_missed_before(pending, jobs, servers)]
    remembered = pending.remember([job.as_missed() for job in jobs])
    delivery = Delivery(every, Silent())
    delivery.start()
    left = max(0.0, patience - (time.monotonic() - began))
    try:
        yield
    finally:
        outcomes = delivery.wait(left)
        pending.forget([outcome.job.as_missed() for outcome in outcomes if outcome.answer])
        for line in _warnings(outcomes, remembered):
            reporter.warning(line)


def _missed_before(pending: Pending, jobs: Sequence[Job], servers: Sequence[AnyServer]) -> list[Job]:
    """What the servers missed before, except what `jobs` send anew."""
    anew = {job.as_missed().key for job in jobs}
    found = ((missed, _taker(missed, servers)) for missed in pending.read() if missed.key not in anew)
    return [Job(server, missed.target, missed.payload, missed) for missed, server in found if server is not None]


def _taker(missed: Missed, servers: Sequence[AnyServer]) -> AnyServer | None:
    """The server that a payload was for: of its kind, at its address; of several the last."""
    fitting = [one for one in servers if one.retry_key == missed.kind and shown_url(one.url) == missed.url]
    return fitting[-1] if fitting else None


def _warnings(outcomes: Sequence[RegistrationOutcome], remembered: bool) -> Iterator[str]:
    """One line a server that did not answer, and one for each registration that it refused."""
    lost: dict[str, tuple[RegistrationError, list[str]]] = {}
    for outcome in outcomes:
        if outcome.error is not None:
            url = shown_url(outcome.job.server.url)
            lost.setdefault(url, (outcome.error, []))[1].append(outcome.job.target)
        elif outcome.answer is not None and outcome.answer.exit_code:
            yield f"{outcome.job.target}: the registration was refused: {outcome.answer.message}"
    for error, targets in lost.values():
        whose = targets[0] if len(targets) == 1 else f"{len(targets)} virtualenvs"
        then = "it is made up for at the next run" if remembered else "run fab register"
        yield f"{error}\n  {whose} not registered; {then}"

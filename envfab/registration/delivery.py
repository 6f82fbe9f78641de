"""Registrations on their way to their servers, several at once, for a bounded time; and what was missed before."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envfab.errors import EnvfabError, RegistrationError
from envfab.facts.probe import Probe
from envfab.fleet import Difio, Fleet, Member, secret
from envfab.registration import client
from envfab.registration.client import NoAnswer, shown_url
from envfab.registration.difio import Answer, Registration
from envfab.registration.files import state_folder
from envfab.registration.inventory import Variables, registration
from envfab.registration.pending import Missed, Pending
from envfab.reporter import Reporter, Silent

if TYPE_CHECKING:
    import requests

AT_ONCE = 8
STAGE = "registering"
# what one registration may take, however slowly its server speaks
PATIENCE = 30.0
# how long a deployment's end may be held up
SHORT_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Job:
    """A registration for a server; one that was `missed` before is sent in passing."""

    server: Difio = field(repr=False)
    target: str
    registration: Registration
    missed: Missed | None = None

    def as_missed(self) -> Missed:
        """How it is remembered."""
        return self.missed or Missed(shown_url(self.server.url), self.target, self.registration, int(time.time()))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: exactly one of `answer` and `error`."""

    job: Job
    answer: Answer | None = None
    error: RegistrationError | None = None


class Delivery:
    """Jobs under way in the background. A server that gives no answer is not asked again in this run.

    The threads end with the program: what has no answer by then stays remembered.
    """

    def __init__(self, jobs: Sequence[Job], reporter: Reporter) -> None:
        self._jobs = list(jobs)
        self._reporter = reporter
        self._waiting = deque(enumerate(self._jobs))
        self._outcomes: dict[int, Outcome] = {}
        self._lost: dict[str, NoAnswer] = {}
        self._tokens: dict[Difio, str | RegistrationError | None] = {}
        self._asking = threading.Lock()
        self._changed = threading.Condition()

    def start(self) -> None:
        """Begin."""
        for _ in range(min(AT_ONCE, len(self._jobs))):
            threading.Thread(target=self._work, name="envfab-register", daemon=True).start()

    def wait(self, seconds: float) -> list[Outcome]:
        """The outcomes in the order of the jobs; those that take longer count as not answered."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._outcomes) == len(self._jobs), seconds)
            self._waiting.clear()
            return [
                self._outcomes.get(number) or Outcome(job, error=_too_slow(job, seconds))
                for number, job in enumerate(self._jobs)
            ]

    def ask_for_tokens(self) -> None:
        """Call the tokens' callables now, in this thread: they may want to talk with the user."""
        for job in self._jobs:
            self._token(job.server)

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

    def _send(self, session: requests.Session, job: Job) -> Outcome:
        url = job.server.url
        token = self._lost.get(url) or self._token(job.server)
        if isinstance(token, RegistrationError):
            return Outcome(job, error=token)
        try:
            return Outcome(job, client.post(session, url, token, job.registration))
        except NoAnswer as error:
            self._lost[url] = error
            return Outcome(job, error=error)
        except RegistrationError as error:
            return Outcome(job, error=error)

    def _token(self, server: Difio) -> str | RegistrationError | None:
        with self._asking:
            if server not in self._tokens:
                self._tokens[server] = _token_of(server)
            return self._tokens[server]


def _token_of(server: Difio) -> str | RegistrationError | None:
    """A server's token, without the line end that files and password programs give; or why there is none."""
    where = shown_url(server.url)
    try:
        token = secret(server.token)
    except Exception as error:  # noqa: BLE001 - the fabfile's own code may raise anything
        # of others the message might hold what must not be shown
        why = f": {error}" if isinstance(error, (KeyError, OSError)) else ""
        return RegistrationError(f"its token cannot be had: {type(error).__name__}{why}", where=where)
    if token is None or isinstance(token, str):
        return token and token.strip()
    return RegistrationError(f"its token is no text but {type(token).__name__}", where=where)


def _too_slow(job: Job, seconds: float) -> NoAnswer:
    return NoAnswer(f"Communication failed: no answer within {seconds:g} s", where=shown_url(job.server.url))


def jobs_for(
    probed: Iterable[tuple[Member, Probe]], servers: Sequence[Difio], variables: Variables
) -> tuple[list[Job], list[RegistrationError]]:
    """Each virtualenv for each server, and why those that are missing cannot be registered."""
    jobs, unfit = [], []
    for member, probe in probed:
        try:
            for server in servers:
                jobs.append(Job(server, str(member.target), registration(member, probe, server.user_id, variables)))
        except RegistrationError as error:
            unfit.append(error)
    return jobs, unfit


def register(
    jobs: Sequence[Job], servers: Sequence[Difio], reporter: Reporter, environment: Mapping[str, str]
) -> list[Outcome]:
    """Send, and wait for the answers; with them goes what these servers missed before. What fails is remembered."""
    pending = Pending(state_folder(environment))
    every = [*jobs, *_made_up_for(pending, jobs, servers)]
    delivery = Delivery(every, reporter)
    delivery.ask_for_tokens()
    reporter.stage(STAGE, len(every))
    pending.remember([job.as_missed() for job in jobs])
    delivery.start()
    outcomes = delivery.wait(PATIENCE * math.ceil(len(every) / AT_ONCE))
    pending.forget([outcome.job.as_missed() for outcome in outcomes if outcome.answer])
    return outcomes


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
        variables = Variables.read(environment).for_a_fleet()
        servers = variables.servers(fleet.registration)
    except EnvfabError as error:
        reporter.warning(f"nothing was registered: {error}")
        servers = ()
    if not servers:
        yield
        return
    jobs, unfit = jobs_for(changed, servers, variables)
    for reason in unfit:
        reporter.warning(f"not registered: {reason}")
    pending = Pending(state_folder(environment))
    every = [*jobs, *_made_up_for(pending, jobs, servers)]
    remembered = pending.remember([job.as_missed() for job in jobs])
    delivery = Delivery(every, Silent())
    delivery.start()
    try:
        yield
    finally:
        outcomes = delivery.wait(patience)
        pending.forget([outcome.job.as_missed() for outcome in outcomes if outcome.answer])
        for line in _warnings(outcomes, remembered):
            reporter.warning(line)


def _made_up_for(pending: Pending, jobs: Sequence[Job], servers: Sequence[Difio]) -> list[Job]:
    """What the servers missed before, but for what is sent anew."""
    by_url = {shown_url(server.url): server for server in servers}
    anew = {job.as_missed().key for job in jobs}
    return [
        Job(by_url[missed.url], missed.target, missed.registration, missed)
        for missed in pending.read()
        if missed.url in by_url and missed.key not in anew
    ]


def _warnings(outcomes: Sequence[Outcome], remembered: bool) -> Iterator[str]:
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

"""Registering what a deployment changed, while its summary is printed, for a bounded time."""

from __future__ import annotations

# Imported in function bodies: Requests (0.1 s), where a deployment has a server to register at.
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from envfab.config.fleet import Fleet
from envfab.config.target import Member
from envfab.errors import EnvfabError, RegistrationError
from envfab.models.probe import Probe
from envfab.registration.jobs import RegistrationOutcome, jobs_for, missed_jobs
from envfab.registration.registry import kinds_of, servers_for
from envfab.registration.retry_queue import Pending
from envfab.util.progress import Reporter, Silent
from envfab.util.state_folder import state_folder
from envfab.util.untrusted import shown_url

SHORT_PATIENCE = 2.0  # seconds for which a deployment's end may be held up


@contextmanager
def after_deployment(
    fleet: Fleet,
    changed: Iterable[tuple[Member, Probe]],
    reporter: Reporter,
    *,
    environment: Mapping[str, str] | None = None,
    patience: float = SHORT_PATIENCE,
) -> Iterator[None]:
    """Register what a deployment changed (members with their new probes) while the body of the context runs.

    Sends what earlier runs failed to send, too. Never raises, and delays the end by at most `patience` seconds:
    failures are warnings, and go to the retry file.
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
    from envfab.registration.delivery import Delivery

    began = time.monotonic()
    log = fleet.at(fleet.release_log)
    jobs, unfit = jobs_for(changed, servers, release_log=log, until=began + patience)
    for reason in unfit:
        reporter.warning(f"not registered: {reason}")
    pending = Pending(state_folder(environment), kinds_of(servers))
    every = [*jobs, *missed_jobs(pending, jobs, servers)]
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


def _warnings(outcomes: Sequence[RegistrationOutcome], remembered: bool) -> Iterator[str]:
    """One warning for each server that did not answer, and one for each registration that was refused."""
    lost: dict[str, tuple[RegistrationError, list[str]]] = {}
    for outcome in outcomes:
        if outcome.error is not None:
            url = shown_url(outcome.job.server.url)
            lost.setdefault(url, (outcome.error, []))[1].append(outcome.job.target)
        elif outcome.answer is not None and outcome.answer.exit_code:
            yield f"{outcome.job.target}: the registration was refused: {outcome.answer.message}"
    for error, targets in lost.values():
        whose = targets[0] if len(targets) == 1 else f"{len(targets)} virtualenvs"
        then = "the next run sends it" if remembered else "run fab register"
        yield f"{error}\n  {whose} not registered; {then}"

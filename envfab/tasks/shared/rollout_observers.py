"""The observers of a rollout that settings and fabfile ask for: its log, events, and what collectors are told."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from envfab.config.events import Webhook
from envfab.deployment.context import RolloutContext
from envfab.deployment.observers import Observer
from envfab.deployment.proposal import Proposal
from envfab.deployment.rollout_log.masking import Masking, secrets_of_url
from envfab.deployment.rollout_log.places import Logs, logs_folder
from envfab.deployment.rollout_log.writer import HINT, Asked, RolloutLog, settings_json
from envfab.registration.servers import RegistrationServer
from envfab.tasks.shared.command_line import fabfile_path
from envfab.tasks.shared.context import TaskContext
from envfab.util.times import now
from envfab.version import VERSION


def observe(run: TaskContext, context: RolloutContext, chosen: Sequence[Proposal]) -> Path | None:
    """Let a rollout that is about to begin be observed; return the folder of its log, None if it has none."""
    asked = _asked(run, context, "rollback" if any(one.undoes for one in chosen) else "deploy")
    masking = Masking(_secrets(run, context.wheel_source))
    log = _log(run, asked, masking)
    folder = log.folder if log is not None else None
    if log is not None:
        context.observers.add(log)
    if run.fleet.receivers:
        context.observers.add(_events(run, asked, folder))
    if run.fleet.collectors:
        context.observers.add(_collectors(run, asked, folder, masking))
    return folder


def _asked(run: TaskContext, context: RolloutContext, task: str) -> Asked:
    return Asked(
        rollout=context.rollout,
        task=task,
        who=context.caller.who,
        origin=context.caller.origin,
        began=now(),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        fabfile=str(fabfile_path()),
        slice=str(context.slice) if context.slice is not None else None,
        settings=settings_json(run.settings),
        version=VERSION,
        approved_by=context.approved_by,
    )


def _events(run: TaskContext, asked: Asked, log: Path | None) -> Observer:
    """Begin to send the rollout's events to the receivers that the fabfile names."""
    from envfab.deployment.events.delivery import EventDelivery
    from envfab.deployment.events.event import Source
    from envfab.deployment.events.observer import EventObserver

    source = Source(
        task=asked.task,
        who=asked.who,
        origin=asked.origin,
        rollout=asked.rollout,
        slice=asked.slice,
        log=str(log) if log is not None else None,
        approved_by=asked.approved_by,
    )
    return EventObserver(EventDelivery(run.fleet.receivers, run.fleet.at("."), run.console), source)


def _collectors(run: TaskContext, asked: Asked, log: Path | None, masking: Masking) -> Observer:
    """Begin to tell the rollout to the collectors that the fabfile names."""
    from envfab.deployment.rollout_report.observer import CollectorObserver
    from envfab.deployment.rollout_report.report import RolloutReport
    from envfab.deployment.rollout_report.unsent import UnsentRollouts, unsent_folder

    report = RolloutReport(asked, str(log) if log is not None else None, masking)
    place = unsent_folder(os.environ)
    unsent = UnsentRollouts(place) if place is not None else None
    return CollectorObserver(report, run.fleet.collectors, unsent, run.fleet.at("."), run.console)


def _log(run: TaskContext, asked: Asked, masking: Masking) -> RolloutLog | None:
    """Begin the rollout's log; None, which is told, if it cannot be written, or if the settings want none."""
    if not run.settings.log_rollouts:
        return None
    folder = logs_folder(os.environ)
    if folder is None:
        run.console.warning(f"this rollout has no log: the user has no home folder\n  {HINT}")
        return None
    log = RolloutLog(Logs(folder), asked, masking, run.console, run.settings)
    return log if log.begin() else None


def _secrets(run: TaskContext, wheel_source: str | None) -> Iterator[str]:
    """Yield the secrets that are known without asking: passwords of the configuration, and what the fabfile has."""
    yield from run.passwords()
    if wheel_source is not None:
        yield from secrets_of_url(wheel_source)
    for receiver in run.fleet.receivers:
        if isinstance(receiver, Webhook):
            yield from (value for value in (receiver.url, receiver.secret) if isinstance(value, str))
    for collector in run.fleet.collectors:
        if isinstance(collector.url, str):
            yield from secrets_of_url(collector.url)
        if isinstance(collector.token, str):
            yield collector.token
    for server in run.fleet.registration:
        yield from secrets_of_url(server.url)
        if isinstance(server, RegistrationServer) and isinstance(configured := server.configured_secret(), str):
            yield configured

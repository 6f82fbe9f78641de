"""What `fab verify` found to differ, as one event for all virtualenvs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from envfab.config.events import DRIFT, Receiver
from envfab.deployment.events.delivery import EventDelivery
from envfab.deployment.events.event import MOST, Event, EventVirtualenv, Source
from envfab.deployment.notes import spoken
from envfab.deployment.observers import PATIENCE
from envfab.deployment.result import Caller
from envfab.deployment.verification import Verification
from envfab.models.drift import Drift, packages_and_files
from envfab.util.progress import Reporter

# packages and files that are named of one virtualenv
NAMED = 3


def tell_drift(receivers: Sequence[Receiver], folder: Path, verified: Sequence[Verification], to: Reporter) -> None:
    """Send one event if virtualenvs have drift; wait for at most `PATIENCE` seconds, and warn if it is not delivered.

    `folder` is the fabfile's. What is not known, and what could not be verified, is not drift.
    """
    event = drift_event(verified, Caller.here()) if receivers else None
    if event is None:
        return
    delivery = EventDelivery(receivers, folder, to)
    delivery.send(event)
    delivery.close(time.monotonic() + PATIENCE)


def drift_event(verified: Sequence[Verification], caller: Caller) -> Event | None:
    """Return the event of all virtualenvs that have drift; None if none has."""
    found = [(one, one.drift) for one in verified if one.drift]
    if not found:
        return None
    virtualenvs = tuple(
        EventVirtualenv(str(one.member.target), "drift", _deployment(one), drift_in_words(drift))
        for one, drift in found[:MOST]
    )
    return Event(DRIFT, Source("verify", caller.who, caller.origin), virtualenvs, total=len(found))


def drift_in_words(drift: Drift) -> str:
    """Return what differs, and since when, with the names of the first packages and files."""
    names = ", ".join(list(_names(drift))[:NAMED])
    return f"{packages_and_files(len(drift.packages), drift.others)} since {spoken(drift.since or '?')}: {names}"


def _names(drift: Drift) -> Iterator[str]:
    for package in drift.packages:
        versions = " → ".join(dict.fromkeys(version for version in (package.before, package.after) if version))
        yield f"{package.name} {versions} {package.what}"
    for file in drift.files:
        yield f"{file.path} {file.kind.value}"


def _deployment(one: Verification) -> str | None:
    return one.probe.deployed.deployment if one.probe is not None and one.probe.deployed is not None else None

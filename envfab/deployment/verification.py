"""Verification of virtualenvs: what differs in each from what its last deployment left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from envfab.config.settings import Settings
from envfab.config.target import Member
from envfab.errors import EnvfabError
from envfab.models.drift import Drift
from envfab.models.probe import Probe
from envfab.remote.drift import drift_by_content
from envfab.remote.probe import Links, ProbeResult, probe_all
from envfab.remote.result_queue import ResultQueue
from envfab.util.progress import Reporter


@dataclass(frozen=True, slots=True)
class Verification:
    """The result for one virtualenv: `drift` is None if nothing tells what was deployed, and if there is an `error`."""

    member: Member
    probe: Probe | None = None
    drift: Drift | None = None
    error: EnvfabError | None = None


@contextmanager
def verify_all(
    members: Sequence[Member], links: Links, settings: Settings, reporter: Reporter
) -> Iterator[ResultQueue[Verification]]:
    """Compare each virtualenv with what was deployed, several hosts at once; yields the results as they come."""
    with probe_all(members, links, settings, reporter, look=verify_one) as arrivals:
        yield arrivals


def verify_one(found: ProbeResult) -> Verification:
    """Compare a probed virtualenv with what was deployed."""
    if found.error is not None or found.site is None or found.probe is None:
        return Verification(found.member, error=found.error)
    return Verification(found.member, found.probe, drift_by_content(found.site))

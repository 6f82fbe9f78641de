"""Probing in several processes, since Paramiko uses one core of this machine only."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from envfab.config.settings import Settings
from envfab.config.target import Member
from envfab.remote.probe import Links, ProbeResult, probe_all
from envfab.remote.result_queue import ResultQueue
from envfab.util.progress import Reporter

if TYPE_CHECKING:
    from envfab.remote.probe_shares import Work

# where `processes` is `auto`: hosts below which one process is faster, and the least that a further one is started for
LARGE, A_PROCESS = 50, 25
T = TypeVar("T")


def number_of_processes(settings: Settings, members: Sequence[Member]) -> int:
    """Return in how many processes to probe: 1 if forking is not safe, or not worth it."""
    if sys.platform == "darwin" or not hasattr(os, "fork") or threading.active_count() > 1:
        return 1
    hosts = len({member.host.name for member in members})
    if settings.processes is not None:
        return max(1, min(settings.processes, hosts))
    if hosts < LARGE:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), hosts // A_PROCESS))


@contextmanager
def probe_in_processes(
    members: Sequence[Member], links: Links, settings: Settings, reporter: Reporter, work: Work[T]
) -> Iterator[ResultQueue[T]]:
    """Probe all `members` as `probe_all` does, in as many processes as the settings and the number of hosts ask for."""
    number = number_of_processes(settings, members)
    if number == 1:

        def look(found: ProbeResult) -> T:
            result = work.make(found)
            work.accept(result)
            return result

        with probe_all(members, links, settings, reporter, look=look, needed=work.is_needed) as arrivals:
            yield arrivals
        return
    arrivals = ResultQueue(members)
    each = replace(settings, parallel=-(-settings.parallel // number))
    # loaded for large fleets only: it takes multiprocessing
    from envfab.remote.probe_shares import Shares

    shares = Shares(arrivals, links, each, reporter, work)
    shares.start(number)
    try:
        yield arrivals
    finally:
        shares.end()

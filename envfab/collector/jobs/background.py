"""The work in the background: named jobs, one after another, again and again, in a thread of each process."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from envfab.collector.shared_counts import SharedCounts
from envfab.errors import EnvfabError

JOB_FAILED, JOB_SUCCEEDED = "job_failed", "job_succeeded"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackgroundJob:
    """A piece of the work, by the name that metrics and log tell."""

    name: str
    work: Callable[[], object]


class Jobs:
    """Runs jobs in their order; one that fails is logged, and keeps no other from being done.

    `counts` are told when a job succeeded, and how often it failed.
    """

    def __init__(self, jobs: Sequence[BackgroundJob], counts: SharedCounts) -> None:
        self._jobs = tuple(jobs)
        self._counts = counts
        self.names = tuple(job.name for job in jobs)
        self.stopping = threading.Event()

    def run(self) -> None:
        """Do each job once, unless the process stops meanwhile."""
        for job in self._jobs:
            if self.stopping.is_set():
                return
            self._do(job)
        self._counts.write()

    def _do(self, job: BackgroundJob) -> None:
        try:
            job.work()
        except (EnvfabError, SQLAlchemyError, OSError) as error:
            log.warning("the job %s in the background did not succeed: %s", job.name, error)
            self._counts.add({(JOB_FAILED, job.name): 1})
        else:
            self._counts.note_latest((JOB_SUCCEEDED, job.name), time.time())


class Background:
    """Does jobs in a thread. A request starts it, for servers fork after they made the application."""

    def __init__(self, jobs: Jobs, rest: float) -> None:
        self._jobs = jobs
        self._rest = rest
        self._process = 0
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()

    def ensure_running(self) -> None:
        """Start the thread, unless this process has it."""
        if self._process == os.getpid():
            return
        with self._turn:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._thread = threading.Thread(target=self._run, name="envfab-collector", daemon=True)
                self._thread.start()
                atexit.register(self.stop)

    def stop(self, patience: float = 5.0) -> None:
        """Begin no further job, and wait for the one under way, for `patience` seconds at most."""
        self._jobs.stopping.set()
        if self._process == os.getpid() and self._thread is not None:
            self._thread.join(patience)

    def _run(self) -> None:
        while not self._jobs.stopping.is_set():
            self._jobs.run()
            self._jobs.stopping.wait(self._rest)

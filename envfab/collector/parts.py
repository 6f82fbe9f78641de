"""The parts of a collector, put together once."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from envfab.collector import weeks
from envfab.collector.config import Config
from envfab.collector.days import milliseconds_now
from envfab.collector.db import retention, usage_reports
from envfab.collector.db.engine import CollectorError, Storage
from envfab.collector.db.erasures import forget_erasures
from envfab.collector.erase_reports import finish
from envfab.collector.jobs.acceptances import Acceptances
from envfab.collector.jobs.finding_events import FindingEvents
from envfab.collector.jobs.freshness import Freshness
from envfab.collector.jobs.index_offers import IndexNews
from envfab.collector.jobs.latest_versions import WheelhouseNews
from envfab.collector.jobs.public_weeks import publish
from envfab.collector.jobs.vulnerabilities import KnownVulnerabilities, forget
from envfab.collector.policies import check_policies
from envfab.collector.report_store import ReportFolder
from envfab.errors import EnvfabError

UNFINISHED = 60 * 60  # seconds after which a half-written file is abandoned
INDEX_EVERY = 60 * 60  # seconds between two looks at all files of reports
log = logging.getLogger(__name__)


class Service:
    """What the endpoints work with. Making one makes the folders and tables; raises `EnvfabError`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        for folder in (config.data, config.reports_folder):
            _make(folder)
        self.storage = Storage(config.database_url)
        self.folder = ReportFolder(config.reports_folder)
        check_policies(self.folder, milliseconds_now())
        self.wheelhouse = WheelhouseNews(config.wheelhouse) if config.wheelhouse else None
        self.freshness = Freshness(self.storage, self.wheelhouse)
        self.vulnerabilities = KnownVulnerabilities(self.storage, config.osv) if config.osv else None
        if self.vulnerabilities is None:
            forget(self.storage)
        self.acceptances = Acceptances(config.accepted) if config.accepted else None
        self._events = FindingEvents(self.storage, config.receivers, config.folder or config.data, config.url)
        self._indexed_at = -math.inf
        self._index = IndexNews(self.storage, config.index) if config.index else None

    def index_soon(self) -> None:
        """Make the next round look for reports that are not indexed."""
        self._indexed_at = -math.inf

    def tidy(self) -> None:
        """One round of the work in the background."""
        self.freshness.catch_up()
        if self.vulnerabilities is not None:
            self.vulnerabilities.catch_up()
        with self.storage.writing() as connection:
            weeks.note(connection, milliseconds_now())
        if time.monotonic() - self._indexed_at > INDEX_EVERY:
            usage_reports.index_again(self.storage, self.folder)
            self._indexed_at = time.monotonic()
        finish(self.storage, self.folder)
        publish(self.storage, self.folder, self.config.public, milliseconds_now())
        with self.storage.writing() as connection:
            forget_erasures(connection, milliseconds_now())
        self.folder.clear_unfinished(time.time() - UNFINISHED)
        if self.config.keep_days is not None:
            usage_reports.delete_before(self.storage, self.folder, milliseconds_now(), self.config.keep_days)
        if self.config.keep_registrations_days is not None:
            retention.delete_before(self.storage, milliseconds_now(), self.config.keep_registrations_days)
        self._events.send(milliseconds_now)
        # Last, since an index may take its time to answer.
        if self._index is not None and self._index.ask(milliseconds_now()):
            self.freshness.mark_all()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        raise CollectorError(f"cannot make the folder: {error.strerror}", where=str(folder)) from None


class Background:
    """Does a service's rounds in a thread. A request starts it, for servers fork after they made the application."""

    def __init__(self, service: Service, rest: float) -> None:
        self._service = service
        self._rest = rest
        self._process = 0
        self._turn = threading.Lock()

    def ensure_running(self) -> None:
        """Start the thread, unless this process has it."""
        if self._process == os.getpid():
            return
        with self._turn:
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(target=self._run, name="envfab-collector", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self._service.tidy()
            except (EnvfabError, SQLAlchemyError, OSError) as error:
                log.warning("the work in the background did not succeed: %s", error)
            time.sleep(self._rest)

"""The parts of a collector, put together once."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from envfab.collector.config import Config
from envfab.collector.days import milliseconds_now
from envfab.collector.db import behind_weeks, retention, usage_reports
from envfab.collector.db.engine import CollectorError, Storage
from envfab.collector.db.erasures import forget_erasures
from envfab.collector.erase_reports import finish
from envfab.collector.jobs.acceptances import Acceptances
from envfab.collector.jobs.background import Background, BackgroundJob, Jobs
from envfab.collector.jobs.finding_events import FindingEvents
from envfab.collector.jobs.freshness import Freshness
from envfab.collector.jobs.index_offers import IndexNews
from envfab.collector.jobs.latest_versions import WheelhouseNews
from envfab.collector.jobs.public_weeks import publish
from envfab.collector.jobs.vulnerabilities import KnownVulnerabilities, forget
from envfab.collector.policies import check_policies
from envfab.collector.report_store import ReportFolder
from envfab.collector.shared_counts import SharedCounts

UNFINISHED = 60 * 60  # seconds after which a half-written file is abandoned
INDEX_ANSWERED = "index_answered"
INDEX_EVERY = 60 * 60  # seconds between two looks at all files of reports


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
        self.counts = SharedCounts(config.data / "metrics")
        self.jobs = Jobs([*self._jobs()], self.counts)
        self.background = Background(self.jobs, config.rest) if config.rest is not None else None
        # A WSGI server may fork now, and connections must not be shared by processes.
        self.storage.close()

    def close(self) -> None:
        """End the work in the background, write what was counted, and give back the database's connections."""
        if self.background is not None:
            self.background.stop()
        self.counts.write()
        self.storage.close()

    def index_soon(self) -> None:
        """Make the next round look for reports that are not indexed."""
        self._indexed_at = -math.inf

    def tidy(self) -> None:
        """One round of the work in the background."""
        self.jobs.run()

    def _jobs(self) -> Iterator[BackgroundJob]:
        yield BackgroundJob("newer_versions", self.freshness.catch_up)
        if self.vulnerabilities is not None:
            yield BackgroundJob("advisories", self.vulnerabilities.catch_up)
        yield BackgroundJob("weeks", self._note_week)
        yield BackgroundJob("index_of_reports", self._index_reports)
        yield BackgroundJob("erasures", self._finish_erasures)
        yield BackgroundJob("public_weeks", self._publish_weeks)
        yield BackgroundJob("unfinished_reports", lambda: self.folder.clear_unfinished(time.time() - UNFINISHED))
        days = self.config.keep_days
        if days is not None:
            yield BackgroundJob("old_reports", partial(self._delete_reports, days))
        days = self.config.keep_registrations_days
        if days is not None:
            yield BackgroundJob("old_registrations", partial(self._delete_registrations, days))
        yield BackgroundJob("finding_events", lambda: self._events.send(milliseconds_now))
        # Last, since an index may take its time to answer.
        if self._index is not None:
            yield BackgroundJob("package_index", partial(self._ask_index, self._index))

    def _note_week(self) -> None:
        with self.storage.writing() as connection:
            behind_weeks.note(connection, milliseconds_now())

    def _index_reports(self) -> None:
        if time.monotonic() - self._indexed_at > INDEX_EVERY:
            usage_reports.index_again(self.storage, self.folder)
            self._indexed_at = time.monotonic()

    def _finish_erasures(self) -> None:
        finish(self.storage, self.folder)
        with self.storage.writing() as connection:
            forget_erasures(connection, milliseconds_now())

    def _publish_weeks(self) -> None:
        publish(self.storage, self.folder, self.config.public, milliseconds_now())

    def _delete_reports(self, days: int) -> None:
        usage_reports.delete_before(self.storage, self.folder, milliseconds_now(), days)

    def _delete_registrations(self, days: int) -> None:
        retention.delete_before(self.storage, milliseconds_now(), days)

    def _ask_index(self, index: IndexNews) -> None:
        if index.ask(milliseconds_now()):
            self.freshness.mark_all()
        if index.answered_at is not None:
            self.counts.note_latest((INDEX_ANSWERED,), index.answered_at)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        raise CollectorError(f"cannot make the folder: {error.strerror}", where=str(folder)) from None

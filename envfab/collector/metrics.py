"""Metrics of a collector: what is counted while it works, and what is asked of its parts when they are read.

What is counted is that of all processes which share the data folder (`shared_counts`), whichever of them answers.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from envfab.collector.db import sizes
from envfab.collector.db.sizes import Sizes
from envfab.collector.exchange import Exchange
from envfab.collector.jobs.background import JOB_FAILED, JOB_SUCCEEDED
from envfab.collector.service import INDEX_ANSWERED, Service
from envfab.collector.shared_counts import Numbers
from envfab.util.prometheus import Counter, Gauge, Histogram, Metric, Observations, exposition

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
SIZES_KNOWN_FOR = 60.0  # seconds
# kinds of addresses that take something, the name of what they take, and what it is
_TAKEN = (
    ("registrations", "registrations", "Registrations that came."),
    ("reports", "reports", "Usage reports that came."),
    ("rollout_documents", "rollouts", "Documents of rollouts that came."),
)
log = logging.getLogger(__name__)
_REQUESTS, _BUCKETS, _SECONDS = "requests", "buckets", "seconds"


class Metrics:
    """Counts exchanges, and tells all metrics as Prometheus reads them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._turn = threading.Lock()
        self._sizes: tuple[float, Sizes] | None = None

    def observe(self, exchange: Exchange) -> None:
        """Count an exchange."""
        kind = _kind(exchange)
        bucket = str(bisect_left(BOUNDS, exchange.seconds))
        self._service.counts.add(
            {
                (_REQUESTS, kind, str(exchange.status)): 1,
                (_BUCKETS, kind, bucket): 1,
                (_SECONDS, kind): exchange.seconds,
            }
        )

    def text(self) -> str:
        """All metrics, without the sizes of tables where the database cannot be asked."""
        numbers, processes = self._service.counts.total()
        workers = Gauge("envfab_collector_processes", "Processes whose counts are added up.", (({}, processes),))
        return exposition(
            [
                *_traffic(numbers),
                *_jobs(numbers, self._service.jobs.names),
                *self._ages(numbers),
                *self._state(),
                workers,
            ]
        )

    def _ages(self, numbers: Numbers) -> Iterator[Metric]:
        known = self._service.vulnerabilities
        as_of = None if known is None else known.as_of
        changed = None if as_of is None else as_of.timestamp()
        yield _time("advisories", "When the newest advisory of the export was changed.", changed)
        answered = numbers.latest.get((INDEX_ANSWERED,))
        yield _time("index_answered", "When the package index last answered.", answered)

    def _state(self) -> Iterator[Metric]:
        try:
            found = self._measured()
        except SQLAlchemyError as error:
            # What failed meanwhile is what the other metrics are needed for.
            log.warning("sizes are not told, as the database cannot be used: %s", error)
            return
        rows = tuple(({"table": name}, count) for name, count in found.rows.items())
        yield Gauge("envfab_collector_rows", "Rows of the tables.", rows)
        yield Gauge("envfab_collector_database_bytes", "Size of the database.", (({}, found.bytes),))

    def _measured(self) -> Sizes:
        """The sizes of the tables, which take a while to count, as they were within a minute."""
        with self._turn:
            now = time.monotonic()
            if self._sizes is None or now - self._sizes[0] > SIZES_KNOWN_FOR:
                with self._service.storage.reading() as connection:
                    self._sizes = now, sizes.measure(connection)
            return self._sizes[1]


def _kind(exchange: Exchange) -> str:
    """The kind of a request's address; policies and erasures are no reports, though they have such addresses."""
    kind = exchange.route.kind
    is_report = exchange.method == "POST" and not exchange.route.pattern.endswith("erase")
    return "about_reports" if kind == "reports" and not is_report else kind


def _traffic(numbers: Numbers) -> Iterator[Metric]:
    requests = sorted((key[1:], count) for key, count in numbers.sums.items() if key[0] == _REQUESTS)
    samples = tuple(({"route": kind, "status": status}, count) for (kind, status), count in requests)
    yield Counter("envfab_collector_requests_total", "Requests by kind of address and status.", samples)
    kinds = sorted({kind for (kind, _), _ in requests})
    took = tuple(({"route": kind}, _distribution(numbers, kind)) for kind in kinds)
    yield Histogram("envfab_collector_request_seconds", "Time from a whole request to the end of its answer.", took)
    for kind, name, text in _TAKEN:
        outcomes = Tally({"accepted": 0, "refused": 0, "failed": 0})
        for (found, status), count in requests:
            if found == kind:
                outcomes[_outcome(status)] += int(count)
        told = tuple(({"outcome": outcome}, count) for outcome, count in outcomes.items())
        yield Counter(f"envfab_collector_{name}_total", text, told)


def _distribution(numbers: Numbers, kind: str) -> Observations:
    so_far, buckets = 0.0, []
    for number, bound in enumerate(BOUNDS):
        so_far += numbers.sums[_BUCKETS, kind, str(number)]
        buckets.append((bound, so_far))
    total = so_far + numbers.sums[_BUCKETS, kind, str(len(BOUNDS))]
    return Observations(tuple(buckets), total, numbers.sums[_SECONDS, kind])


def _outcome(status: str) -> str:
    return "accepted" if status < "400" else "refused" if status < "500" else "failed"


def _jobs(numbers: Numbers, names: tuple[str, ...]) -> Iterator[Metric]:
    last = [(name, numbers.latest.get((JOB_SUCCEEDED, name))) for name in names]
    times = tuple(({"job": name}, at) for name, at in last if at is not None)
    yield Gauge("envfab_collector_job_success_timestamp_seconds", "When a job in the background last succeeded.", times)
    failures = tuple(({"job": name}, numbers.sums[JOB_FAILED, name]) for name in names)
    yield Counter("envfab_collector_job_failures_total", "How often a job in the background failed.", failures)


def _time(name: str, text: str, at: float | None) -> Gauge:
    return Gauge(f"envfab_collector_{name}_timestamp_seconds", text, (({}, at),) if at is not None else ())

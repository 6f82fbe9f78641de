"""How long the collector's pages take.

    python -m benchmarks.collector [--applications N] [--packages N] [--weeks N] [--reports N] [--records N]

runs on SQLite, and on PostgreSQL where it is installed; prints the median of each page in milliseconds, through the
whole application but without a network between, the slowest last.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import text

from benchmarks.collector.filling import PROGRAM, make_app, uuid_of
from benchmarks.collector.rollouts import rollout_id
from benchmarks.collector.sizes import Sizes
from tests.support.postgres import running_postgres
from tests.support.sshd import Unavailable

ROUNDS = 15
APPLICATION = f"/applications/{uuid_of(7)}"
YEAR_AGO = date.today() - timedelta(days=364)
PAGES = (
    "/", "/?sort=behind", "/?sort=vulnerable", "/?page=2", "/?only=ended", APPLICATION, "/packages/",
    "/packages/project-10", "/behind", "/vulnerabilities", "/vulnerabilities/CVE-2026-10", "/findings.atom", "/usage",
    f"/usage?program={PROGRAM}", "/usage?days=365", "/usage.csv", "/usage/key?name=version",
    "/usage/key?name=session_time", "/search?q=application", "/search?q=project-10", "/feed.atom",
    "/metrics", "/api/applications", f"/api{APPLICATION}", "/api/packages/project-10", "/api/vulnerabilities",
    "/api/findings", "/api/usage", "/pypi/project-10/json",
    "/rollouts", "/rollouts?host=web7.example.org", "/rollouts?package=project-10", f"/rollouts/{rollout_id(0)}",
    "/hosts", "/hosts?q=web7", "/hosts/web7.example.org", "/changes", f"/changes?from={YEAR_AGO}",
    f"/changes?from={YEAR_AGO}&by=virtualenv", "/differing",
)  # fmt: skip


def main() -> None:
    """Measure on every database that there is."""
    sizes = Sizes.from_arguments(__doc__)
    print(sizes)
    for name, url in databases():
        print(f"{name}:", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            app = make_app(Path(folder), url, sizes)
            storage = app.extensions["envfab"].storage
            # as PostgreSQL does by itself within a minute, and SQLite at the next start
            with storage.writing() as connection:
                connection.execute(text("ANALYZE"))
            measure_pages(app)
            storage.close()


def databases() -> Iterator[tuple[str, str]]:
    """(name, URL) of each database; SQLite is the default and has none."""
    yield "SQLite", ""
    try:
        with running_postgres() as server:
            yield "PostgreSQL", server.make_database()
    except Unavailable as reason:
        print(f"PostgreSQL: {reason}")


def measure_pages(app: Flask) -> None:
    """Print the median of each page."""
    client = app.test_client()
    medians = {}
    for path in PAGES:
        times = []
        for _ in range(ROUNDS + 1):
            began = time.perf_counter()
            answer = client.get(path)
            times.append(1000 * (time.perf_counter() - began))
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code} {answer.text[:200]}")
        medians[path] = statistics.median(times[1:]), len(answer.data)
    for path, (median, size) in sorted(medians.items(), key=lambda item: item[1]):
        print(f"    {median:7.1f} ms  {path}  ({size / 1000:.0f} kB)", flush=True)


if __name__ == "__main__":
    main()

"""How long the collector's pages take: 200 applications of 150 packages, 10,000 usage reports, a year of weeks,
an OSV export of 20,000 records.

    python benchmarks/collector.py [--applications N] [--packages N] [--reports N] [--records N]

runs on SQLite, and on PostgreSQL where it is installed; prints the median of each page in milliseconds, through the
whole application but without a network between, and how many registrations and reports a second four threads store.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask
from sqlalchemy import insert, select

from envfab.collector import weeks
from envfab.collector.app import create_app
from envfab.collector.config import Config, WheelhouseFolders
from envfab.collector.days import DAY, milliseconds_now
from envfab.collector.db import usage_reports
from envfab.collector.db.schema import applications, behind_weeks
from envfab.collector.parts import Service
from envfab.collector.report_store import StoredReport
from tests.support.postgres import running_postgres
from tests.support.sshd import Unavailable
from tests.support.wheels import make_wheelhouse

ROUNDS = 15
PAGES = (
    "/", "/?sort=behind", "/?sort=vulnerable", "/applications/u7", "/packages/", "/packages/project-3", "/behind",
    "/usage", "/usage?program=prog", "/usage/key?name=version", "/search?q=application", "/feed.atom",
    "/api/applications", "/api/applications/u7", "/api/packages/project-3", "/api/usage", "/pypi/project-3/json",
)  # fmt: skip


def main() -> None:
    """Measure on every database that there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--applications", type=int, default=200)
    parser.add_argument("--packages", type=int, default=150)
    parser.add_argument("--reports", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=20_000)
    sizes = parser.parse_args()
    for name, url in databases():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            wheelhouse = WheelhouseFolders(*make_wheelhouse(root, sizes.packages, 2))
            osv = make_export(root / "all.zip", sizes.records)
            app = create_app(
                Config(
                    data=root / "data",
                    database=url,
                    wheelhouse=wheelhouse,
                    osv=osv,
                    open=True,
                    rest=None,
                    requests_a_minute=0,
                    bodies_a_minute=0,
                )
            )
            print(f"{name}: {sizes.applications} applications of {sizes.packages} packages, {sizes.reports} reports")
            fill(app, sizes.applications, sizes.packages, sizes.reports)
            measure_pages(app)
            measure_writing(app, sizes.packages)
            app.extensions["envfab"].storage.close()


def databases() -> Iterator[tuple[str, str]]:
    """(name, URL) of each database; SQLite is the default and has none."""
    yield "SQLite", ""
    try:
        with running_postgres() as server:
            yield "PostgreSQL", server.make_database()
    except Unavailable as reason:
        print(f"PostgreSQL: {reason}")


def make_export(place: Path, records: int) -> Path:
    """An OSV export of about PyPI's size: 5,000 projects, of which those that are registered are some."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(records):
            affected = {
                "package": {"ecosystem": "PyPI", "name": f"project-{number % 5000}"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
                "versions": [f"0.{minor}" for minor in range(number % 60)],
            }
            record = {
                "id": f"PYSEC-2026-{number}", "modified": "2026-11-01T10:00:00Z", "aliases": [f"CVE-2026-{number}"],
                "summary": "Loses data where nobody expects it", "details": "word " * 300, "affected": [affected],
            }  # fmt: skip
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return place


def fill(app: Flask, many: int, packages: int, reports: int) -> None:
    """Applications that registered twice, reports of half a year, weeks of a year."""
    began = time.perf_counter()
    client = app.test_client()
    for turn in range(2):
        for number in range(many):
            client.post("/application/register/", data=registration(number, packages, turn))
    service: Service = app.extensions["envfab"]
    now = milliseconds_now()
    body = b"date:%d.250\nuser:u%d\nversion:1.%d\nsystem:Linux;6.%d\npython:3;%d;7;final;0;x\nsession_time:%d.%03d\n"
    with service.storage.writing() as connection:
        for number in range(reports):
            at = now - number * (180 * DAY // max(1, reports))
            data = body % (at // 1000, number % 500, number % 7, number % 30, 9 + number % 5, number, number % 1000)
            stored = StoredReport("prog", f"{number}.txt", at, "", data)
            usage_reports.index(connection, stored, stored.parsed())
        rows = [
            {"week": weeks.week_of(now) - 7 * age, "application_id": one, "packages": packages, "behind": one % 40}
            for one in connection.execute(select(applications.c.id)).scalars()
            for age in range(1, 52)
        ]
        connection.execute(insert(behind_weeks), rows)
    print(f"    filled in {time.perf_counter() - began:.1f} s")


def registration(number: int, packages: int, turn: int) -> bytes:
    """The form of an application's registration; with another `turn` a tenth of the versions are others."""
    installed = [
        {"n": f"project-{one}", "v": f"1.{(one + number + turn * (one % 10 == 0)) % 2}"} for one in range(packages)
    ]
    fields = {
        "user_id": number % 5, "app_name": f"application {number}", "app_uuid": f"u{number}",
        "app_type": f"python-3.{9 + number % 5}.1", "app_url": f"http://web{number}", "installed": installed,
    }  # fmt: skip
    return urlencode({"json_data": json.dumps(fields)}).encode()


def measure_pages(app: Flask) -> None:
    """Print the median of each page."""
    client = app.test_client()
    client.get("/")
    for path in PAGES:
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            answer = client.get(path)
            times.append(1000 * (time.perf_counter() - began))
            assert answer.status_code == 200, path
        print(f"    {statistics.median(times):7.1f} ms  {path}  ({len(answer.data) / 1000:.0f} kB)")


def measure_writing(app: Flask, packages: int) -> None:
    """Print how many registrations that change something, and reports, are stored a second."""
    for what, path, bodies in (
        (
            "registrations",
            "/application/register/",
            [registration(number, packages, number % 3) for number in range(200)],
        ),
        (
            "reports",
            "/reports/prog/",
            [b"date:1763680000.250\nversion:1\nnumber:%d\n" % number for number in range(400)],
        ),
    ):
        with timed() as seconds:
            threads = [threading.Thread(target=post, args=(app, path, bodies[part::4])) for part in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        print(f"    {len(bodies) / seconds[0]:7.0f} {what} a second")


def post(app: Flask, path: str, bodies: list[bytes]) -> None:
    """Send bodies one after another."""
    client = app.test_client()
    for body in bodies:
        assert client.post(path, data=body).status_code == 200


@contextmanager
def timed() -> Iterator[list[float]]:
    """A list that holds the seconds that passed, afterwards."""
    seconds: list[float] = []
    began = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - began)


if __name__ == "__main__":
    main()

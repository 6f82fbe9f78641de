"""A collector's database as it is after a year.

What applications have now, and rollouts, came through the application itself; what came before is written into the
tables as it would have been, since a year's registrations and a million reports, one after another, take an hour.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from sqlalchemy import Connection, Table, insert, select

from benchmarks.collector.rollouts import put_rollouts, target_of
from benchmarks.collector.sizes import Sizes
from envfab.collector.app import create_app
from envfab.collector.config import Config, WheelhouseFolders
from envfab.collector.days import DAY, day_of, milliseconds_now, monday_of
from envfab.collector.db.schema import applications, behind_weeks, changes, reports, updates, usage_counts
from envfab.collector.service import Service
from envfab.registration.difio.registration import uuid_of_target
from envfab.usagestats.report import parse_report
from tests.support.wheels import make_wheelhouse

REGISTER = "/application/register/"
PROGRAM = "prog"
# packages that change from one week to the next
CHANGED = 10
REPORT = b"date:%d.250\nuser:u%d\nversion:1.%d\nsystem:Linux;6.%d\npython:3;%d;7;final;0;x\nsession_time:%d.%03d\n"
BATCH = 20_000


def make_app(folder: Path, database: str, sizes: Sizes) -> Flask:
    """A collector of that size: with a wheelhouse, an export of known vulnerabilities, and what was sent in a year."""
    app = create_app(
        Config(
            data=folder / "data",
            database=database,
            wheelhouse=WheelhouseFolders(*make_wheelhouse(folder, sizes.packages, 2)),
            osv=make_export(folder / "all.zip", sizes.records),
            open=True,
            rest=None,
            requests_a_minute=0,
            bodies_a_minute=0,
        )
    )
    began = time.perf_counter()
    client = app.test_client()
    for number in range(sizes.applications):
        assert client.post(REGISTER, data=registration(number, sizes.packages, 0)).status_code == 200
    registering = time.perf_counter() - began
    put_rollouts(client, sizes)
    service: Service = app.extensions["envfab"]
    with service.storage.writing() as connection:
        _write_weeks(connection, sizes, milliseconds_now())
        _write_reports(connection, sizes.reports, milliseconds_now())
    print(f"    filled in {time.perf_counter() - began:.0f} s, of which {registering:.0f} s registering")
    return app


def uuid_of(number: int) -> str:
    """The UUID that an application registers with: that of a virtualenv that rollouts tell of."""
    return uuid_of_target(target_of(number))


def registration(number: int, packages: int, turn: int) -> bytes:
    """The form of an application's registration; with another `turn` a tenth of the versions are others."""
    installed = [
        {"n": f"project-{one}", "v": f"1.{(one + number + turn * (one % 10 == 0)) % 2}"} for one in range(packages)
    ]
    fields = {
        "user_id": number % 5, "app_name": f"application {number}", "app_uuid": uuid_of(number),
        "app_type": f"python-3.{9 + number % 5}.1", "app_url": f"http://{target_of(number).host}",
        "installed": installed,
    }  # fmt: skip
    return urlencode({"json_data": json.dumps(fields)}).encode()


def make_export(place: Path, records: int) -> Path:
    """An OSV export of about PyPI's size: 5,000 projects, of which those that are registered are some.

    One record in ten is about what is installed: with 200 packages an application has 40 known vulnerabilities.
    """
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(records):
            fixed = "1.1" if number % 10 == 0 else "0.9"
            affected = {
                "package": {"ecosystem": "PyPI", "name": f"project-{number % 5000}"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
                "versions": [f"0.{minor}" for minor in range(number % 9)],
            }
            record = {
                "id": f"PYSEC-2026-{number}", "modified": "2026-11-01T10:00:00Z", "aliases": [f"CVE-2026-{number}"],
                "summary": "Loses data where nobody expects it", "details": "word " * 300, "affected": [affected],
            }  # fmt: skip
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return place


def _write_weeks(connection: Connection, sizes: Sizes, now: int) -> None:
    """What changed in every earlier week, and how many packages were behind then."""
    numbers = connection.execute(select(applications.c.id)).scalars().all()
    earlier = [(one, age) for age in range(sizes.weeks - 1, 0, -1) for one in numbers]
    first = (connection.execute(select(updates.c.id).order_by(updates.c.id.desc()).limit(1)).scalar() or 0) + 1
    _write(connection, updates, (
        {"id": first + row, "application_id": one, "at": now - 7 * age * DAY, "first": False,
         "packages": sizes.packages}
        for row, (one, age) in enumerate(earlier)
    ))  # fmt: skip
    _write(connection, changes, (
        {"update_id": first + row, "name": f"project-{package}", "shown_as": f"project-{package}",
         "before": f"1.{age % 2}", "after": f"1.{(age + 1) % 2}"}
        for row, (_, age) in enumerate(earlier)
        for package in range(age % 7, sizes.packages, max(1, sizes.packages // CHANGED))
    ))  # fmt: skip
    _write(connection, behind_weeks, (
        {"week": monday_of(now) - 7 * age, "application_id": one, "packages": sizes.packages, "behind": one % 40,
         "compared": sizes.packages}
        for one, age in earlier
    ))  # fmt: skip


def _write_reports(connection: Connection, many: int, now: int) -> None:
    """Reports of half a year, counted as they are when they come."""
    counts: Counter[tuple[int, str, str]] = Counter()
    _write(connection, reports, _report_rows(many, now, counts))
    _write(connection, usage_counts, (
        {"program": PROGRAM, "day": day, "key": key, "value": value, "reports": number}
        for (day, key, value), number in counts.items()
    ))  # fmt: skip


def _report_rows(many: int, now: int, counts: Counter[tuple[int, str, str]]) -> Iterator[Mapping[str, Any]]:
    for number in range(many):
        at = now - number * (180 * DAY // max(1, many))
        body = REPORT % (
            at // 1000,
            number % 5000,
            number % 7,
            number % 30,
            9 + number % 5,
            number % 100,
            number % 1000,
        )
        said = parse_report(body, PROGRAM)
        for key, value in {("", ""), *said.entries}:
            counts[day_of(at), key, value] += 1
        yield {"program": PROGRAM, "file": f"{number}.txt", "at": at, "date": said.date, "user": said.user,
               "size": len(body)}  # fmt: skip


def _write(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            connection.execute(insert(table), batch)
            batch = []
    if batch:
        connection.execute(insert(table), batch)

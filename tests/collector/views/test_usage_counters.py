"""What the collector makes of the weekly reports of counters."""

from __future__ import annotations

import csv
import io
import re

from sqlalchemy import select

from envfab.collector.db.schema import counters
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import report

WEEK = report(
    ("version", "1"), ("week", "2026-11-16"), ("count.opened", "17 pdf"), ("count.opened", "3"), ("count.x", "nine")
)


def test_sums_are_added_up(make_app: MakeApp, database: str) -> None:
    """The page of a program shows the sums of its counters, of each value too, and not each sum as a value of a key."""
    client = make_app(database=database).test_client()
    for program in ("prog", "prog", "other"):
        client.post(f"/reports/{program}/", data=WEEK)
    text = client.get("/usage?program=prog").text
    (section,) = re.findall(r'<section aria-labelledby="counters">(.*?)</section>', text, re.DOTALL)
    rows = re.findall(r'<th scope="row">(\w+)</th><td class="number">(\d+)</td><td class="number">(\d+)</td>', section)
    assert rows == [("opened", "40", "2")]
    assert re.findall(r'"version">([^<]+) <small>. (\d+)', section) == [("pdf", "34"), ("(no value)", "6")]
    assert "17 pdf" not in text
    assert client.get("/usage/key?name=count.opened").status_code == 404
    assert client.get("/usage/key?name=count.x").status_code == 200  # a program's own entry, which counts nothing


def test_they_are_exported(make_app: MakeApp) -> None:
    """CSV has a column for each counter, with what the report says."""
    client = make_app().test_client()
    client.post("/reports/prog/", data=WEEK)
    (row,) = csv.DictReader(io.StringIO(client.get("/usage.csv").text))
    assert row["count.opened"] == "17 pdf\n3"


def test_sums_that_are_too_large_are_no_sums(make_app: MakeApp, database: str) -> None:
    """Numbers beyond what a client may send are not added, so that no sum overflows."""
    app = make_app(database=database)
    for number in ("1000000000000", "1000000000001", "9" * 5000):
        assert app.test_client().post("/", data=report(("count.a", number))).status_code == 200
    with service_of(app).storage.reading() as connection:
        assert connection.execute(select(counters.c.total)).scalars().all() == [10**12]


def test_retention(make_app: MakeApp) -> None:
    """Sums go with the reports that they come from."""
    app = make_app(keep_days=30)
    head = b"submitted_from:\nsubmitted_date:2020-01-01T00:00:00.000000+00:00\n"
    folder = service_of(app).folder.root
    (folder / "20200101T000000.000000000Z-00000000.txt").write_bytes(head + WEEK)
    service_of(app).tidy()
    with service_of(app).storage.reading() as connection:
        assert connection.execute(select(counters)).all() == []


def test_json(make_app: MakeApp) -> None:
    """`/api/usage` has the sums, and the installations of each week."""
    client = make_app().test_client()
    for said in ("older", "older", "first week"):
        client.post("/reports/prog/", data=WEEK + f"installation:2026-11-16 {said}\n".encode())
    told = client.get("/api/usage?program=prog").get_json()
    assert told["counters"] == {"opened": {"total": 60, "values": {"pdf": 51, "": 9}}}
    assert told["installations"] == {"2026-11-16": {"older": 2, "first week": 1}}

"""`POST /` and `POST /reports/PROGRAM/`: usage reports and their files."""

from __future__ import annotations

import secrets
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select

from envfab.collector import report_store
from envfab.collector.days import day_of, milliseconds_now
from envfab.collector.db import usage_reports
from envfab.collector.db.schema import counters, reports, usage_counts
from envfab.collector.report_store import ReportFolder
from envfab.usagestats.weekly_totals import MAX_SUM
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import make_undeletable, report

BODY = report(("user", "1234"), ("version", "0.1"), ("what", "Ran: the program"))


def files(app: Flask) -> list[Path]:
    """All files of the reports' folder, hidden ones too, in the order of their names."""
    return sorted(path for path in service_of(app).folder.root.rglob("*") if path.is_file())


def test_a_report_is_a_file(client: FlaskClient, app: Flask) -> None:
    """`stored` is said of a report that lies in a file of its own, under two lines of the server's."""
    answer = client.post("/", data=BODY)
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "stored", "text/plain")
    (file,) = files(app)
    first, second, body = file.read_bytes().split(b"\n", 2)
    assert first == b"submitted_from:127.0.0.1"
    assert second.startswith(b"submitted_date:2")
    assert body == BODY


def test_programs_are_kept_apart(client: FlaskClient, app: Flask) -> None:
    """`/reports/PROGRAM/` stores in a folder of the program's name."""
    assert client.post("/reports/cool_program/", data=BODY).text == "stored"
    assert [path.parent.name for path in files(app)] == ["cool_program"]


@pytest.mark.parametrize("name", ["..", ".hidden", "a/../../b", "%2e%2e", "a%00b", "x" * 65, "ü", " "])
def test_a_program_cannot_lead_elsewhere(client: FlaskClient, app: Flask, name: str) -> None:
    """Names that are no plain folder names are none of a program's."""
    assert 400 <= client.post(f"/reports/{name}/", data=BODY).status_code < 500
    assert files(app) == []


def test_names_sort_by_arrival(client: FlaskClient, app: Flask) -> None:
    """Reports of the same millisecond are files of their own, in their order."""
    for number in range(50):
        client.post("/", data=report(("number", str(number))))
    assert [int(path.read_bytes().rsplit(b":", 1)[1]) for path in files(app)] == list(range(50))


def test_names_sort_although_the_clock_is_set_back(tmp_path: Path) -> None:
    """A later report has a later name, whatever the clock says."""
    folder = ReportFolder(tmp_path)
    folder._last = 2_000_000_000_000_000_000  # as if the clock had been far ahead
    first, second = folder.store(b"", "", ""), folder.store(b"", "", "")
    assert first.file < second.file
    assert second.file.startswith("20330518T033320.000000002Z-")


def test_bytes_stay_as_they_came(client: FlaskClient, app: Flask) -> None:
    """Repeated keys, colons, bytes that are no UTF-8, CRLF and NUL are stored to the byte."""
    body = b"date:1763680000.1\r\nkey:a:b\nkey:\xff\xfe\nk\xe9y:\x00\n\nno colon\nno end"
    assert client.post("/", data=body).status_code == 200
    assert files(app)[0].read_bytes().split(b"\n", 2)[2] == body


WRONG = {
    "no date": b"version:1\n",
    "a date that is none": b"date:yesterday\n",
    "a date without milliseconds": b"date:17\n",
    "markup for a date": b"date:<script>alert(1)</script>\n",
    "another protocol": b"json_data=%7B%7D",
    "binary": bytes(range(256)),
    "an id of more than 1,000 bytes": report(("user", "é" * 501)),
    "100,000 keys": b"date:1763680000.250\n" + b"".join(b"%d:\n" % number for number in range(70_000)),
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_nonsense_is_refused(client: FlaskClient, app: Flask, body: bytes) -> None:
    """What is no report is refused in one line that echoes nothing, and nothing is stored."""
    answer = client.post("/", data=body)
    assert answer.status_code == 400
    assert answer.mimetype == "text/plain"
    assert answer.text.count("\n") == 1
    assert "<" not in answer.text
    assert files(app) == []


def test_512_kib_and_no_more(client: FlaskClient, app: Flask) -> None:
    """A report of 512 KiB is stored, one of a byte more is not."""
    head = report()
    fits = head + b"x:" + b"y" * (512 * 1024 - len(head) - 3) + b"\n"
    assert client.post("/", data=fits + b"z").status_code == 413
    assert files(app) == []
    assert client.post("/", data=fits).status_code == 200


def test_kinds_of_content(client: FlaskClient, app: Flask) -> None:
    """Clients that say text, bytes, a form, or nothing are understood; pictures are not reports."""
    for kind in (None, "text/plain; charset=utf-8", "application/octet-stream", "application/x-www-form-urlencoded"):
        assert client.post("/", data=BODY, content_type=kind).status_code == 200
    for kind in ("image/png", "application/json", "multipart/form-data; boundary=x"):
        assert client.post("/", data=BODY, content_type=kind).status_code == 415
    assert len(files(app)) == 4


def test_a_length_must_be_declared(app: Flask) -> None:
    """A body of unknown or negative length is refused, and one that is shorter than it says."""
    environments: list[tuple[dict[str, object], int]] = [
        ({"CONTENT_LENGTH": ""}, 411),
        ({"CONTENT_LENGTH": "-5"}, 400),
        ({"CONTENT_LENGTH": "many"}, 400),
        ({"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"CONTENT_LENGTH": "500"}, 400),
        ({"CONTENT_LENGTH": "500", "wsgi.input_terminated": True}, 400),
        ({"CONTENT_LENGTH": str(len(BODY)), "HTTP_CONTENT_ENCODING": "gzip"}, 415),
    ]
    for extra, expected in environments:
        answer = app.test_client().post("/", input_stream=BytesIO(BODY), environ_overrides=extra)
        assert answer.status_code == expected, extra
        assert answer.text.count("\n") == 1
    assert files(app) == []


def test_addresses_can_be_left_out(make_app: MakeApp) -> None:
    """With `store_addresses=False` nothing tells where a report came from."""
    app = make_app(store_addresses=False)
    app.test_client().post("/", data=BODY)
    assert files(app)[0].read_bytes().startswith(b"submitted_from:\nsubmitted_date:")


def test_old_reports_are_deleted(make_app: MakeApp, database: str) -> None:
    """Retention deletes files, index and counts of old days, and leaves the others."""
    app = make_app(database=database, keep_days=30)
    service = service_of(app)
    head = b"submitted_from:\nsubmitted_date:2020-01-01T00:00:00.000000+00:00\n"
    (service.folder.root / "20200101T000000.000000000Z-00000000.txt").write_bytes(head + BODY)
    app.test_client().post("/reports/prog/", data=BODY)
    assert len(files(app)) == 2
    service.tidy()
    assert len(files(app)) == 1
    with service.storage.reading() as connection:
        assert connection.execute(select(func.count()).select_from(reports)).scalar_one() == 1
        days = connection.execute(select(usage_counts.c.day).distinct()).scalars().all()
    assert days == [day_of(milliseconds_now())]


def test_an_old_report_that_cannot_be_deleted(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays in the index, and keeps no other old report from being deleted."""
    app = make_app(keep_days=30)
    service = service_of(app)
    head = b"submitted_from:\nsubmitted_date:2020-01-01T00:00:00.000000+00:00\n"
    names = [f"20200101T000000.00000000{number}Z-00000000.txt" for number in range(3)]
    for name in names:
        (service.folder.root / name).write_bytes(head + BODY)
    with monkeypatch.context() as patch:
        make_undeletable(patch, service.folder.root / names[1])
        for _ in range(2):
            service.tidy()
        assert [path.name for path in files(app)] == [names[1]]
        with service.storage.reading() as connection:
            assert connection.execute(select(reports.c.file)).scalars().all() == [names[1]]
    service.tidy()
    assert files(app) == []


def test_the_index_can_be_made_again(make_app: MakeApp, database: str, tmp_path: Path) -> None:
    """Files that no index knows are counted by the work in the background, once."""
    app = make_app(database=database)
    for _ in range(3):
        app.test_client().post("/reports/prog/", data=BODY)
    again = make_app(database="sqlite:///" + str(tmp_path / "another.sqlite3"))
    service = service_of(again)
    service.tidy()
    service.tidy()
    with service.storage.reading() as connection:
        query = select(usage_counts.c.reports).where(usage_counts.c.key == "version", usage_counts.c.value == "0.1")
        assert connection.execute(query).scalars().all() == [3]


def test_one_odd_file_keeps_no_other_from_the_index(
    make_app: MakeApp, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What a database refuses of one report, an id that is too long for its index for example, is logged."""
    service = service_of(make_app(database=database))
    service.folder.store(report(("user", secrets.token_hex(10_000))), "prog", "")
    service.folder.store(report(("user", "later")), "prog", "")
    service.tidy()
    with service.storage.reading() as connection:
        assert "later" in connection.execute(select(reports.c.user)).scalars().all()
    # SQLite takes it
    assert caplog.text.count("is not indexed: index row") == (1 if database else 0)


def test_sums_that_no_client_can_have_fill_no_table(make_app: MakeApp, database: str) -> None:
    """A counter that stands in a report ten thousand times is cut to the most that a client counts."""
    app = make_app(database=database)
    body = report(*[("count.opened", "1000000000000 pdf")] * 10_000)
    for _ in range(2):
        assert app.test_client().post("/reports/prog/", data=body).status_code == 200
    with service_of(app).storage.reading() as connection:
        assert connection.execute(select(counters.c.total)).scalars().all() == [2 * MAX_SUM]


def test_a_report_counts_once(make_app: MakeApp, database: str) -> None:
    """Two workers that find the same file in no index count it once, and take rows in the same order."""
    service = service_of(make_app(database=database))
    entries = [(f"key{number}", "value") for number in range(30)]
    stored = service.folder.store(report(*reversed(entries)), "prog", "")
    counted: list[Any] = []
    event.listen(service.storage.engine, "before_cursor_execute", lambda *args: counted.append(args[3]))
    for _ in range(2):
        with service.storage.writing() as connection:
            usage_reports.index(connection, stored, stored.parsed())
    keys = [
        tuple(row.values())[:4] if isinstance(row, dict) else row[:4]
        for rows in counted
        if len(rows) > 9
        for row in rows
    ]
    assert len(keys) == 31
    assert keys == sorted(keys)
    with service.storage.reading() as connection:
        assert set(connection.execute(select(usage_counts.c.reports)).scalars()) == {1}


def test_unfinished_files_are_cleared(app: Flask) -> None:
    """A hidden file that a killed server left goes away; one that is being written stays."""
    service = service_of(app)
    left = service.folder.root / ".20200101T000000.000000000Z-00000000.txt"
    left.touch()
    service.folder.clear_unfinished(left.stat().st_mtime - 1)
    assert left.exists()
    service.folder.clear_unfinished(left.stat().st_mtime + 1)
    assert not left.exists()


def test_a_full_disk_stores_nothing(app: Flask, client: FlaskClient) -> None:
    """Where no file can be written the client is told to come again, in one line."""
    service_of(app).folder.root.rmdir()
    service_of(app).folder.root.touch()  # a file in the folder's place: nothing can be made below it
    answer = client.post("/", data=BODY)
    assert (answer.status_code, answer.text) == (503, "nothing can be stored just now\n")


def test_strangers_make_a_bounded_number_of_programs(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report of one program more is refused, unless an operator has made its folder; known programs go on."""
    monkeypatch.setattr(report_store, "MAX_PROGRAMS", 2)
    assert [client.post(f"/reports/p{number}/", data=BODY).status_code for number in range(4)] == [200, 200, 403, 403]
    assert client.post("/reports/p2/", data=BODY).text == "usage reports of further programs are not taken here\n"
    root = service_of(app).folder.root
    assert sorted(path.name for path in root.iterdir()) == ["p0", "p1"]
    (root / "p3").mkdir()
    assert [client.post(path, data=BODY).status_code for path in ("/", "/reports/p0/", "/reports/p3/")] == [200] * 3

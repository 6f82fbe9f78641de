"""Known vulnerabilities of what applications have, in pages and JSON, out of an export on disk."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from envfab.errors import SupplyError
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import register
from tests.support.fab import run_fab

MARKUP = "<b onclick=\"alert('1')\">&amp;"
# a day is kept in one piece by an element around it
DAY = r"(?:<\w+[^>]*>)?2026-11-01(?:</\w+>)?"
AGE = re.compile(rf"as of {DAY}, \d+ days? old")


def record(identity: str, name: str = "Django", fixed: str = "5.2", **fields: Any) -> dict[str, Any]:
    """A record on all versions before the fix."""
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    affected = [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}]
    return {"id": identity, "modified": "2026-11-01T10:00:00Z", "affected": affected, **fields}


VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"
RECORDS = (
    record("GHSA-1", aliases=["CVE-2026-1"], summary="Loses data", database_specific={"severity": "LOW"}),
    record("PYSEC-1", aliases=["CVE-2026-1"], severity=[{"type": "CVSS_V3", "score": VECTOR}]),
    record("GHSA-2", fixed="5.1.4", summary=MARKUP, database_specific={"severity": "CRITICAL"}),
    record("GHSA-3", withdrawn="2026-11-01T00:00:00Z"),
    record("GHSA-4", name="other"),
)


def write_export(place: Path, *records: dict[str, Any]) -> Path:
    """An export as it is downloaded, put in place of the one that is there."""
    draft = place.with_suffix(".draft")
    with zipfile.ZipFile(draft, "w") as archive:
        for one in records:
            archive.writestr(f"{one['id']}.json", json.dumps(one))
    draft.replace(place)
    return place


@pytest.fixture
def osv(tmp_path: Path) -> Path:
    """An export on disk."""
    return write_export(tmp_path / "all.zip", *RECORDS)


@pytest.fixture
def app(make_app: MakeApp, database: str, osv: Path) -> Flask:
    """A collector with that export, on each database."""
    return make_app(database=database, osv=osv)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of it."""
    return app.test_client()


def found(client: FlaskClient, uuid: str = "u1") -> list[tuple[str, str]]:
    """(package and version, vulnerability) of an application."""
    document = client.get(f"/api/applications/{uuid}").get_json()
    assert document["vulnerable"] == len(document["vulnerabilities"])
    return [(f"{one['name']} {one['version']}", one["id"]) for one in document["vulnerabilities"]]


def counts(client: FlaskClient) -> dict[str, int | None]:
    """How many each application has."""
    return {one["uuid"]: one["vulnerable"] for one in client.get("/api/applications").get_json()}


def test_an_application_shows_what_is_known(client: FlaskClient) -> None:
    """The worst first; aliases merged, withdrawn ones left out; names, fix, summary and the export's age on each."""
    register(client, "u1", [("Django", "5.1.3"), ("asgiref", "3.8.1")])
    assert client.get("/api/applications/u1").get_json()["vulnerabilities"] == [
        {"name": "Django", "version": "5.1.3", "id": "GHSA-2", "aliases": [], "severity": "CRITICAL", "fixed": ["5.1.4"],
         "summary": MARKUP, "as_of": "2026-11-01T10:00:00+00:00", "rating": "critical", "score": None, "vector": None, "accepted": None},
        {"name": "Django", "version": "5.1.3", "id": "CVE-2026-1", "aliases": ["PYSEC-1", "GHSA-1"], "severity": "LOW",
         "fixed": ["5.2"], "summary": "Loses data", "as_of": "2026-11-01T10:00:00+00:00",
         "rating": "medium", "score": 5.3, "vector": VECTOR, "accepted": None},
    ]  # fmt: skip
    page = client.get("/applications/u1").text
    assert len(AGE.findall(page)) == 2
    assert "2</span> known vulnerabilities" in page
    assert page.index("GHSA-2") < page.index("CVE-2026-1")
    assert '<span class="rating">medium 5.3</span>' in page
    assert "Fixed in <strong>5.1.4</strong>" in page
    assert "<b " not in page


def test_the_overview_counts(client: FlaskClient) -> None:
    """Each application's, all together with the export's age, and the most vulnerable first where asked for."""
    register(client, "u1", [("asgiref", "3.8.1")], app_name="a")
    register(client, "u2", [("Django", "5.1.3")], app_name="b")
    assert counts(client) == {"u1": 0, "u2": 2}
    page = client.get("/?sort=vulnerable").text
    assert page.index(">b</a>") < page.index(">a</a>")
    assert re.search(rf"<strong>2</strong> known vulnerabilities <small>as of {DAY}, \d+", page)
    assert "no known vulnerability" in page
    register(client, "u2", [("Django", "5.2")], app_name="b")
    assert counts(client) == {"u1": 0, "u2": 0}
    assert re.search(f"None is known, by an export as of {DAY}", client.get("/applications/u2").text)


def test_an_export_that_changes_is_read_again(client: FlaskClient, app: Flask, osv: Path) -> None:
    """By the work in the background; applications that say nothing new are counted anew, too."""
    register(client, "u1", [("Django", "5.1.3"), ("other", "1.0")])
    assert len(found(client)) == 3
    write_export(osv, record("GHSA-9", name="other", fixed="2.0"))
    assert len(found(client)) == 3
    service_of(app).tidy()
    assert found(client) == [("other 1.0", "GHSA-9")]


def test_an_export_that_breaks_later_breaks_no_page(client: FlaskClient, app: Flask, osv: Path) -> None:
    """What was known stays, and the page says that it is not up to date; a sound export mends it."""
    register(client, "u1", [("Django", "5.1.3")])
    whole = osv.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", None):
        osv.unlink() if broken is None else osv.write_bytes(broken)
        service_of(app).tidy()
        assert len(found(client)) == 2
        assert "cannot be read any more; this is what it said before" in client.get("/applications/u1").text
        register(client, "u2", [("Django", "5.1.3"), ("other", "1.0")])
        assert counts(client) == {"u1": 2, "u2": 2}
    osv.write_bytes(whole)
    service_of(app).tidy()
    assert counts(client) == {"u1": 2, "u2": 3}
    assert "cannot be read any more" not in client.get("/applications/u1").text


def test_what_another_worker_stored_is_shown(make_app: MakeApp, database: str, osv: Path) -> None:
    """Packages that this worker has not met are looked up when a page wants them."""
    first, second = make_app(database=database, osv=osv), make_app(database=database, osv=osv)
    register(first.test_client(), "u1", [("Django", "5.1.3")])
    assert len(found(second.test_client())) == 2


def test_what_was_stored_without_an_export_is_counted_when_there_is_one(
    make_app: MakeApp, database: str, osv: Path
) -> None:
    """And the counts go when there is none any more: pages show nothing of it then."""
    before = make_app(database=database)
    register(before.test_client(), "u1", [("Django", "5.1.3")])
    assert counts(before.test_client()) == {"u1": None}
    assert counts(make_app(database=database, osv=osv).test_client()) == {"u1": 2}
    after = make_app(database=database).test_client()
    assert counts(after) == {"u1": None}
    assert after.get("/api/applications/u1").get_json()["vulnerabilities"] is None
    for path in ("/", "/applications/u1"):
        assert "ulnerab" not in after.get(path).text


def test_versions_that_are_none_are_not_compared(client: FlaskClient) -> None:
    """They have nothing known, and break nothing."""
    register(client, "u1", [("Django", "trunk"), ("other", "")])
    assert found(client) == []


def test_pages_read_nothing_from_the_export(client: FlaskClient, osv: Path) -> None:
    """What is registered was looked up when it came: the file may be away meanwhile."""
    register(client, "u1", [("Django", "5.1.3")])
    osv.unlink()
    assert len(found(client)) == 2


@pytest.mark.parametrize("broken", ["missing", "cut", "foreign"])
def test_an_export_that_tells_nothing_is_an_error_at_the_start(make_app: MakeApp, osv: Path, broken: str) -> None:
    """One that is missing, was cut short, or is on another ecosystem would look like an all-clear."""
    if broken == "missing":
        osv.unlink()
    elif broken == "cut":
        osv.write_bytes(osv.read_bytes()[:-30])
    else:
        foreign = record("GHSA-1")
        foreign["affected"][0]["package"]["ecosystem"] = "npm"
        write_export(osv, foreign)
    with pytest.raises(SupplyError) as caught:
        make_app(osv=osv)
    assert str(caught.value).startswith(f"{osv}: ")
    assert len(str(caught.value).splitlines()) == 2


def test_the_task_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    """`fab collector --osv FILE` does not start with an export that it cannot read."""
    (tmp_path / "fabfile.py").write_text("from envfab import Fleet, collection\nns = collection(Fleet())\n")
    done = run_fab(tmp_path, "collector", "--bind", "127.0.0.1:0", "--osv", "none.zip")
    assert done.returncode == 1
    assert f"{tmp_path / 'none.zip'}: cannot be read: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_of_records_serves_too(make_app: MakeApp, osv: Path, tmp_path: Path) -> None:
    """The export unpacked; a record that comes is read again."""
    folder = tmp_path / "osv"
    with zipfile.ZipFile(osv) as archive:
        archive.extractall(folder)
    app = make_app(osv=folder)
    register(app.test_client(), "u1", [("Django", "5.1.3")])
    assert len(found(app.test_client())) == 2
    (folder / "GHSA-7.json").write_text(json.dumps(record("GHSA-7")))
    os.utime(folder)
    service_of(app).tidy()
    assert len(found(app.test_client())) == 3

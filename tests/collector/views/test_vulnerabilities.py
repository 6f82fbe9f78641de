"""Pages, feed and JSON of vulnerabilities: which applications have one, since when, what mends it, whether it is accepted."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from envfab.collector.config import AcceptedFile, WheelhouseFolders
from envfab.collector.db.schema import findings, vulnerabilities
from envfab.errors import SupplyError
from tests.collector.conftest import MakeApp, service_of
from tests.collector.jobs.test_vulnerabilities import RECORDS, record, write_export
from tests.collector.sending import register
from tests.collector.views.test_unknown import row, words
from tests.support.wheels import make_wheelhouse

ATOM = "{http://www.w3.org/2005/Atom}"
PROJECT = record(
    "GHSA-7", name="project-0", fixed="1.1", aliases=["CVE-2026-7"], database_specific={"severity": "HIGH"}
)
DAY = 86_400_000


@pytest.fixture
def osv(tmp_path: Path) -> Path:
    """An export on disk."""
    return write_export(tmp_path / "all.zip", *RECORDS, PROJECT)


@pytest.fixture
def app(make_app: MakeApp, database: str, osv: Path, tmp_path: Path) -> Flask:
    """A collector with that export and a wheelhouse that mends one of them, on each database."""
    house = WheelhouseFolders(*make_wheelhouse(tmp_path / "house", 1, 2))
    return make_app(database=database, osv=osv, wheelhouse=house)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of it, with two applications."""
    client = app.test_client()
    register(client, "u1", [("Django", "5.1.3"), ("project-0", "1.0")])
    register(client, "u2", [("project-0", "1.0")], app_name="blog", app_url="http://web2.example.org")
    return client


def accepted(make_app: MakeApp, osv: Path, tmp_path: Path, text: str, **settings: object) -> FlaskClient:
    """A client of a collector with a file of accepted findings."""
    (tmp_path / "accepted").write_text(text)
    client = make_app(osv=osv, accepted=AcceptedFile(tmp_path / "accepted", **settings)).test_client()  # type: ignore[arg-type]
    register(client, "u1", [("Django", "5.1.3"), ("project-0", "1.0")])
    register(client, "u2", [("project-0", "1.0")], app_name="blog")
    return client


def names(client: FlaskClient, query: str = "") -> list[str]:
    """The vulnerabilities that the list has, in its order."""
    return re.findall(
        r'<th scope="row"><a class="hash" href="/vulnerabilities/([^"]+)"', client.get(f"/vulnerabilities{query}").text
    )


def test_the_list_is_sorted_and_filtered_by_links(client: FlaskClient) -> None:
    """The worst first; by any column, both ways; by severity and text."""
    assert names(client) == ["GHSA-2", "CVE-2026-7", "CVE-2026-1"]
    assert names(client, "?sort=-severity") == ["CVE-2026-1", "CVE-2026-7", "GHSA-2"]
    assert names(client, "?sort=applications")[0] == "CVE-2026-7"
    assert names(client, "?sort=name") == ["CVE-2026-1", "CVE-2026-7", "GHSA-2"]
    assert names(client, "?severity=high") == ["CVE-2026-7"]
    assert names(client, "?q=django") == ["GHSA-2", "CVE-2026-1"]
    assert names(client, "?q=pysec-1") == ["CVE-2026-1"]
    page = client.get("/vulnerabilities").text
    assert row(page, "CVE-2026-7") == "CVE-2026-7 project-0 high project-0 2 just now 1.1 no"
    assert 'aria-sort="descending"><a href="/vulnerabilities?sort=-severity">Severity' in page


def test_where_no_application_is_compared_none_is_said_to_be_good(make_app: MakeApp, osv: Path) -> None:
    """The page says so, and how to register, with a token where this collector asks for one."""
    client = make_app(osv=osv, tokens=("correct horse",)).test_client()
    page = client.get("/vulnerabilities", headers={"Authorization": "Bearer correct horse"}).text
    assert "No application has registered yet, so none was compared. Name this server in a fabfile" in page
    assert "No registered application has a known vulnerability" not in page
    assert ", token=…)])" in page
    assert "token=…" not in make_app(osv=osv).test_client().get("/vulnerabilities").text


@pytest.mark.parametrize("alias", ["GHSA-1", "PYSEC-1", "cve-2026-1"])
def test_any_alias_leads_to_its_page(client: FlaskClient, alias: str) -> None:
    """Whatever its case."""
    answer = client.get(f"/vulnerabilities/{alias}")
    assert (answer.status_code, answer.location) == (302, "/vulnerabilities/CVE-2026-1")


def test_its_page_says_which_applications_have_it_and_what_mends_it(client: FlaskClient) -> None:
    """With the fixed version of each package, and what of that the wheelhouse has."""
    page = client.get("/vulnerabilities/CVE-2026-7").text
    today = datetime.now(timezone.utc).date()
    assert row(page, "shop") == f"shop web1.example.org since {today}, not accepted project-0 1.0 1.1 just now no"
    assert row(page, "blog").startswith("blog web2.example.org ")
    assert "project-0: fixed in 1.1" in words(page).replace(" :", ":")
    assert "The wheelhouse has what mends 2 of 2 findings" in page
    django = client.get("/vulnerabilities/CVE-2026-1").text
    assert "nothing that mends it" in row(django, "shop")
    assert client.get("/vulnerabilities/CVE-1").status_code == 404


def test_since_when_is_kept_over_restarts(
    app: Flask, client: FlaskClient, make_app: MakeApp, database: str, osv: Path
) -> None:
    """Registrations and starts that see a finding again leave it as it is."""
    with service_of(app).storage.writing() as connection:
        for table in (findings, vulnerabilities):
            connection.execute(update(table).values(first_seen=table.c.first_seen - 9 * DAY))
    register(client, "u1", [("Django", "5.1.2"), ("project-0", "1.0")])
    again = make_app(database=database, osv=osv).test_client()
    for path in ("/vulnerabilities", "/vulnerabilities/CVE-2026-1", "/applications/u1"):
        assert "9 days ago" in again.get(path).text, path
    assert len(again.get("/api/findings").get_json()) == 4


def test_what_is_mended_ends_and_what_comes_back_begins_anew(client: FlaskClient) -> None:
    """The page tells of both, and the vulnerability is still seen since the first time."""
    register(client, "u1", [("Django", "5.2"), ("project-0", "1.0")])
    assert names(client) == ["CVE-2026-7"]
    page = client.get("/vulnerabilities/CVE-2026-1").text
    assert "No application has it any more" in page
    assert row(page[page.index('id="had"') :], "shop").startswith("shop web1.example.org Django 5.1.3")
    register(client, "u1", [("Django", "5.1.3"), ("project-0", "1.0")])
    told = [one for one in client.get("/api/findings").get_json() if one["vulnerability"]["id"] == "CVE-2026-1"]
    assert [one["ended"] is None for one in told] == [True, False]


def test_a_vulnerability_that_gets_further_names_stays_the_same(app: Flask, client: FlaskClient, osv: Path) -> None:
    """Also where two that were told apart turn out to be one: the finding that was seen first stays."""
    with service_of(app).storage.reading() as connection:
        before = set(connection.execute(select(findings.c.id)).scalars())
    joined = record(
        "GHSA-2", fixed="5.1.4", aliases=["CVE-2026-1", "CVE-2026-0"], database_specific={"severity": "CRITICAL"}
    )
    write_export(osv, *(one for one in RECORDS if one["id"] != "GHSA-2"), joined, PROJECT)
    service_of(app).tidy()
    assert names(client) == ["CVE-2026-0", "CVE-2026-7"]
    assert client.get("/vulnerabilities/GHSA-1").location == "/vulnerabilities/CVE-2026-0"
    with service_of(app).storage.reading() as connection:
        after = set(connection.execute(select(findings.c.id)).scalars())
        assert connection.execute(select(findings.c.ended_at)).scalars().all() == [None] * 3
    assert after < before


def test_an_export_that_cannot_be_read_ends_no_finding(
    app: Flask, client: FlaskClient, osv: Path, make_app: MakeApp, database: str
) -> None:
    """What cannot be compared just now stays as it was; without an export pages say that nothing is compared."""
    osv.write_bytes(b"")
    service_of(app).tidy()
    register(client, "u1", [("Django", "5.1.1"), ("project-0", "1.0")])
    assert len(names(client)) == 3
    without = make_app(database=database).test_client()
    assert "compares with no export of known vulnerabilities now" in without.get("/vulnerabilities/CVE-2026-1").text
    assert "Vulnerabilities</a>" not in without.get("/").text


def test_search_finds_identifiers_packages_applications_and_hosts(client: FlaskClient) -> None:
    """Each kind under its own heading, by any name, whatever its case."""
    assert 'href="/vulnerabilities/CVE-2026-1"' in client.get("/search?q=pysec").text
    page = client.get("/search?q=WEB2").text
    assert (
        'href="/hosts/web2.example.org">web2.<wbr>example.<wbr>org</a> <small><a href="/hosts/web2.example.org#applications">1 application</a>'
        in page
    )
    assert re.findall("<h2 [^>]+>([^<]+)", client.get("/search?q=project").text) == ["Vulnerabilities", "Packages"]
    assert "has “nothing” in its name" in client.get("/search?q=nothing").text


def test_a_package_shows_which_versions_are_vulnerable(client: FlaskClient) -> None:
    """And which are not, as far as it is known."""
    register(client, "u3", [("project-0", "1.1")])
    register(client, "u4", [("project-0", "trunk")])
    page = client.get("/packages/project-0").text
    assert row(page, "1.0").startswith("1.0 2 CVE-2026-7 high")
    assert row(page, "1.1").startswith("1.1 1 none known")
    assert row(page, "trunk").startswith("trunk 1 not compared")


def test_the_feed_of_new_findings(client: FlaskClient) -> None:
    """Well-formed Atom, an id of its own for each; the same as JSON."""
    root = ElementTree.fromstring(client.get("/findings.atom").data)
    titles = [entry.findtext(f"{ATOM}title") for entry in root.iter(f"{ATOM}entry")]
    assert "CVE-2026-7 in project-0 1.0 of blog (high)" in titles
    ids = [entry.findtext(f"{ATOM}id") for entry in root.iter(f"{ATOM}entry")]
    assert len(set(ids)) == len(ids) == 4
    told = client.get("/api/findings").get_json()[0]
    assert (told["application"]["name"], told["package"], told["fixed"]) == ("blog", "project-0", ["1.1"])
    assert told["vulnerability"]["aliases"] == ["GHSA-7"]


def test_json_tells_what_the_pages_tell(client: FlaskClient) -> None:
    """The list, and one by any of its names."""
    (worst, high, _) = client.get("/api/vulnerabilities").get_json()
    assert (worst["id"], high["id"], high["applications"], high["accepted"]) == ("GHSA-2", "CVE-2026-7", 2, 0)
    one = client.get("/api/vulnerabilities/ghsa-7").get_json()
    assert one["findings"][0]["in_wheelhouse"] == {"known": True, "version": "1.1"}
    assert client.get("/api/vulnerabilities/nothing").status_code == 404


def test_accepted_findings(make_app: MakeApp, osv: Path, tmp_path: Path) -> None:
    """By any name, for a package, up to a day; the list counts them, and filters by them."""
    until = date.today() + timedelta(days=30)
    text = f"GHSA-7 until {until} for project-0 because of the firewall\nGHSA-2 until 2020-01-01 because it was once\n"
    client = accepted(make_app, osv, tmp_path, text)
    assert names(client, "?only=accepted") == ["CVE-2026-7"]
    assert names(client, "?only=open") == ["GHSA-2", "CVE-2026-1"]
    page = client.get("/vulnerabilities/CVE-2026-7").text
    assert f"until {until}, because of the firewall accepted:1" in words(page).replace("because of", "because of")
    assert "everywhere" in page
    application = client.get("/applications/u1").text
    assert words(application).count(f"Accepted until {until}, because of the firewall accepted:1") == 1
    assert "3 known vulnerabilities, 1 accepted" in words(application)
    told = {one["id"]: one["accepted"] for one in client.get("/api/applications/u1").get_json()["vulnerabilities"]}
    assert told == {
        "GHSA-2": None,
        "CVE-2026-7": {"until": str(until), "reason": "of the firewall", "where": "accepted:1"},
        "CVE-2026-1": None,
    }
    (tmp_path / "accepted").write_text("nonsense")
    assert names(client, "?only=accepted") == ["CVE-2026-7"]
    assert "The file of accepted findings cannot be read any more" in client.get("/vulnerabilities").text
    (tmp_path / "accepted").unlink()
    assert names(client, "?only=accepted") == []


def test_an_acceptance_for_some_applications_holds_for_them_alone(make_app: MakeApp, osv: Path, tmp_path: Path) -> None:
    """A selector is resolved by the fleet; one that names nothing that is known accepts nothing."""
    until = date.today() + timedelta(days=30)
    text = f"GHSA-7 until {until} on web1 because of the firewall\nGHSA-2 until {until} on web9 because of nothing\n"
    places = {"web1": frozenset({"u1"})}
    client = accepted(make_app, osv, tmp_path, text, places=lambda name: places.get(name, frozenset()))
    assert row(client.get("/vulnerabilities").text, "CVE-2026-7").endswith("in 1 of 2")
    assert row(client.get("/vulnerabilities").text, "GHSA-2").endswith("no")
    page = client.get("/vulnerabilities/CVE-2026-7").text
    assert "until" in row(page, "shop")
    assert row(page, "blog").endswith("no")


def test_a_file_of_accepted_findings_with_a_mistake_stops_the_start(
    make_app: MakeApp, osv: Path, tmp_path: Path
) -> None:
    """In the words of `fab audit`."""
    (tmp_path / "accepted").write_text("GHSA-1\n")
    with pytest.raises(SupplyError, match=r"accepted:1: 'GHSA-1' cannot be understood"):
        make_app(osv=osv, accepted=AcceptedFile(tmp_path / "accepted"))

"""The pages: what they say, to whom, and that nothing in them is more than text."""

from __future__ import annotations

import csv
import io
import itertools
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from envfab.collector.config import WheelhouseFolders
from envfab.collector.db.schema import applications
from envfab.collector.report_store import ReportFolder
from envfab.collector.views import usage
from tests.collector.accessibility import BAD, inspect
from tests.collector.browser import chromium
from tests.collector.conftest import MakeApp, service_of
from tests.collector.furnished import LONG, MARKUP, NOWHERE, WRONG, furnish
from tests.collector.jobs.test_vulnerabilities import record, write_export
from tests.collector.sending import ROLLOUT, put_rollout, register, report, rollout, virtualenv
from tests.support.wheels import make_wheelhouse

HTML = {"Accept": "text/html"}
# of the pages that a browser is to show one of each kind and state: others differ in order alone
DIFFERENT = (
    "/", "/?q=nothing-like-that", "/applications/u1", f"/applications/{LONG[:90]}", "/applications/empty",
    "/applications/sibling-0", "/packages/", f"/packages/{LONG}", "/packages/project-0", "/behind", "/usage",
    "/usage/key?name=version", "/usage/reports/1", "/search", "/search?q=a", "/vulnerabilities", "/vulnerabilities/GHSA-1",
    "/public/open", "/nothing/here", "/?page=9", "/rollouts", "/rollouts?who=nobody", f"/rollouts/{ROLLOUT}",
    "/rollouts/20261121-000000-0000", "/hosts", f"/hosts/{LONG}", "/hosts/web1.example.org", "/changes", "/changes?by=virtualenv",
    "/changes?from=2001-01-01&to=2001-01-02", "/changes?from=tomorrow", "/differing",
)  # fmt: skip
ATOM = "{http://www.w3.org/2005/Atom}"
VOID = {"meta", "link", "input", "br", "wbr"}


class Page(HTMLParser):
    """What a page is made of, for those who do not see it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.problems: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag that is closed at once."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Every end tag closes the tag that was opened last."""
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing")

    def count(self, tag: str) -> int:
        """How often a tag is there."""
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture
def furnished(make_app: MakeApp, database: str, tmp_path: Path) -> tuple[Flask, list[str]]:
    """An application with something of everything on each database, and the paths of its pages."""
    app = make_app(database=database, **sources(tmp_path))
    return app, furnish(app)


def sources(folder: Path) -> dict[str, object]:
    """A wheelhouse and an OSV export to compare with."""
    osv = write_export(
        folder / "all.zip",
        record(MARKUP, summary=MARKUP, aliases=[LONG], database_specific={"severity": MARKUP}),
        record("GHSA-1", name="project-0", fixed="1.1", summary=LONG, database_specific={"severity": "HIGH"}),
        record("CVE-2025-64459", name="whitenoise", fixed="6.9", database_specific={"severity": "CRITICAL"}),
    )
    return {
        "wheelhouse": WheelhouseFolders(*make_wheelhouse(folder / "wheelhouse", 2, 2)),
        "osv": osv,
        "public": ("open",),
    }


def test_every_page_is_whole(furnished: tuple[Flask, list[str]]) -> None:
    """Landmarks, one h1, headings that skip no level, captions, scopes and labels; no script, no style, no event."""
    app, paths = furnished
    for path in paths:
        answer = app.test_client().get(path, headers=HTML)
        assert answer.status_code == (404 if path in NOWHERE else 400 if path in WRONG else 200), path
        page = Page(answer.text)
        assert (page.problems, page.open) == ([], []), path
        once = [page.count(tag) for tag in ("main", "h1", "header", "footer", "nav", "script", "style")]
        assert once == [1, 1, 1, 1, 1, 0, 0], path
        assert page.count("caption") == page.count("table"), path
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert all(after <= before + 1 for before, after in pairwise(levels)), path
        for tag, attributes in page.tags:
            assert not any(name.startswith("on") or name == "style" for name in attributes), path
            assert tag != "th" or attributes.get("scope") in ("col", "row"), path
            assert tag != "svg" or attributes.get("aria-label") or attributes.get("aria-hidden"), path
            assert tag != "input" or any(
                name == "label" and have.get("for") == attributes["id"] for name, have in page.tags
            )
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids)), path


def test_nothing_is_echoed_as_markup(furnished: tuple[Flask, list[str]]) -> None:
    """Names, versions, keys and values with markup are shown as text; only http and https become links."""
    app, paths = furnished
    for path in paths:
        text = app.test_client().get(path, headers=HTML).text
        assert "<b " not in text, path
        assert 'href="javascript:' not in text, path
    assert "javascript:alert(1)" in app.test_client().get("/").text.replace("<wbr>", "")


def test_searching_for_markup(client: FlaskClient) -> None:
    """What was searched for is shown, as text."""
    for path in ("/", "/packages/", "/search"):
        text = client.get(path, query_string={"q": '"><script>alert(1)</script>'}).text
        assert "<script>" not in text
        assert "&lt;script&gt;" in text.replace("<wbr>", "")


def test_how_many_are_behind(furnished: tuple[Flask, list[str]]) -> None:
    """The list says N of M packages are behind, the application which ones and what is in the wheelhouse."""
    client = furnished[0].test_client()
    assert '<span class="late">1 of 4</span> packages is behind' in client.get("/").text
    text = client.get("/applications/u1").text
    assert "project-0" in text
    assert '<span class="late">1.1</span>' in text
    assert "project-0" in client.get("/behind").text


def test_stale_ones_are_marked(app: Flask, client: FlaskClient) -> None:
    """Who has not registered for two weeks is marked, in the list and on its own page."""
    register(client, "u1")
    assert '<span class="stale">stale</span>' not in client.get("/").text
    service = service_of(app)
    with service.storage.writing() as connection:
        connection.execute(applications.update().values(last_seen=applications.c.last_seen - 15 * 86_400_000))
    for path in ("/", "/applications/u1"):
        text = client.get(path).text
        assert '<span class="stale">stale</span>' in text
        assert "15 days ago" in text


def test_history_shows_a_manual_install(client: FlaskClient) -> None:
    """What changed between registrations is told; a registration that changes nothing adds nothing."""
    register(client, "u1", [("Django", "5.1.3"), ("old", "1.0")])
    register(client, "u1", [("Django", "5.2"), ("Sneaked-In", "6.6.6")])
    register(client, "u1", [("Django", "5.2"), ("Sneaked-In", "6.6.6")])
    text = client.get("/applications/u1").text
    history = " ".join(re.sub("<[^>]+>", " ", text[text.index('id="history"') :]).split())
    assert "changed Django 5.1.3 → 5.2" in history
    assert "removed old 1.0" in history
    assert "added Sneaked-In 6.6.6" in history
    assert text.count("<h3>") == 2


def test_the_feed(furnished: tuple[Flask, list[str]]) -> None:
    """The feed is well-formed Atom, newest first, with an id of its own for each entry."""
    root = ElementTree.fromstring(furnished[0].test_client().get("/feed.atom").data)
    titles = [entry.findtext(f"{ATOM}title") for entry in root.iter(f"{ATOM}entry")]
    assert titles[:2] == ["empty: registered with 0 packages", f"{LONG}: registered with 4 packages"]
    assert f"{MARKUP}: 2 packages changed" in titles
    ids = [entry.findtext(f"{ATOM}id") for entry in root.iter(f"{ATOM}entry")]
    assert len(set(ids)) == len(ids) == 39


def test_search_finds_both_kinds(client: FlaskClient) -> None:
    """A word finds applications and packages, whatever its case; wildcards are letters."""
    register(client, "u1", [("Zebra-crossing", "1.0")], app_name="The zebra")
    text = client.get("/search?q=ZEBRA").text
    assert "The zebra" in text
    assert "Zebra-crossing" in text
    assert "The zebra" not in client.get("/search?q=z%25a").text


def test_a_new_key_shows_up(client: FlaskClient) -> None:
    """What programs begin to report is on the usage page without anybody's doing."""
    client.post("/", data=report(("brand_new", "here"), ("brand_new", "again")))
    text = client.get("/usage").text
    assert "brand_new" in text
    assert "again" in client.get("/usage/key?name=brand_new").text
    assert client.get("/usage/key?name=nothing").status_code == 404


def test_usage_by_version_system_and_python(client: FlaskClient) -> None:
    """Charts group what the clients' own flags write."""
    for minor in (11, 11, 12):
        body = report(
            ("user", f"u{minor}"),
            ("version", "0.1"),
            ("system", f"Linux;6.{minor}"),
            ("python", f"3;{minor};7;final;0;3.{minor}.7 (x)"),
        )
        client.post("/reports/prog/", data=body)
    text = client.get("/usage?program=prog").text
    assert "3 reports from 2 users" in text
    rows = re.findall(r'<th scope="row">([^<]+)</th><td class="number">(\d+)</td>', text)
    assert {("0.1", "3"), ("Linux", "3"), ("Python 3.11", "2"), ("Python 3.12", "1")} <= set(rows)


def test_a_report_as_it_came(client: FlaskClient) -> None:
    """A report is shown with its odd bytes written out, and downloaded as it came."""
    body = b"date:1763680000.1\nkey:\xff\x1b[1m<b>\n"
    client.post("/", data=body)
    text = client.get("/usage/reports/1").text
    assert r"key:\xff\x1b[1m&lt;b&gt;" in text
    answer = client.get("/usage/reports/1.txt")
    assert answer.data == body
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_export(client: FlaskClient) -> None:
    """CSV has a line a report and a column a key, and no cell that a spreadsheet would execute."""
    client.post(
        "/reports/prog/", data=report(("user", "me"), ("what", "=cmd|x"), ("n", "5"), ("n", "7"), ("minus", "-5.5"))
    )
    client.post("/reports/other/", data=report(("else", 'a,b"c')))
    rows = list(csv.DictReader(io.StringIO(client.get("/usage.csv").text)))
    assert {(row["program"], row["user"], row["what"], row["n"], row["minus"], row["else"]) for row in rows} == {
        ("prog", "me", "'=cmd|x", "5\n7", "-5.5", ""),
        ("other", "", "", "", "", 'a,b"c'),
    }
    assert [row["program"] for row in csv.DictReader(io.StringIO(client.get("/usage.csv?program=prog").text))] == [
        "prog"
    ]


@pytest.mark.parametrize("cell", ["=1+1", " =1+1", "\t1", "+1+1", "-1+1", "@SUM(1)", "＝1+1", "-1\u2003.5"])  # noqa: RUF001
def test_no_cell_is_a_formula(client: FlaskClient, cell: str) -> None:
    """However it begins; also where the first of several values is empty, and as the name of a key."""
    client.post("/", data=report(("one", cell), ("two", ""), ("two", cell), (cell, "1")))
    header, row = csv.reader(io.StringIO(client.get("/usage.csv").text))
    found = [one for one in (*header, *row) if cell in one]
    assert sorted(found) == sorted([f"'{cell}", f"'{cell}", f"'\n{cell}"])


def test_an_export_is_read_in_parts(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each report is there once, newest first, whatever came in the same millisecond."""
    monkeypatch.setattr(usage, "AT_ONCE", 2)
    monkeypatch.setattr(ReportFolder, "_moment", itertools.count(1_763_680_000 * 10**9).__next__)
    for number in range(7):
        client.post("/reports/prog/", data=report(("n", str(number))))
    rows = list(csv.DictReader(io.StringIO(client.get("/usage.csv?days=3650").text)))
    assert [row["n"] for row in rows] == ["6", "5", "4", "3", "2", "1", "0"]


@pytest.mark.parametrize("path", ["/?user_id=x", "/?page=-1", "/?page=99999999999999999999", "/?sort=uuid", "/?user_id=" + "9" * 30,
                                  "/usage?days=x", "/usage?program=%27--", "/applications/%00", "/usage/reports/99999999999999999999",
                                  "/packages/%27%20OR%201=1", "/search?q=%00", "/usage/key?name=%ff"])  # fmt: skip
def test_nonsense_in_addresses(furnished: tuple[Flask, list[str]], path: str) -> None:
    """Addresses that nobody's link has never break a page."""
    assert furnished[0].test_client().get(path, headers=HTML).status_code in (200, 400, 404)


@pytest.fixture
def counted(furnished: tuple[Flask, list[str]]) -> list[str]:
    """The queries that are executed from here on."""
    found: list[str] = []
    engine = service_of(furnished[0]).storage.engine
    event.listen(engine, "before_cursor_execute", lambda *args: found.append(args[2]))
    return found


def test_no_query_a_row(furnished: tuple[Flask, list[str]], counted: list[str]) -> None:
    """A page asks as many questions for many rows as for few."""
    app, paths = furnished
    client = app.test_client()
    paths = [path for path in paths if path not in ("/usage/reports/1", "/usage/reports/3")]
    paths += [
        "/api/rollouts",
        f"/api/rollouts/{ROLLOUT}",
        "/api/hosts",
        f"/api/hosts/{LONG}",
        "/api/changes",
        "/api/differing",
    ]
    paths += ["/api/applications", "/api/applications/u1", "/api/packages/project-0", "/api/usage", "/feed.atom"]
    client.get("/")

    def ask() -> dict[str, int]:
        numbers = {}
        for path in paths:
            counted.clear()
            client.get(path, headers=HTML)
            numbers[path] = len(counted)
        return numbers

    few = ask()
    for number in range(20):
        register(client, f"more-{number}", [(f"project-{other}", "1.0") for other in range(number)])
        register(client, f"more-{number}", [(f"project-{other}", "1.1") for other in range(number)])
        put_rollout(
            client,
            rollout(
                *(virtualenv(f"web{other}", path=f"/{number}") for other in range(number)),
                rollout=f"20261123-000000-{number:04}",
            ),
        )
        client.post(f"/reports/program{number}/", data=report((f"key{number}", "value"), ("version", str(number))))
    assert ask() == few
    assert max(few.values()) <= 12


def test_every_page_in_a_browser(make_app: MakeApp, tmp_path: Path) -> None:
    """WCAG AA by axe-core, in light and dark, at 1280 and 390 pixels; none is wider than the screen, or breaks a word."""
    program = chromium()
    if program is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    app = make_app(**sources(tmp_path))
    assert set(DIFFERENT) <= set(furnish(app))
    closed = make_app(data=tmp_path / "closed", tokens=("correct horse",))
    both = DispatcherMiddleware(app.wsgi_app, {"/closed": closed.wsgi_app})
    found = inspect(program, both, [*DIFFERENT, "/closed/", BAD], tmp_path / "profile")
    assert len(found) == 4 * (len(DIFFERENT) + 2)
    bad = [one for one in found if one.path == BAD]
    assert all("color-contrast: <p>inconsiderately</p>" in one.violations for one in bad)
    assert all(
        one.broken == ("inconsiderately", "2027-01-31") and one.wide > one.width for one in bad if one.theme == "light"
    )
    for one in found:
        if one.path != BAD:
            assert (one.violations, one.broken, one.wide) == ((), (), one.width), (one.path, one.width, one.theme)

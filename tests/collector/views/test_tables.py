"""Tables that are sorted, filtered and turned over by links alone."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from envfab.collector.config import WheelhouseFolders
from envfab.collector.views import applications
from tests.collector.conftest import MakeApp
from tests.collector.sending import register
from tests.support.wheels import make_wheelhouse

HTML = {"Accept": "text/html"}


@pytest.fixture
def client(make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A client of a collector with five applications, of which pages show two."""
    monkeypatch.setattr(applications, "A_PAGE", 2)
    client = make_app(wheelhouse=WheelhouseFolders(*make_wheelhouse(tmp_path / "house", 3, 2))).test_client()
    for number in range(5):
        packages = [(f"project-{other}", "1.0" if other < number else "1.1") for other in range(3)]
        register(client, f"u{number}", packages, app_name=f"shop-{number}")
    return client


def rows(page: str) -> list[str]:
    """The links in the first cells of a page's tables."""
    return re.findall(r'<tr[^>]*>\s*<th scope="row"><a [^>]+>([^<]+)', page)


def link(page: str, text: str) -> str:
    """Where a link with that text leads."""
    found = re.search(rf'href="([^"]+)"[^>]*>{text}</a>', page)
    assert found, text
    return unescape(found[1])


def test_pages_keep_filter_and_order(client: FlaskClient) -> None:
    """From page to page all are shown once, in order; a filter begins with the first page again."""
    page = client.get("/?sort=-name&q=shop").text
    seen = rows(page)
    while "next</a>" in page:
        page = client.get(link(page, "next")).text
        seen += rows(page)
    assert seen == [f"shop-{number}" for number in (4, 3, 2, 1, 0)]
    assert rows(client.get(link(page, "previous")).text) == ["shop-2", "shop-1"]
    assert link(page, "behind") == "/?q=shop&sort=-name&only=behind"


@pytest.mark.parametrize(("path", "first"), [("/?q=shop&sort=behind", "shop-3"), ("/packages/?sort=-name", "project-2"),
                                             ("/behind?sort=name", "project-0"), ("/packages/project-0?sort=-name", "shop-4")])  # fmt: skip
def test_a_column_sorts_both_ways(client: FlaskClient, path: str, first: str) -> None:
    """The header tells in which direction, for those who do not see it, and leads to the other."""
    page = client.get(path).text
    assert first in rows(page)
    (state, other) = re.search(r'aria-sort="(\w+)"><a href="([^"]+)"', page).groups()  # type: ignore[union-attr]
    turned = client.get(unescape(other)).text
    assert re.search(r'aria-sort="(\w+)"', turned)[1] != state  # type: ignore[index]
    assert rows(turned)[-2:] != rows(page)[-2:]


@pytest.mark.parametrize(("path", "last"), [("/?page=9&sort=behind", "/?sort=behind&page=3"), ("/?page=0", "/?page=3"),
                                            ("/packages/?page=77777777777777777", "/packages/?page=2"), ("/behind?page=9", "/behind?page=2"),
                                            ("/packages/project-0?page=4", "/packages/project-0?page=3"),
                                            ("/?only=behind&q=nothing&page=2", "/?q=nothing&only=behind")])  # fmt: skip
def test_a_page_that_does_not_exist_leads_to_the_last(client: FlaskClient, path: str, last: str) -> None:
    """It says so, with status 404, and the link keeps filter and order."""
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 404
    assert "is beyond the last one, page" in answer.text
    assert link(answer.text, "Go to the last page") == last


def test_packages_of_an_application_are_filtered(client: FlaskClient) -> None:
    """Those that are behind alone; and where there are none, it says so."""
    assert rows(client.get("/applications/u1?only=behind").text) == ["project-0"]
    assert "No matching packages." in client.get("/applications/u1?only=unknown").text


def test_usage_of_90_days(client: FlaskClient) -> None:
    """Is among the ranges."""
    client.post("/", data=b"date:1763680000.1\nk:v\n")
    assert "<strong>90 days</strong>" in client.get("/usage?days=90").text


@pytest.mark.parametrize(("query", "wanted"), [
    ("only=misspelt", "behind, unknown, vulnerable, edited, stale, ended"), ("sort=-versions", "name, behind"), ("page=one", "a number"),
    ("page=-1", "a number"), ("user_id=me", "a number"), ("user_id=9999999999999999999", "a number"),
])  # fmt: skip
def test_a_value_that_there_is_not(client: FlaskClient, query: str, wanted: str) -> None:
    """It is told in one sentence, with a way on; everything would be taken for what was asked for."""
    answer = client.get(f"/?q=shop&{query}", headers=HTML)
    name, _, value = query.partition("=")
    assert answer.status_code == 400
    said = unescape(answer.text)
    assert f"{name} must be " in said
    assert f"{wanted}" in said
    assert f"not '{value}'" in said
    assert link(answer.text, f"Go on without {name}") == "/?q=shop"
    # as forms send a choice that was not made
    assert client.get(f"/?{name}=").status_code == 200


@pytest.mark.parametrize("path", ["/packages/?only=stale", "/packages/?sort=behind2", "/applications/u1?only=vulnerable", "/behind?sort=versions",
                                  "/packages/project-0?sort=behind", "/vulnerabilities?only=stale", "/vulnerabilities?severity=worst",
                                  "/vulnerabilities?sort=behind", "/vulnerabilities?page=x", "/usage?days=31", "/usage/key?name=k&days=0",
                                  "/usage.csv?days=all"])  # fmt: skip
def test_no_page_shows_something_else(client: FlaskClient, path: str) -> None:
    """Whatever the table, its filters and orders are those that it has."""
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (400, "text/plain")
    assert answer.text.count("\n") == 1

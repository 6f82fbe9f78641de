"""The page of one project, read from a package index."""

from __future__ import annotations

from packaging.utils import NormalizedName

from envfab.errors import SupplyError
from envfab.index import pages
from envfab.index.pages import HTML_TYPE, JSON_TYPE, ProjectPage
from envfab.index.session import IndexSession
from envfab.util.untrusted import shown_url

ACCEPT = f"{JSON_TYPE}, {HTML_TYPE};q=0.2, text/html;q=0.1"
PAGE_LIMIT = 128 << 20  # bytes


def read_project_page(web: IndexSession, index: str, name: NormalizedName) -> ProjectPage:
    """What an index tells of a project, by PEP 691's JSON or PEP 503's HTML; no file where it has no page.

    `index` is the URL of the index's simple API, with or without the slash at its end. Raises `SupplyError` where the
    index does not answer, or not with such a page.
    """
    url = f"{index.rstrip('/')}/{name}/"
    answer = web.get(url, ACCEPT, PAGE_LIMIT)
    if answer is None:
        return ProjectPage()
    text = answer.content.decode("utf-8", "replace")
    if answer.kind in (JSON_TYPE, "application/json"):
        return pages.parse_json(text, answer.url)
    if answer.kind in (HTML_TYPE, "text/html"):
        return pages.parse_html(text, answer.url)
    kind = answer.kind or "without a media type"
    raise SupplyError(f"is not a page of a package index, but {kind}", where=shown_url(url))

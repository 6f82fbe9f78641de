"""The page of what changed between two days."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, render_template, request, url_for

from envfab.collector.days import day_of, milliseconds_now
from envfab.collector.db import change_queries
from envfab.collector.db.change_queries import ChangeLine, PlaceLine
from envfab.collector.service import Service
from envfab.collector.template_filters import day_name
from envfab.collector.views.dates import days_asked, span_of
from envfab.collector.views.query import LONGEST_QUERY, choice
from envfab.collector.views.tables import Pages

A_PAGE = 100
DAYS = 7
RANGES = (7, 30, 90)
VIEWS = {"package": "by package", "host": "by host", "virtualenv": "by virtualenv and application"}


def endpoints(service: Service) -> Blueprint:
    """The page `/changes`."""
    routes = Blueprint("changes", __name__)
    storage = service.storage

    @routes.get("/changes")
    def changes() -> str:
        first, last = asked_days()
        by, host = choice("by", VIEWS) or "package", host_asked()
        with storage.reading() as connection:
            span = span_of(first, last)
            found: Sequence[ChangeLine | PlaceLine]
            if by == "package":
                found = change_queries.changed_packages(connection, span, host)
            else:
                places = change_queries.changed_hosts if by == "host" else change_queries.changed_places
                found = [one for one in places(connection, span) if not host or one.host.lower() == host.lower()]
        pages = Pages.asked(len(found), A_PAGE)
        return render_template(
            "changes.html", found=found[pages.offset : pages.offset + A_PAGE], pages=pages, by=by, views=VIEWS,
            first=day_name(first), last=day_name(last), host=host, ranges=_ranges(), days=last - first + 1,
        )  # fmt: skip

    return routes


def asked_days() -> tuple[int, int]:
    """The first and the last day that the query asks for; raises `WrongDay`."""
    return days_asked(DAYS, (url_for("changes.changes"), f"Show the last {DAYS} days"))


def host_asked() -> str:
    """The host that the query names; empty for all."""
    return request.args.get("host", "").strip()[:LONGEST_QUERY]


def _ranges() -> list[tuple[int, str, str]]:
    """The usual ranges: how many days, from which, to which."""
    today = day_of(milliseconds_now())
    return [(days, day_name(today - days + 1), day_name(today)) for days in RANGES]

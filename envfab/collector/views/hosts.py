"""The pages of hosts, and of those that differ from their siblings."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from werkzeug.exceptions import NotFound

from envfab.collector.db import differing, host_queries, siblings
from envfab.collector.db.registered_virtualenvs import targets_of
from envfab.collector.service import Service
from envfab.collector.views.query import query_text
from envfab.collector.views.rollouts import BAD, spoken
from envfab.collector.views.tables import ASCENDING, DESCENDING, Pages, Sorting

A_PAGE = 100
VIRTUALENVS = 25  # a page, since each has its packages
PACKAGES = 500  # that a page shows of one
LATEST = 50  # rollouts
GROUPS = 50
DIFFERENCES = 20  # packages of one sibling
SORTS = {"name": ASCENDING, "virtualenvs": DESCENDING, "applications": DESCENDING, "last": DESCENDING}


def endpoints(service: Service) -> Blueprint:
    """The pages `/hosts`, `/hosts/NAME` and `/differing`."""
    routes = Blueprint("hosts", __name__)
    storage = service.storage

    @routes.get("/hosts")
    def hosts() -> str:
        text, sorting = query_text(), Sorting.asked(SORTS)
        with storage.reading() as connection:
            found = host_queries.list_hosts(connection, text)
        keys = {
            "name": lambda one: one.name.lower(),
            "virtualenvs": lambda one: -one.virtualenvs,
            "applications": lambda one: -one.applications,
            "last": lambda one: -one.last,
        }
        pages = Pages.asked(len(found), A_PAGE)
        found.sort(key=keys[sorting.key], reverse=sorting.reverse)
        shown = found[pages.offset : pages.offset + A_PAGE]
        return render_template("hosts.html", hosts=shown, text=text, sorting=sorting, pages=pages)

    @routes.get("/hosts/<path:name>")
    def host(name: str) -> str:
        return _host(name)

    @routes.get("/host")
    def host_by_query() -> str:
        return _host(request.args.get("host", ""))

    def _host(name: str) -> str:
        with storage.reading() as connection:
            pages = Pages.asked(host_queries.count_virtualenvs(connection, name), VIRTUALENVS)
            found = host_queries.virtualenvs_of(connection, name, VIRTUALENVS, pages.offset)
            applications = host_queries.applications_on(connection, name)
            if not found and not applications:
                raise NotFound("No rollout and no application told of a host of this name.")
            packages = host_queries.packages_in(connection, {one.package_set_id for one in found})
            latest = host_queries.rollouts_of_host(connection, name, LATEST)
            odd = siblings.others_alike(connection, applications)
            judged = differing.judge(connection, found)
            targets = targets_of(connection, (one.uuid for one in applications))
        return render_template(
            "host.html", name=name, virtualenvs=found, applications=applications, packages=packages, latest=latest,
            odd=odd, judged=judged, pages=pages, most=PACKAGES, spoken=spoken, bad=BAD, latest_most=LATEST,
            targets=targets,
        )  # fmt: skip

    @routes.get("/differing")
    def differ() -> str:
        with storage.reading() as connection:
            every = [*differing.virtualenv_groups(connection), *differing.application_groups(connection)]
            found = [one for one in every if one.differs]
            pages = Pages.asked(len(found), GROUPS)
            shown = differing.with_differences(connection, found[pages.offset : pages.offset + GROUPS])
        alike = sum(len(one.most) > 1 for one in every if not one.differs)
        return render_template(
            "differing.html", groups=shown, pages=pages, alike=alike, many=len(found), most=DIFFERENCES,
            hosts=len({it.sibling.host for one in found for it in one.odd}),
            edited=len({one.host for group in found for one in group.edited}),
            unknown=sum(len(one.unknown) for one in found),
        )  # fmt: skip

    return routes


def host_link(name: str) -> str:
    """The address of a host's page; browsers would change some names as part of a path."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return url_for("hosts.host_by_query", host=name)
    return url_for("hosts.host", name=name)

"""The pages: applications, packages, what is behind, search, and the feed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from flask import Blueprint, Flask, Response, render_template, request
from packaging.utils import canonicalize_name
from werkzeug.exceptions import NotFound

from envfab.collector import charts, template_filters, weeks
from envfab.collector.charts import Point
from envfab.collector.days import DAY
from envfab.collector.db import application_queries, package_queries, siblings
from envfab.collector.db.package_queries import Package, User
from envfab.collector.parts import Service, milliseconds_now
from envfab.collector.views.findings import findings_of
from envfab.collector.weeks import Week

A_PAGE = 200  # lines
LONGEST_QUERY = 200
FOUND = 50
SHOWN_HOSTS = 30  # of one digest
SORTS = ("name", "behind", "vulnerable", "edited", "last_seen")


def endpoints(service: Service) -> Blueprint:
    """The pages of applications and packages."""
    routes = Blueprint("pages", __name__)
    storage = service.storage
    stale = service.config.stale_days * DAY

    @routes.before_request
    def catch_up() -> None:
        service.freshness.catch_up()

    @routes.get("/")
    def applications() -> str:
        text, user_id, sort = _query(), request.args.get("user_id", type=_user_id), _sort()
        page = max(1, request.args.get("page", 1, type=_page_number))
        with storage.reading() as connection:
            counts = application_queries.count_applications(connection, text=text, user_id=user_id)
            found = application_queries.list_applications(
                connection, text=text, user_id=user_id, sort=sort, limit=A_PAGE, offset=(page - 1) * A_PAGE
            )
            odd = siblings.others_alike(connection, found)
        return render_template(
            "applications.html", applications=found, counts=counts, text=text, user_id=user_id, sort=sort, page=page,
            pages=-(-counts.applications // A_PAGE), stale=stale, export=_export(service), odd=odd,
        )  # fmt: skip

    @routes.get("/applications/<path:uuid>")
    def application(uuid: str) -> str:
        with storage.reading() as connection:
            found = application_queries.find_application(connection, uuid)
            if found is None:
                raise NotFound("no application has this uuid")
            packages = application_queries.packages_of(connection, found)
            updates = application_queries.history(connection, found.id)
            behind = weeks.list_weeks(connection, milliseconds_now(), found.id)
            alike = siblings.siblings_of(connection, found)
        return render_template(
            "application.html", application=found, packages=packages, updates=updates, stale=stale,
            plot=_plot(behind), weeks=behind, indexed=bool(service.config.index), export=_export(service),
            findings=findings_of(service, packages), siblings=alike, odd=alike.others_alike(found), shown=SHOWN_HOSTS,
        )  # fmt: skip

    @routes.get("/packages/")
    def packages() -> str:
        text = _query()
        with storage.reading() as connection:
            found = package_queries.list_packages(connection, text=text, limit=5 * A_PAGE)
        return render_template("packages.html", packages=found, text=text)

    @routes.get("/packages/<name>")
    def package(name: str) -> str:
        with storage.reading() as connection:
            found = package_queries.find_package(connection, canonicalize_name(name))
        if found is None:
            raise NotFound("no application has this package")
        return render_template("package.html", package=found, versions=_versions(found))

    @routes.get("/behind")
    def behind() -> str:
        with storage.reading() as connection:
            total = application_queries.count_applications(connection)
            listed = weeks.list_weeks(connection, milliseconds_now())
            late = package_queries.most_behind(package_queries.list_packages(connection), A_PAGE)
        return render_template("behind.html", total=total, weeks=listed, plot=_plot(listed), late=late)

    @routes.get("/search")
    def search() -> str:
        text = _query()
        with storage.reading() as connection:
            found = application_queries.list_applications(connection, text=text, limit=FOUND) if text else ()
            packages = package_queries.list_packages(connection, text=text, limit=FOUND) if text else ()
        return render_template("search.html", text=text, applications=found, packages=packages, most=FOUND)

    @routes.get("/feed.atom")
    def feed() -> Response:
        with storage.reading() as connection:
            updates = application_queries.history(connection)
        return Response(render_template("feed.xml", updates=updates), mimetype="application/atom+xml")

    return routes


def furnish(app: Flask) -> None:
    """Give templates their words."""
    environment = app.jinja_env
    environment.trim_blocks = environment.lstrip_blocks = True
    for function in (
        template_filters.iso,
        template_filters.clock,
        template_filters.day_name,
        template_filters.host_of,
        template_filters.xml_text,
        template_filters.shown_bytes,
    ):
        environment.filters[function.__name__] = function
    environment.tests["link"] = template_filters.is_link
    environment.globals["bar"] = charts.bar
    app.context_processor(_moment)


@dataclass(frozen=True, slots=True)
class Export:
    """What pages say of the export that vulnerabilities are known by; `outdated` where it cannot be read any more."""

    age: str
    outdated: bool


def _export(service: Service) -> Export | None:
    known = service.vulnerabilities
    return Export(known.age(datetime.now(timezone.utc)), known.outdated) if known is not None else None


def _moment() -> dict[str, object]:
    now = milliseconds_now()
    return {"now": now, "ago": lambda then: template_filters.ago(then, now)}


def _query() -> str:
    return request.args.get("q", "").replace("\0", "").strip()[:LONGEST_QUERY]


def _sort() -> str:
    wanted = request.args.get("sort", "")
    return wanted if wanted in SORTS else SORTS[0]


def _user_id(text: str) -> int:
    return _bounded(text, 2**63 - 1)


def _page_number(text: str) -> int:
    return _bounded(text, 10**6)


def _bounded(text: str, most: int) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or int(text) > most:
        raise ValueError(text)
    return int(text)


def _plot(found: Sequence[Week]) -> object:
    return charts.line(
        [Point(one.week, one.behind, template_filters.day_name(one.week)) for one in found], "Packages behind"
    )


def _versions(package: Package) -> list[tuple[str, list[User]]]:
    """Which applications run which version, the newest first."""
    found: dict[str, list[User]] = {}
    for user in package.users:
        found.setdefault(user.version, []).append(user)
    return list(found.items())

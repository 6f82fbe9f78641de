"""The pages: applications, packages, what is behind, search, and the feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from flask import Blueprint, Flask, Response, render_template
from packaging.utils import canonicalize_name
from werkzeug.exceptions import NotFound

from envfab.audit.end_of_life import ended_series
from envfab.collector import charts, template_filters
from envfab.collector.charts import Point
from envfab.collector.days import DAY, milliseconds_now
from envfab.collector.db import (
    application_queries,
    finding_queries,
    host_queries,
    package_queries,
    rollout_queries,
    siblings,
)
from envfab.collector.db import behind_weeks as weeks
from envfab.collector.db.application_queries import ApplicationFilter, Counts, InstalledPackage
from envfab.collector.db.behind_weeks import Week
from envfab.collector.db.finding_queries import StoredFinding, StoredVulnerability
from envfab.collector.db.package_queries import Package, User
from envfab.collector.db.registered_virtualenvs import targets_of
from envfab.collector.db.rollout_queries import RolloutFilter
from envfab.collector.service import Service
from envfab.collector.views.export import export_of
from envfab.collector.views.findings import findings_of
from envfab.collector.views.hosts import host_link
from envfab.collector.views.query import choice, query_text, whole_number
from envfab.collector.views.tables import ASCENDING, DESCENDING, Pages, Sorting, here

A_PAGE = 200  # lines
FOUND = 50
SHOWN_HOSTS = 30  # of one digest
SORTS = {
    "name": ASCENDING,
    "behind": DESCENDING,
    "unknown": DESCENDING,
    "vulnerable": DESCENDING,
    "edited": DESCENDING,
    "last_seen": ASCENDING,
}
FILTERS = {
    "behind": "behind",
    "unknown": "not known",
    "vulnerable": "vulnerable",
    "edited": "hand-edited",
    "stale": "stale",
    "ended": "past end of life",
}
PACKAGE_SORTS = {
    "name": ASCENDING,
    "applications": DESCENDING,
    "versions": DESCENDING,
    "behind": DESCENDING,
    "unknown": DESCENDING,
}
BEHIND_SORTS = {"behind": DESCENDING, "name": ASCENDING}
USER_SORTS = {"version": DESCENDING, "name": ASCENDING, "last_seen": ASCENDING}
PACKAGE_FILTERS = {"behind": "behind", "unknown": "not known"}


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
        wanted, sorting = _wanted(stale), Sorting.asked(SORTS)
        with storage.reading() as connection:
            counts = application_queries.count_applications(connection, wanted)
            pages = Pages.asked(counts.applications, A_PAGE)
            found = application_queries.list_applications(
                connection, wanted, sort=sorting.key, reverse=sorting.reverse, limit=A_PAGE, offset=pages.offset
            )
            odd = siblings.others_alike(connection, found)
            targets = targets_of(connection, (one.uuid for one in found))
            last = rollout_queries.list_rollouts(connection, rollout_queries.ALL, milliseconds_now(), limit=1)
        return render_template(
            "applications.html", applications=found, counts=counts, wanted=wanted, sorting=sorting, pages=pages,
            stale=stale, export=export_of(service), odd=odd, last=last,
            filters_of=_filters(counts, service), targets=targets,
        )  # fmt: skip

    @routes.get("/applications/<path:uuid>")
    def application(uuid: str) -> str:
        with storage.reading() as connection:
            found = application_queries.find_application(connection, uuid)
            if found is None:
                raise NotFound("No application has registered with this UUID.")
            packages = application_queries.packages_of(connection, found)
            updates = application_queries.history(connection, found.id)
            behind = weeks.list_weeks(connection, milliseconds_now(), found.id)
            alike = siblings.siblings_of(connection, found)
            since = finding_queries.first_seen_of(connection, found)
            target = targets_of(connection, [found.uuid]).get(found.uuid)
        only = choice("only", PACKAGE_FILTERS)
        chosen = [one for one in packages if _is_shown(one, only)]
        return render_template(
            "application.html", application=found, packages=packages, chosen=chosen, only=only,
            filters_of=PACKAGE_FILTERS, updates=updates, stale=stale,
            plot=_plot(behind), weeks=behind, offers=_offers(service), export=export_of(service),
            findings=findings_of(service, found.uuid, packages), accepting=service.acceptances, siblings=alike,
            odd=alike.others_alike(found), shown=SHOWN_HOSTS, since=since, target=target,
        )  # fmt: skip

    @routes.get("/packages/")
    def packages() -> str:
        text, only, sorting = query_text(), choice("only", PACKAGE_FILTERS), Sorting.asked(PACKAGE_SORTS)
        with storage.reading() as connection:
            lines = package_queries.list_packages(connection, text=text)
        found = package_queries.sort_packages(lines, only, sorting.key, sorting.reverse)
        pages = Pages.asked(len(found), A_PAGE)
        return render_template(
            "packages.html", packages=found[pages.offset : pages.offset + A_PAGE], text=text, only=only,
            sorting=sorting, pages=pages, filters_of=PACKAGE_FILTERS,
        )  # fmt: skip

    @routes.get("/packages/<name>")
    def package(name: str) -> str:
        with storage.reading() as connection:
            found = package_queries.find_package(connection, canonicalize_name(name))
            if found is None:
                raise NotFound("No registered application has this package.")
            known = finding_queries.findings_of_package(connection, found.name)
            sorting = Sorting.asked(USER_SORTS)
            users = package_queries.sort_users(found, sorting.key, sorting.reverse)
            pages = Pages.asked(len(users), A_PAGE)
            users = users[pages.offset : pages.offset + A_PAGE]
            targets = targets_of(connection, (one.application.uuid for one in users))
        return render_template(
            "package.html", package=found, versions=_versions(found), offers=_offers(service), pages=pages,
            users=users, targets=targets, known=_by_version(known), sorting=sorting, export=export_of(service),
        )  # fmt: skip

    @routes.get("/behind")
    def behind() -> str:
        with storage.reading() as connection:
            total = application_queries.count_applications(connection)
            listed = weeks.list_weeks(connection, milliseconds_now())
            lines = package_queries.list_packages(connection)
        sorting = Sorting.asked(BEHIND_SORTS)
        late = package_queries.sort_packages(lines, "behind", sorting.key, sorting.reverse)
        pages = Pages.asked(len(late), A_PAGE)
        return render_template(
            "behind.html", total=total, weeks=listed, plot=_plot(listed), pages=pages, sorting=sorting,
            late=late[pages.offset : pages.offset + A_PAGE],
        )  # fmt: skip

    @routes.get("/search")
    def search() -> str:
        text = query_text()
        with storage.reading() as connection:
            named = ApplicationFilter(text)
            found = application_queries.list_applications(connection, named, limit=FOUND) if text else ()
            targets = targets_of(connection, (one.uuid for one in found))
            packages = package_queries.list_packages(connection, text=text, limit=FOUND) if text else ()
            known = finding_queries.list_vulnerabilities(connection, text=text)[:FOUND] if text else ()
            hosts = host_queries.list_hosts(connection, text)[:FOUND] if text else ()
            now, wanted = milliseconds_now(), RolloutFilter(text)
            told = rollout_queries.list_rollouts(connection, wanted, now, limit=FOUND) if text else ()
        return render_template(
            "search.html",
            text=text,
            applications=found,
            targets=targets,
            packages=packages,
            vulnerabilities=known,
            hosts=hosts,
            rollouts=told,
            most=FOUND,
        )

    @routes.get("/feed.atom")
    def feed() -> Response:
        with storage.reading() as connection:
            updates = application_queries.history(connection)
        return Response(render_template("feed.xml", updates=updates), mimetype="application/atom+xml")

    return routes


def furnish(app: Flask, service: Service) -> None:
    """Give templates their words."""
    environment = app.jinja_env
    environment.trim_blocks = environment.lstrip_blocks = True
    for function in (
        template_filters.iso,
        template_filters.clock,
        template_filters.time_of_day,
        template_filters.day_name,
        template_filters.end_of_life_of,
        template_filters.breakable,
        template_filters.whole_days,
        template_filters.host_of,
        template_filters.xml_text,
        template_filters.shown_bytes,
    ):
        environment.filters[function.__name__] = function
    environment.tests["link"] = template_filters.is_link
    environment.tests["version"] = environment.filters["is_version"] = template_filters.is_version
    environment.globals["here"] = here
    environment.globals["host_link"] = host_link
    environment.globals["bar"] = charts.bar
    app.context_processor(_moment)
    environment.globals["wants_token"] = bool(service.config.tokens)
    app.context_processor(lambda: {"has_export": service.vulnerabilities is not None})


@dataclass(frozen=True, slots=True)
class Offers:
    """Where newer versions are looked for: in a wheelhouse, which can be read or not, and in an index."""

    wheelhouse: bool
    readable: bool
    index: bool


def _offers(service: Service) -> Offers:
    there = service.wheelhouse
    return Offers(there is not None, there is not None and there.is_readable(), bool(service.config.index))


def _moment() -> dict[str, object]:
    now = milliseconds_now()
    return {"now": now, "ago": lambda then: template_filters.ago(then, now)}


def _is_shown(one: InstalledPackage, only: str) -> bool:
    return not only or (bool(one.newer) if only == "behind" else not one.compared)


def _filters(counts: Counts, service: Service) -> Mapping[str, str]:
    """The filters of applications, without those by what is not known here."""
    known = {"vulnerable": service.vulnerabilities is not None, "edited": counts.compared > 0}
    return {key: name for key, name in FILTERS.items() if known.get(key, True)}


def _wanted(stale: int) -> ApplicationFilter:
    """The applications that the query asks for; `stale` is the time in milliseconds after which one is."""
    ended = ended_series(datetime.now(timezone.utc).date())
    return ApplicationFilter(
        query_text(),
        whole_number("user_id", 2**63 - 1),
        choice("only", FILTERS),
        milliseconds_now() - stale,
        tuple(ended),
    )


def _plot(found: Sequence[Week]) -> object:
    behind = [Point(one.week, one.behind, template_filters.day_name(one.week)) for one in found]
    unknown = [Point(one.week, one.unknown, "") for one in found if one.unknown is not None]
    return charts.line(behind, "Packages behind", charts.Beside("not known", unknown))


def _by_version(found: Sequence[StoredFinding]) -> dict[str, list[StoredVulnerability]]:
    """The vulnerabilities of each version that is installed, the worst first."""
    known: dict[str, dict[int, StoredVulnerability]] = {}
    for one in found:
        known.setdefault(one.version or "", {})[one.vulnerability.id] = one.vulnerability
    return {version: list(each.values()) for version, each in known.items()}


def _versions(package: Package) -> list[tuple[str, list[User]]]:
    """Which applications run which version, the newest first."""
    found: dict[str, list[User]] = {}
    for user in package.users:
        found.setdefault(user.version, []).append(user)
    return list(found.items())

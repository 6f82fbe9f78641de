"""The pages of usage reports, and their export."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import NotFound

from envfab.collector import charts, template_filters
from envfab.collector.charts import Point
from envfab.collector.days import DAY, day_of, milliseconds_now
from envfab.collector.db import usage_queries
from envfab.collector.db.engine import Storage
from envfab.collector.db.usage_queries import Period, ReportLine
from envfab.collector.report_store import ReportFolder, is_program
from envfab.collector.service import Service
from envfab.collector.value_labels import label
from envfab.collector.views.query import choice
from envfab.usagestats import installation
from envfab.usagestats.report import format_time
from envfab.usagestats.weekly_totals import PREFIX

CHARTS = {
    "version": "Program version",
    "system": "Operating system",
    "distribution": "Distribution",
    "python": "Python",
}
PERIODS = {30: "30 days", 90: "90 days", 182: "half a year", 365: "a year", 3650: "ten years"}
USUAL_PERIOD = 182
SHOWN = 10  # lines of a chart
LATEST = 20
VALUES = 200
AT_ONCE = 1000  # reports that an export reads
WEEKLY_FROM = 90  # days from which on a column is a week
FORMULAS = "=+-@＝＋－＠"  # noqa: RUF001 - spreadsheets of some countries take the wide ones, too
FIXED = ("submitted", "program", "date", "user")


def endpoints(service: Service) -> Blueprint:
    """The pages of usage reports."""
    routes = Blueprint("usage", __name__)
    storage = service.storage

    @routes.get("/usage")
    def usage() -> str:
        days = _days()
        period = _period(days)
        with storage.reading() as connection:
            programs = usage_queries.list_programs(connection)
            by_day = usage_queries.by_day(connection, period)
            values = usage_queries.values_of(connection, period, [*CHARTS, installation.KEY])
            keys = usage_queries.list_keys(connection, period)
            counters = usage_queries.list_counters(connection, period)
            users = usage_queries.count_users(connection, period.program, period.since * DAY)
            latest = usage_queries.list_reports(connection, period.program, limit=LATEST)
        points = over_time(by_day, period.since, day_of(milliseconds_now()))
        return render_template(
            "usage.html", programs=programs, program=period.program, days=days, periods=PERIODS,
            total=sum(by_day.values()), points=points, plot=charts.columns(points, "Reports"),
            charts=[(CHARTS[key], key, grouped(key, values[key])) for key in CHARTS if values[key]],
            keys=keys, counters=counters, latest=latest, users=users,
            weeks=usage_queries.installation_weeks(values[installation.KEY]), ages=installation.CLASSES,
        )  # fmt: skip

    @routes.get("/usage/key")
    def key() -> str:
        name, days = request.args.get("name", ""), _days()
        period = _period(days)
        with storage.reading() as connection:
            values = usage_queries.values_of(connection, period, [name], VALUES)[name] if name else Counter[str]()
        if not values:
            raise NotFound("No report of this period has this key: choose a longer period, or another key.")
        return render_template(
            "key.html", key=name, values=values.most_common(), program=period.program, days=days, most=VALUES
        )

    @routes.get("/usage/reports/<int:number>")
    def report(number: int) -> str:
        line, body, address = _read(service, number)
        return render_template("report.html", report=line, body=body, address=address)

    @routes.get("/usage/reports/<int:number>.txt")
    def raw(number: int) -> Response:
        line, body, _ = _read(service, number)
        headers = {"Content-Disposition": f'attachment; filename="{line.file}"'}
        return Response(body, headers=headers, mimetype="application/octet-stream")

    @routes.get("/usage.csv")
    def export() -> Response:
        period = _period(_days())
        with storage.reading() as connection:
            keys = [key.key for key in usage_queries.list_keys(connection, period, 1)]
            keys += [f"{PREFIX}{counter.name}" for counter in usage_queries.list_counters(connection, period)]
        headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
        lines = csv_lines(service.folder, keys, every_report(storage, period))
        return Response(lines, headers=headers, mimetype="text/csv")

    return routes


def every_report(storage: Storage, period: Period) -> Iterator[ReportLine]:
    """The reports of a period, newest first, read in parts: a million of them would fill the memory."""
    last: ReportLine | None = None
    while True:
        with storage.reading() as connection:
            lines = usage_queries.list_reports(
                connection, period.program, since=period.since * DAY, before=last, limit=AT_ONCE
            )
        yield from lines
        if len(lines) < AT_ONCE:
            return
        last = lines[-1]


def over_time(by_day: dict[int, int], since: int, today: int) -> list[Point]:
    """A point a day, or a week where there are many days, from the first report on."""
    if not by_day:
        return []
    first = max(since, min(by_day))
    step = 7 if today - first >= WEEKLY_FROM else 1
    sums: Counter[int] = Counter()
    for day, number in by_day.items():
        sums[first + (day - first) // step * step] += number
    return [
        Point(day, sums[day], template_filters.day_name(day)) for day in range(first, max(today, max(by_day)) + 1, step)
    ]


def grouped(key: str, values: Counter[str]) -> list[tuple[str, int]]:
    """The lines of a chart: the most common labels, and all others in one."""
    sums: Counter[str] = Counter()
    for value, number in values.items():
        sums[label(key, value)] += number
    found = sums.most_common(SHOWN)
    others = sums.total() - sum(number for _, number in found)
    return [*found, ("others", others)] if others else found


def csv_lines(folder: ReportFolder, keys: Sequence[str], lines: Iterable[ReportLine]) -> Iterator[str]:
    """A report a line, a key a column; values of a key that is there twice are one below the other in their cell."""
    yield _csv_line([*FIXED, *keys])
    for line in lines:
        try:
            report = folder.read(line.program, line.file).parsed()
        except (OSError, ValueError):
            continue  # deleted since
        found: dict[str, list[str]] = {}
        for key, value in report.entries:
            found.setdefault(key, []).append(value)
        fixed = [template_filters.iso(line.at), line.program, format_time(report.date), report.user or ""]
        yield _csv_line([*fixed, *("\n".join(found.get(key, ())) for key in keys)])


def _csv_line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_harmless(cell) for cell in cells])
    return buffer.getvalue()


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, as OWASP lists their beginnings; numbers stay numbers."""
    begins = cell.lstrip()[:1]
    if begins and begins in FORMULAS and not cell[1:].replace(".", "", 1).isdecimal():
        return f"'{cell}"
    return f"'{cell}" if cell[:1] in ("\t", "\r", "\n") else cell


def _days() -> int:
    return int(choice("days", [*map(str, PERIODS)]) or USUAL_PERIOD)


def _period(days: int) -> Period:
    program = request.args.get("program")
    if program and not is_program(program):
        raise NotFound("A program's name must be of letters, digits, dots, underscores and hyphens, at most 64.")
    return Period(program, day_of(milliseconds_now()) - days)


def _read(service: Service, number: int) -> tuple[ReportLine, bytes, str]:
    with service.storage.reading() as connection:
        line = usage_queries.find_report(connection, number) if number < 2**63 else None
    if line is None:
        raise NotFound("This collector has no report of this number: it never came, or was deleted.")
    try:
        stored = service.folder.read(line.program, line.file)
    except (OSError, ValueError):
        raise NotFound("The file of this report was deleted, or cannot be read.") from None
    return line, stored.body, stored.address

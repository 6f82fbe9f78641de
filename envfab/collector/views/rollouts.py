"""The pages of rollouts: the timeline, and one a rollout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from flask import Blueprint, render_template, request, url_for
from werkzeug.exceptions import NotFound

from envfab.collector.days import DAY, day_of, milliseconds_now
from envfab.collector.db import rollout_queries
from envfab.collector.db.rollout_queries import SILENT, RolloutFilter, ToldRollout
from envfab.collector.service import Service
from envfab.collector.views.dates import day_asked
from envfab.collector.views.query import LONGEST_QUERY, choice, query_text
from envfab.collector.views.tables import Pages
from envfab.models.rollout_document import ENDED, FAILED, GIVEN_UP, STATUSES, UNDER_WAY

A_PAGE = 50
VIRTUALENVS = 100  # a page
CHANGES = 200  # of a rollout
STATES = (UNDER_WAY, SILENT, ENDED, FAILED, GIVEN_UP)
FIELDS = ("task", "who", "host", "package")
# what is not called as documents call it
WORDS = {"rolled-back": "failed (as it was before)", "begun": "being deployed", "not known": "not known how it ended"}
BAD = frozenset({"failed", "rolled-back", "blocked", "locked", "unreachable", "missing"})


def endpoints(service: Service) -> Blueprint:
    """The pages below `/rollouts`."""
    routes = Blueprint("rollouts", __name__)
    storage = service.storage

    @routes.get("/rollouts")
    def rollouts() -> str:
        wanted, now = asked(), milliseconds_now()
        with storage.reading() as connection:
            pages = Pages.asked(rollout_queries.count_rollouts(connection, wanted, now), A_PAGE)
            found = rollout_queries.list_rollouts(connection, wanted, now, limit=A_PAGE, offset=pages.offset)
            tasks = rollout_queries.list_tasks(connection)
        return render_template(
            "rollouts.html", days=_by_day(found), pages=pages, wanted=wanted, states=STATES, tasks=tasks,
            narrowed=wanted != rollout_queries.ALL, spoken=spoken, bad=BAD,
        )  # fmt: skip

    @routes.get("/rollouts/<rollout>")
    def rollout(rollout: str) -> str:
        text, only = query_text(), choice("only", STATUSES)
        with storage.reading() as connection:
            it = rollout_queries.find_rollout(connection, rollout)
            if it is None:
                raise NotFound("This collector was told of no rollout with this id.")
            pages = Pages.asked(rollout_queries.count_members(connection, it.id, status=only, text=text), VIRTUALENVS)
            members = rollout_queries.members_of(
                connection, it.id, status=only, text=text, limit=VIRTUALENVS, offset=pages.offset
            )
            changes = rollout_queries.changes_of(connection, it.id, CHANGES)
            many = rollout_queries.count_changes(connection, it.id)
        return render_template(
            "rollout.html", it=it, members=members, changes=changes, many=many, pages=pages, text=text, only=only,
            filters_of=_statuses(it), spoken=spoken, bad=BAD,
        )  # fmt: skip

    return routes


def asked() -> RolloutFilter:
    """The rollouts that the query asks for; raises `WrongDay`."""
    link = url_for("rollouts.rollouts"), "Show all rollouts"
    first, last = day_asked("from", link), day_asked("to", link)
    fields = {name: request.args.get(name, "").strip()[:LONGEST_QUERY] for name in FIELDS}
    return RolloutFilter(
        query_text(),
        choice("state", STATES),
        since=first * DAY if first is not None else None,
        until=(last + 1) * DAY if last is not None else None,
        **fields,
    )


def spoken(status: str, task: str) -> str:
    """A status in words; what a rollback deployed was rolled back."""
    return "rolled back" if status == "deployed" and task == "rollback" else WORDS.get(status, status)


def _statuses(it: ToldRollout) -> Mapping[str, str]:
    return {status: f"{spoken(status, it.task)} ({many})" for status, many in it.statuses.items()}


def _by_day(found: Sequence[ToldRollout]) -> list[tuple[int, list[ToldRollout]]]:
    return [(day, list(those)) for day, those in groupby(found, key=lambda one: day_of(one.began))]

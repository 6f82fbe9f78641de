"""How long registrations are kept."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Table, func, insert, select, update

from envfab.collector.days import DAY, milliseconds_now
from envfab.collector.db import applications as storing
from envfab.collector.db import behind_weeks as weeks
from envfab.collector.db import retention
from envfab.collector.db import rollouts as storing_rollouts
from envfab.collector.db.engine import Storage
from envfab.collector.db.schema import (
    applications,
    behind_weeks,
    findings,
    index_projects,
    metadata,
    package_sets,
    rollouts,
    updates,
    vulnerabilities,
)
from envfab.collector.service import Service
from envfab.registration.difio.protocol import parse_registration
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import ROLLOUT, form, put_rollout, register, registration_fields, rollout, virtualenv

KEPT = 30
OLD = (KEPT + 1) * DAY


def age(storage: Storage, *uuids: str) -> None:
    """Make applications, and their history, as old as something that is no longer kept."""
    with storage.writing() as connection:
        concerned = select(applications.c.id).where(applications.c.uuid.in_(uuids))
        connection.execute(update(updates).where(updates.c.application_id.in_(concerned)).values(at=updates.c.at - OLD))
        older = {"first_seen": applications.c.first_seen - OLD, "last_seen": applications.c.last_seen - OLD}
        connection.execute(update(applications).where(applications.c.uuid.in_(uuids)).values(older))


def rows(storage: Storage, origin: Table = applications) -> dict[str, int]:
    """How many rows the tables have that refer to applications, or to another one, also by way of others."""
    tables = [origin]
    for table in metadata.sorted_tables:  # those that others refer to come first
        if any(key.column.table in tables for key in table.foreign_keys):
            tables.append(table)
    with storage.reading() as connection:
        return {one.name: connection.execute(select(func.count()).select_from(one)).scalar_one() for one in tables}


@pytest.fixture
def service(make_app: MakeApp, database: str) -> Service:
    """A collector that keeps registrations for a while, with one application that has rows in every table."""
    app = make_app(database=database, keep_registrations_days=KEPT)
    client = app.test_client()
    register(client, "old", [("Django", "5.0"), ("gone", "1.0")])
    register(client, "old", [("Django", "5.1"), ("gone", "1.0")])
    found = service_of(app)
    with found.storage.writing() as connection:
        weeks.note(connection, milliseconds_now())
        for name in ("django", "gone"):
            connection.execute(insert(index_projects).values(name=name, due_at=2**62, offers="[]"))
        told = {"name": "CVE-1", "first_seen": 1, "severity": "high", "rank": 3, "summary": ""}
        connection.execute(insert(vulnerabilities).values(id=1, **told))
        number = connection.execute(select(applications.c.id)).scalar_one()
        found_there = {"package": "gone", "version": "1.0", "fixed": "[]", "first_seen": 1}
        connection.execute(insert(findings).values(vulnerability_id=1, application_id=number, **found_there))
    return found


def test_what_does_not_register_any_more_is_deleted(service: Service) -> None:
    """An application that was not seen for so long goes, with every row that refers to it."""
    assert min(rows(service.storage).values()) > 0, "a new table: delete its rows in db/retention, and make one here"
    age(service.storage, "old")
    service.tidy()
    assert set(rows(service.storage).values()) == {0}


def test_what_registered_since_is_kept(service: Service) -> None:
    """An application that registered within the time keeps its packages and its latest history."""
    before = rows(service.storage)
    service.tidy()
    assert rows(service.storage) == before


def test_what_an_index_said_goes_with_the_last_use(make_app: MakeApp, database: str, service: Service) -> None:
    """Names of packages that are not installed anywhere any more are forgotten."""
    register(make_app(database=database).test_client(), "new", [("Django", "5.1")])
    age(service.storage, "old")
    service.tidy()
    with service.storage.reading() as connection:
        assert connection.execute(select(index_projects.c.name)).scalars().all() == ["django"]


def test_old_history_is_deleted_but_for_the_latest_entry(make_app: MakeApp, database: str, service: Service) -> None:
    """So what registers again without a change is not taken for new, and its next change is told as one."""
    age(service.storage, "old")
    client = make_app(database=database).test_client()
    register(client, "old", [("Django", "5.1"), ("gone", "1.0")])
    with service.storage.writing() as connection:
        connection.execute(update(behind_weeks).values(week=behind_weeks.c.week - KEPT - 14))
    service.tidy()
    assert rows(service.storage) | {"behind_weeks": 0} == {
        "applications": 1, "installed": 2, "updates": 1, "changes": 1, "behind_weeks": 0, "findings": 1,
    }  # fmt: skip
    register(client, "old", [("Django", "5.2"), ("gone", "1.0")])
    with service.storage.reading() as connection:
        assert connection.execute(select(updates.c.first).order_by(updates.c.id)).scalars().all() == [False, False]


def test_findings_that_ended_long_ago_are_history(service: Service) -> None:
    """Those that ended within the time, or last, stay."""
    now = milliseconds_now()
    with service.storage.writing() as connection:
        (last,) = connection.execute(select(findings)).mappings().all()
        for number, ended in enumerate((now - OLD, now - DAY)):
            connection.execute(insert(findings).values(dict(last) | {"id": 10 + number, "ended_at": ended}))
    service.tidy()
    with service.storage.reading() as connection:
        assert sorted(connection.execute(select(findings.c.id)).scalars()) == [last["id"], 11]


def test_a_registration_under_way_wins(service: Service) -> None:
    """Deletion waits for a registration that is being written, and then leaves the application alone."""
    age(service.storage, "old")
    deleted: list[retention.Deleted] = []
    deletion = threading.Thread(
        target=lambda: deleted.append(retention.delete_before(service.storage, milliseconds_now(), KEPT))
    )
    registration = parse_registration(form(registration_fields("old", [("Django", "5.2")])))
    with service.storage.writing() as connection:
        storing.store(connection, registration, milliseconds_now())
        deletion.start()
        deletion.join(0.3)
        assert deletion.is_alive()
    deletion.join(20)
    assert [one.applications for one in deleted] == [0]
    assert rows(service.storage)["applications"] == 1


def test_many_are_deleted_in_small_transactions(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, all go, and others can write in between."""
    monkeypatch.setattr(retention, "APPLICATIONS_AT_ONCE", 2)
    with service.storage.writing() as connection:
        for number in range(5):
            fields = registration_fields(f"u{number}", [("Django", "5.2")])
            storing.store(connection, parse_registration(form(fields)), milliseconds_now() - OLD)
    assert retention.delete_before(service.storage, milliseconds_now(), KEPT).applications == 5
    assert rows(service.storage)["applications"] == 1


NEWER = "20261121-000000-0000"
HOSTS = ("web1", "web2")


@pytest.fixture
def told(make_app: MakeApp, database: str) -> Service:
    """A collector that was told of two rollouts, of which the older one has web1 and web2, the newer one web1."""
    app = make_app(database=database, keep_registrations_days=KEPT)
    client = app.test_client()
    put_rollout(client, rollout(*(virtualenv(host, packages=((host, "1"),)) for host in HOSTS)))
    put_rollout(client, rollout(virtualenv("web1", packages=(("new", "1"),)), rollout=NEWER))
    return service_of(app)


def age_rollouts(storage: Storage, *names: str) -> None:
    """Make rollouts as old as something that is no longer kept."""
    with storage.writing() as connection:
        older = {"began": rollouts.c.began - OLD, "heard_at": rollouts.c.heard_at - OLD}
        connection.execute(update(rollouts).where(rollouts.c.rollout.in_(names)).values(older))


def test_old_rollouts_are_deleted(told: Service) -> None:
    """With every row that refers to them, and with what no virtualenv has any more."""
    assert min(rows(told.storage, rollouts).values()) > 0, "a new table: delete its rows in db/retention"
    age_rollouts(told.storage, ROLLOUT, NEWER)
    told.tidy()
    assert set(rows(told.storage, rollouts).values()) | set(rows(told.storage, package_sets).values()) == {0}


def test_a_virtualenv_goes_with_the_last_rollout_that_told_of_it(told: Service) -> None:
    """One that a newer rollout told of stays as it is."""
    age_rollouts(told.storage, ROLLOUT)
    told.tidy()
    assert rows(told.storage, rollouts) == {
        "rollouts": 1, "change_sets": 1, "rollout_changes": 1, "virtualenvs": 1, "rollout_virtualenvs": 1,
    }  # fmt: skip
    assert rows(told.storage, package_sets)["package_sets"] == 1


def test_a_virtualenv_stays_while_a_rollout_tells_of_it(told: Service) -> None:
    """Also where its latest rollout is deleted before an earlier one, as one with a wrong clock can be."""
    age_rollouts(told.storage, NEWER)
    told.tidy()
    found = rows(told.storage, rollouts)
    assert (found["rollouts"], found["virtualenvs"], found["rollout_virtualenvs"]) == (1, 2, 2)


def test_rollouts_within_the_time_are_kept(told: Service) -> None:
    """Nothing of them is deleted."""
    before = rows(told.storage, rollouts)
    told.tidy()
    assert rows(told.storage, rollouts) == before


def test_a_rollout_that_is_heard_of_is_kept(told: Service) -> None:
    """However long ago it says that it began: its clock may be wrong."""
    with told.storage.writing() as connection:
        connection.execute(update(rollouts).values(began=rollouts.c.began - OLD))
    told.tidy()
    assert rows(told.storage, rollouts)["rollouts"] == 2


def test_many_rollouts_are_deleted_in_small_transactions(told: Service) -> None:
    """However many there are, all go."""
    with told.storage.writing() as connection:
        for number in range(2 * retention.ROLLOUTS_AT_ONCE + 1):
            document = rollout(
                virtualenv(f"web{number}"), rollout=f"20250101-000000-{number:04x}", began="2025-01-01T00:00:00+00:00"
            )
            storing_rollouts.store(connection, document, milliseconds_now() - OLD)
    deleted = retention.delete_before(told.storage, milliseconds_now(), KEPT)
    assert deleted.rollouts == 2 * retention.ROLLOUTS_AT_ONCE + 1


def test_a_rollout_of_a_clock_that_was_ahead_is_not_kept_for_ever(told: Service) -> None:
    """It goes once it was not heard of for so long."""
    age_rollouts(told.storage, ROLLOUT, NEWER)
    with told.storage.writing() as connection:
        connection.execute(update(rollouts).values(began=rollouts.c.began + 3 * OLD))
    told.tidy()
    assert rows(told.storage, rollouts)["rollouts"] == 0

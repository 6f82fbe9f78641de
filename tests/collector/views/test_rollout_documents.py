"""`PUT /rollouts/ID`: what is stored, what is ignored, and what is refused in one line."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from envfab.collector.db.schema import change_sets, package_sets, rollout_changes, rollout_virtualenvs, virtualenvs
from envfab.models.rollout_document import MAX_BODY, DriftFound, PackageChange
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import ROLLOUT, put_rollout, rollout, virtualenv

TOKENS = ("read:only reading", "write:only writing", "both of them")
PATH = f"/rollouts/{ROLLOUT}"
JSON = "application/json"


@pytest.fixture
def each(make_app: MakeApp, database: str) -> Flask:
    """An application on each database."""
    return make_app(database=database)


def stored(client: FlaskClient) -> dict[str, Any]:
    """What is told of the rollout."""
    found: dict[str, Any] = client.get(f"/api{PATH}").get_json()
    return found


def rows(app: Flask, table: Any) -> int:
    """How many rows a table has."""
    with service_of(app).storage.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_a_document_is_told_as_it_came(each: Flask) -> None:
    """All that a rollout says of itself is in the JSON about it."""
    client = each.test_client()
    said = rollout(
        virtualenv(drift=DriftFound(1, 2, "2026-11-19T10:00:00+00:00"), migrated=("shop.0002",), seconds=1.5),
        virtualenv("web2", "failed", message="no answer"),
        slice="1/2", log="/home/anna/logs", approved_by=("bert",), out_of_service=("web2",),
    )  # fmt: skip
    answer = put_rollout(client, said)
    assert (answer.status_code, answer.text) == (200, "stored\n")
    found, sent = stored(client), said.to_json()
    assert {name: found[name] for name in sent if name not in ("format", "virtualenvs", "package_sets")} == {
        name: value for name, value in sent.items() if name not in ("format", "virtualenvs", "package_sets")
    }
    for one, other in zip(found["virtualenvs"], sent["virtualenvs"], strict=True):
        assert one == {name: value for name, value in other.items() if name != "packages"}


@pytest.mark.parametrize(
    ("first", "second", "answer", "state", "number"),
    [
        (("under way", 1), ("ended", 2), "stored\n", "ended", 2),
        (("under way", 2), ("failed", 1), "ignored: a newer document is known\n", "under way", 2),
        (("failed", 2), ("under way", 3), "ignored: a newer document is known\n", "failed", 2),
        (("given up", 2), ("ended", 3), "stored\n", "ended", 3),
        (("under way", 2), ("ended", 2), "known already\n", "under way", 2),
    ],
)
def test_which_document_is_kept(
    client: FlaskClient, first: tuple[str, int], second: tuple[str, int], answer: str, state: str, number: int
) -> None:
    """The one of the higher number, but never one that is under way in place of a final one."""
    put_rollout(client, rollout(state=first[0], number=first[1]))
    told = put_rollout(client, rollout(state=second[0], number=second[1]))
    assert (told.status_code, told.text) == (200, answer)
    found = stored(client)
    assert (found["state"], found["number"]) == (state, number)


def test_a_document_replaces_all_that_is_known(each: Flask) -> None:
    """Changes, virtualenvs and packages of the earlier one are gone."""
    client = each.test_client()
    first = [virtualenv(f"web{number}", packages=(("lib", str(number)),)) for number in range(3)]
    put_rollout(client, rollout(*first, state="under way", number=1))
    second = [virtualenv(f"web{number}", "current", changes=(), packages=(("lib", "9"),)) for number in range(3)]
    put_rollout(client, rollout(*second))
    tables = (change_sets, rollout_changes, rollout_virtualenvs, package_sets, virtualenvs)
    assert [rows(each, table) for table in tables] == [0, 0, 3, 1, 3]


def test_what_virtualenvs_have_in_common_is_stored_once(each: Flask) -> None:
    """However many virtualenvs share 5,000 changes and packages."""
    changes = tuple(PackageChange("install", f"lib-{number}", None, "1.0") for number in range(5_000))
    packages = tuple((f"lib-{number}", "1.0") for number in range(5_000))
    many = [virtualenv(f"web{number}", changes=changes, packages=packages) for number in range(300)]
    assert put_rollout(each.test_client(), rollout(*many)).status_code == 200
    tables = (change_sets, rollout_changes, rollout_virtualenvs, package_sets)
    assert [rows(each, table) for table in tables] == [1, 5_000, 300, 1]


def knowledge(client: FlaskClient) -> tuple[Any, Any]:
    """What is known of web1 now: its packages, by number of set, and its digest."""
    told = client.get("/api/hosts/web1").get_json()
    (one,) = told["virtualenvs"]
    return (None if one["packages"] is None else told["package_sets"][one["packages"]]), one["digest"]


@pytest.mark.parametrize("status", ["unreachable", "skipped", "rolled-back", "planned"])
def test_what_was_known_stays_where_nothing_was_changed(client: FlaskClient, status: str) -> None:
    """A rollout that could not look leaves what an earlier one told."""
    put_rollout(client, rollout())
    later = virtualenv("web1", status, packages=None, digest=None)
    put_rollout(client, rollout(later, rollout="20261120-215900-0000"))
    assert knowledge(client) == ({"Django": "5.2", "asgiref": "3.8.1"}, "ab" * 32)


@pytest.mark.parametrize("status", ["begun", "failed", "not known", "missing", "deployed"])
def test_what_was_known_goes_where_something_may_have_changed(client: FlaskClient, status: str) -> None:
    """It is not known any more, and not told as if it were."""
    put_rollout(client, rollout())
    later = virtualenv("web1", status, packages=None, digest=None)
    put_rollout(client, rollout(later, rollout="20261120-215900-0000"))
    assert knowledge(client) == (None, None)


def test_a_rollout_that_is_told_late_changes_nothing_newer(client: FlaskClient) -> None:
    """What began earlier is in the timeline, and does not say what a virtualenv has now."""
    put_rollout(client, rollout())
    old = virtualenv(packages=(("Django", "4.2"),), digest="cd" * 32)
    earlier = rollout(old, rollout="20250101-000000-0000", began="2025-01-01T00:00:00+00:00")
    assert put_rollout(client, earlier).text == "stored\n"
    assert knowledge(client) == ({"Django": "5.2", "asgiref": "3.8.1"}, "ab" * 32)


def spoilt(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A document with something wrong in it."""
    said = rollout(virtualenv(drift=DriftFound(1, 1, None))).to_json()
    change(said)
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "the body must be JSON: Expecting property name"),
        (b"[]", "the document must be an object, not a list"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format": NaN}', "it has NaN, which is not JSON"),
        (b"\xff", "utf-8"),
        (spoilt(lambda one: one.pop("who")), "'who' is missing"),
        (spoilt(lambda one: one.update(number=2**63)), "'number' must be at most"),
        (spoilt(lambda one: one.update(number="1")), "'number' must be a whole number"),
        (spoilt(lambda one: one.update(began="0001-01-01T00:00:00+00:00")), "'began' must be a time with its offset, from 1970"),
        (spoilt(lambda one: one.update(ended="9999-12-31T23:00:00-14:00")), "'ended' must be a time with its offset, from 1970"),
        (spoilt(lambda one: one.update(rollout="20261120-214900-0000")), "the address must end with the 'rollout'"),
        (spoilt(lambda one: one["virtualenvs"].append(one["virtualenvs"][0])), "2 entries of 'virtualenvs' are"),
        (spoilt(lambda one: one["virtualenvs"][0].update(host="")), "'host' is empty"),
        (spoilt(lambda one: one["virtualenvs"][0].update(host="é" * 400)), "'host' has 800 bytes, and may have 600"),
        (spoilt(lambda one: one["change_sets"][0][0].update(name="é" * 400)), "'name' has 800 bytes"),
        (spoilt(lambda one: one["virtualenvs"][0]["drift"].update(since="1969-01-01T00:00:00Z")), "'since' must be a time"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_in_one_line(client: FlaskClient, body: bytes, reason: str) -> None:
    """With the reason, and nothing is stored."""
    answer = client.put(PATH, data=body, content_type=JSON)
    assert answer.status_code == 400
    assert reason in answer.text
    assert answer.text.count("\n") == 1
    assert client.get("/api/rollouts").get_json() == []


def test_a_document_that_is_too_large_is_refused_by_its_length(client: FlaskClient) -> None:
    """Before it is read."""
    answer = client.put(PATH, data=b"x", content_type=JSON, environ_overrides={"CONTENT_LENGTH": str(MAX_BODY + 1)})
    assert (answer.status_code, answer.text) == (413, f"more than {MAX_BODY} bytes\n")


def test_another_kind_of_content_is_refused(client: FlaskClient) -> None:
    """A form cannot be a document."""
    answer = client.put(PATH, data=b"a=b", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("token", "status"),
    [(None, 401), ("wrong", 401), ("only reading", 403), ("only writing", 200), ("both of them", 200)],
)
def test_a_token_for_writing_is_needed(make_app: MakeApp, token: str | None, status: int) -> None:
    """As for registrations."""
    client = make_app(tokens=TOKENS).test_client()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    assert put_rollout(client, rollout(), headers=headers).status_code == status


def test_other_sites_are_refused(client: FlaskClient) -> None:
    """A page elsewhere cannot send one through a visitor's browser."""
    answer = put_rollout(client, rollout(), headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.text) == (403, "forms of other sites are refused\n")


def test_documents_that_come_at_once(each: Flask) -> None:
    """The newest is kept whole, whatever their order, and those of other rollouts on the same virtualenvs are, too."""
    hosts = [f"web{number}" for number in range(20)]
    documents = [
        rollout(*(virtualenv(host) for host in (hosts if name % 2 else reversed(hosts))), number=number,
                state="under way", rollout=f"20261120-214900-000{name}")
        for number in range(1, 4) for name in range(3)
    ]  # fmt: skip
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda one=one: answers.append(put_rollout(each.test_client(), one).status_code))
        for one in documents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 9
    found = each.test_client().get("/api/rollouts").get_json()
    assert [(one["number"], one["statuses"]) for one in found] == [(3, {"deployed": 20})] * 3
    assert rows(each, rollout_virtualenvs) == 60
    assert rows(each, virtualenvs) == 20


def test_a_repetition_says_that_it_is_still_heard_of(each: Flask) -> None:
    """The same number again changes nothing but when the rollout was heard of."""
    client = each.test_client()
    said = rollout(state="under way", number=1)
    put_rollout(client, said)
    before = stored(client)
    put_rollout(client, replace(said, who="another"))
    after = stored(client)
    assert after["who"] == "anna"
    assert {**after, "heard_at": 0} == {**before, "heard_at": 0}


def test_a_clock_that_is_ahead_makes_nothing_look_older(each: Flask) -> None:
    """A rollout that says it began in years is followed by the next one, which tells what the host has."""
    client, future = each.test_client(), "20990101-000000-9f3a"
    put_rollout(
        client, rollout(virtualenv(packages=(("early", "1"),)), rollout=future, began="2099-01-01T00:00:00+00:00")
    )
    time.sleep(0.002)  # times are kept in milliseconds
    began = datetime.now(timezone.utc).isoformat()
    put_rollout(client, rollout(virtualenv(packages=(("late", "1"),)), began=began))
    assert list(client.get("/api/hosts/web1").get_json()["package_sets"].values()) == [{"late": "1"}]

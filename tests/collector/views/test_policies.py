"""`policy.json`: what programs may report."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from envfab.collector.db.engine import CollectorError
from tests.collector.conftest import MakeApp, service_of


def place(app: Flask, folder: str, **more: Any) -> bytes:
    """Put a policy into the folder of a program."""
    told = {"format": 1, "program": folder, "date": "2026-11-01", "keys": {"version": {"shape": "version"}}} | more
    path = service_of(app).folder.policy_path(folder)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told))
    return path.read_bytes()


@pytest.mark.parametrize(("program", "address"), [("", "/policy.json"), ("prog", "/reports/prog/policy.json")])
def test_it_is_served_without_a_token(make_app: MakeApp, program: str, address: str) -> None:
    """A program gets the file that the operator put beside its reports, as JSON."""
    app = make_app(tokens=("12345678",))
    assert app.test_client().get(address).status_code == 404
    text = place(app, program)
    answer = app.test_client().get(address)
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "application/json", text)


def test_it_is_not_a_report(make_app: MakeApp) -> None:
    """The work in the background leaves the file alone."""
    app = make_app(keep_days=1)
    place(app, "prog")
    service_of(app).tidy()
    assert list(service_of(app).folder.files()) == []
    assert app.test_client().get("/reports/prog/policy.json").status_code == 200


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"format": 2}, "the policy has format 2; this program reads format 1"),
     ({"date": "2999-01-01"}, "the policy has a date in the future, 2999-01-01"),
     ({"keys": {"a": {"shape": "regex"}}}, "the policy has the key 'a', which must have one of the shapes"),
     ({"program": "other"}, "the policy must be of the program 'prog', not 'other'")],
)  # fmt: skip
def test_one_that_clients_could_not_use(make_app: MakeApp, wrong: dict[str, Any], why: str) -> None:
    """A collector does not start with it, and says where it is and why; one that comes later is not handed out."""
    app = make_app()
    place(app, "prog", **wrong)
    answer = app.test_client().get("/reports/prog/policy.json")
    assert (answer.status_code, answer.text) == (503, "the policy of this program cannot be used just now\n")
    with pytest.raises(CollectorError) as caught:
        make_app()
    assert str(caught.value).startswith(f"{service_of(app).folder.policy_path('prog')}: {why}")


@pytest.mark.parametrize("program", ["..", ".hidden", "a%2fb"])
def test_names_that_are_none(make_app: MakeApp, program: str) -> None:
    """An address cannot lead to another file."""
    assert make_app().test_client().get(f"/reports/{program}/policy.json").status_code == 404

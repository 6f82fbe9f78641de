"""`POST /application/register/` and what JSON tells of it."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.collector.conftest import MakeApp
from tests.collector.sending import DJANGO, FORM, REGISTER, form, register, registration_fields


@pytest.fixture
def app(make_app: MakeApp, database: str) -> Flask:
    """An open application, on each database."""
    return make_app(database=database)


def test_success_is_told_in_difios_words(client: FlaskClient) -> None:
    """A registration is answered with a message and the exit code 0."""
    answer = client.post(REGISTER, data=form(registration_fields("7a99f652-977a")), content_type=FORM)
    assert answer.mimetype == "application/json"
    assert answer.json == {
        "message": "Success, registered/updated application with uuid 7a99f652-977a",
        "exit_code": 0,
    }


def test_a_form_without_content_type_is_parsed(client: FlaskClient) -> None:
    """The original agent sends no Content-Type."""
    assert client.post(REGISTER, data=form(registration_fields("old"))).status_code == 200
    assert client.get("/api/applications/old").status_code == 200


def test_an_application_is_listed(client: FlaskClient) -> None:
    """What was registered is there, in lists and by its uuid."""
    register(client, "u1")
    listed = client.get("/api/applications").json
    assert isinstance(listed, list)
    assert [(one["uuid"], one["name"], one["packages"], one["behind"]) for one in listed] == [("u1", "shop", 2, 0)]
    one = client.get("/api/applications/u1").json
    assert one is not None
    assert (one["url"], one["type"], one["user_id"]) == ("http://web1.example.org", "python-3.11.7", 7)
    assert [(package["name"], package["version"]) for package in one["installed"]] == [
        ("asgiref", "3.8.1"),
        ("Django", "5.1.3"),
    ]


def test_registering_again_replaces(client: FlaskClient) -> None:
    """A later registration is what counts: upgraded, removed and new packages, and the name."""
    register(client, "u1", DJANGO)
    register(client, "u1", [("django", "5.2"), ("sqlparse", "0.5")], app_name="new")
    (listed,) = client.get("/api/applications").get_json()
    assert (listed["name"], listed["packages"]) == ("new", 2)
    one = client.get("/api/applications/u1").json
    assert one is not None
    assert {package["name"]: package["version"] for package in one["installed"]} == {"django": "5.2", "sqlparse": "0.5"}


def test_who_runs_a_package(client: FlaskClient) -> None:
    """A package is found by any spelling of its name, with its users, the newest version first."""
    register(client, "u1", [("Zope.Interface", "9.0")])
    register(client, "u2", [("zope-interface", "10.0")])
    found = client.get("/api/packages/zope_interface").json
    assert found is not None
    assert [(one["uuid"], one["version"]) for one in found["applications"]] == [("u2", "10.0"), ("u1", "9.0")]
    assert client.get("/api/packages/nothing").status_code == 404


@pytest.mark.parametrize("uuid", ["a/b", "a//b", "ü ß?#%", "<script>", "x'; DROP TABLE applications; --"])
def test_any_text_is_a_uuid(client: FlaskClient, uuid: str) -> None:
    """A uuid is whatever the client takes for unique; it leads to its application."""
    register(client, uuid)
    found = client.get(f"/api/applications/{quote(uuid, safe='/')}").json
    assert found is not None
    assert found["uuid"] == uuid


MARKUP = "<script>alert(1)</script>&\"'"
SQL = "'; DROP TABLE applications; --"


@pytest.mark.parametrize("text", [MARKUP, SQL])
def test_texts_are_stored_as_they_came(client: FlaskClient, text: str) -> None:
    """Markup and SQL in every field are nothing but text."""
    register(client, text, [(text, text)], app_name=text, app_url=text, app_type=text)
    (one,) = client.get("/api/applications").get_json()
    assert (one["uuid"], one["name"], one["url"], one["type"]) == (text, text, text, text)


WRONG: list[tuple[str, object, bytes]] = [
    ("no form", None, b"hello"),
    ("no body", None, b""),
    ("no json", None, urlencode({"json_data": "{"}).encode()),
    ("deep json", None, urlencode({"json_data": "[" * 100_000}).encode()),
    ("a list", [1], b""),
    ("a number", 7, b""),
    ("null", None, form(None)),
    ("no uuid", {key: value for key, value in registration_fields().items() if key != "app_uuid"}, b""),
    ("uuid of a wrong type", registration_fields() | {"app_uuid": 5}, b""),
    ("user_id a text", registration_fields() | {"user_id": "7"}, b""),
    ("user_id negative", registration_fields() | {"user_id": -7}, b""),
    ("user_id endless", registration_fields() | {"user_id": 10**400}, b""),
    ("installed a text", registration_fields() | {"installed": "Django"}, b""),
    ("installed of texts", registration_fields() | {"installed": ["Django"]}, b""),
    ("a version of a wrong type", registration_fields() | {"installed": [{"n": "a", "v": 1}]}, b""),
    ("a name of 10 kB", registration_fields() | {"app_name": "x" * 10_000}, b""),
    ("a package's name of 10 kB", registration_fields(packages=[("x" * 10_000, "1")]), b""),
    ("NUL", registration_fields() | {"app_name": "a\0b"}, b""),
    ("half a surrogate pair", registration_fields() | {"app_name": "\ud800"}, b""),
    ("markup in a wrong place", registration_fields() | {"user_id": MARKUP}, b""),
]


@pytest.mark.parametrize(("fields", "body"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_nonsense_is_refused(client: FlaskClient, fields: object, body: bytes) -> None:
    """What is no registration is refused in one line that echoes nothing, and nothing is stored."""
    answer = client.post(REGISTER, data=body or form(fields), content_type=FORM)
    assert answer.status_code == 400
    assert answer.mimetype == "text/plain"
    assert answer.text.count("\n") == 1
    assert "<" not in answer.text
    assert client.get("/api/applications").json == []


def test_other_content_types_are_refused(client: FlaskClient) -> None:
    """JSON, multipart and unheard-of content types are none of the protocol's."""
    for kind in ("application/json", "multipart/form-data; boundary=x", "text/html", "foo/bar", "nonsense"):
        answer = client.post(REGISTER, data=form(registration_fields()), content_type=kind)
        assert answer.status_code == 415
    assert client.get("/api/applications").json == []


def test_a_large_body_is_refused(client: FlaskClient) -> None:
    """10 MB are refused by their length alone."""
    answer = client.post(REGISTER, data=b"x" * 10_000_000, content_type=FORM)
    assert (answer.status_code, answer.text) == (413, "more than 2097152 bytes\n")


def test_many_packages_are_fine(client: FlaskClient) -> None:
    """An environment of thousands of packages is stored whole."""
    register(client, "big", [(f"package-{number}", "1.0") for number in range(5_000)])
    (one,) = client.get("/api/applications").get_json()
    assert one["packages"] == 5_000


def test_the_agents_numbers_survive(client: FlaskClient) -> None:
    """The largest user id that a database can hold comes back as it was."""
    register(client, "u1", user_id=2**63 - 1)
    assert json.loads(client.get("/api/applications/u1").text)["user_id"] == 2**63 - 1

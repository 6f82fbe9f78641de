"""Any request at all: no server error, nothing echoed as markup, and what is refused is not stored."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.collector.conftest import MakeApp, service_of
from tests.collector.furnished import furnish
from tests.collector.sending import REGISTER, form, registration_fields, rollout, virtualenv

PATHS = ["/", "/reports/prog/", "/application/register/", "/applications/", "/packages/", "/usage", "/usage/key",
         "/usage/reports/1", "/usage.csv", "/search", "/feed.atom", "/behind", "/api/applications", "/api/applications/",
         "/api/packages/", "/api/usage", "/static/", "/rollouts", "/rollouts/", "/hosts", "/hosts/", "/host", "/changes", "/differing",
         "/api/rollouts", "/api/rollouts/", "/api/hosts/", "/api/changes"]  # fmt: skip
TEXT = st.text(max_size=30) | st.sampled_from(
    ["<script>alert(1)</script>", "' OR 1=1 --", "../..", "%00", "\0", "{{7*7}}"]
)
NAMES = st.sampled_from(
    ["q", "user_id", "page", "sort", "program", "days", "name", "state", "who", "host", "package", "from", "to", "by"]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(sorted(registration_fields())), JSON, min_size=1, max_size=3)
NUMBERS = count()
FUZZ = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def app(make_app: MakeApp, database: str) -> Flask:
    """An application with something of everything, on each database."""
    app = make_app(database=database)
    furnish(app)
    return app


@FUZZ
@given(path=st.sampled_from(PATHS), tail=TEXT, query=st.dictionaries(NAMES, TEXT, max_size=3),
       method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]), body=st.binary(max_size=200),
       kind=st.sampled_from([None, "text/plain", "text/html", "application/x-www-form-urlencoded", "x"]))  # fmt: skip
def test_any_request(
    client: FlaskClient, path: str, tail: str, query: dict[str, str], method: str, body: bytes, kind: str | None
) -> None:
    """Whatever the address, the method and the body, the answer is no server error and holds no markup of others."""
    data = body if method in ("POST", "PUT") else None
    address = path + tail.replace("?", "").replace("#", "").encode("utf-8", "replace").decode()
    answer = client.open(address, method=method, query_string=query, data=data, content_type=kind,
                         headers={"Accept": "text/html"})  # fmt: skip
    assert answer.status_code < 500
    if answer.mimetype == "text/html":
        assert "<script" not in answer.text


HEADERS = ["Accept", "Accept-Encoding", "Authorization", "Cookie", "Content-Type", "Host", "If-Modified-Since", "If-None-Match",
           "Origin", "Range", "Referer", "Sec-Fetch-Site", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"]  # fmt: skip
VALUE = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=12) | st.sampled_from(
    [
        "null",
        "[::1",
        "http://[::1",
        "http://x:port",
        "bytes=9-1",
        "envfab_session=x",
        'a="\\400"',
        "text/html;q=\xb2",
        ", " * 50,
    ]
)
SCHEME = st.sampled_from(["", "Basic ", "Bearer ", "Digest "])


@pytest.fixture
def doors(make_app: MakeApp) -> list[FlaskClient]:
    """Clients of a collector that wants a token, and of one for this machine alone behind a proxy."""
    closed, local = make_app(tokens=("12345678",)), make_app(local=True, proxies=1)
    return [closed.test_client(use_cookies=False), local.test_client(use_cookies=False)]


@FUZZ
@given(path=st.sampled_from(["/", "/sign-in", "/reports/prog/", "/static/style.css", "/healthz", REGISTER]),
       headers=st.dictionaries(st.sampled_from(HEADERS), st.tuples(SCHEME, VALUE).map("".join), max_size=3),
       method=st.sampled_from(["GET", "POST"]))  # fmt: skip
@example(path="/", headers={"Authorization": "Basic \xff"}, method="GET")
@example(path="/", headers={"Host": "[::1"}, method="GET")
def test_any_headers(doors: list[FlaskClient], path: str, headers: dict[str, str], method: str) -> None:
    """Whatever the headers, the answer is no server error."""
    for client in doors:
        with client.open(path, method=method, environ_overrides=_as_wsgi(headers)) as answer:
            assert answer.status_code < 500, headers


def _as_wsgi(headers: dict[str, str]) -> dict[str, str]:
    """Headers as a server hands them over, bytes as Latin-1; the test client itself would refuse some."""
    names = {name: name.upper().replace("-", "_") for name in headers}
    return {("" if name == "Content-Type" else "HTTP_") + names[name]: value for name, value in headers.items()}


@FUZZ
@given(fields=FIELDS)
def test_any_registration(client: FlaskClient, fields: dict[str, Any]) -> None:
    """A registration with odd fields is stored as it came, or refused in one line and not stored."""
    before = client.get("/api/applications").get_json()
    said = registration_fields("fuzz") | fields
    answer = client.post("/application/register/", data=form(said))
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.text.count("\n") == 1
        assert client.get("/api/applications").get_json() == before
    else:
        assert said["app_name"] in [one["name"] for one in client.get("/api/applications").get_json()]


@FUZZ
@given(fields=st.dictionaries(st.sampled_from(sorted(rollout().to_json())), JSON, max_size=3),
       inner=st.dictionaries(st.sampled_from(sorted(rollout().to_json()["virtualenvs"][0])), JSON, max_size=3))  # fmt: skip
def test_any_document_of_a_rollout(client: FlaskClient, fields: dict[str, Any], inner: dict[str, Any]) -> None:
    """A document with odd fields is stored, and all pages show it, or refused in one line and not stored."""
    said = rollout(virtualenv("fuzzed"), rollout=f"20261120-214900-{next(NUMBERS):04x}").to_json()
    said["virtualenvs"][0] |= inner
    name = said["rollout"]
    answer = client.put(f"/rollouts/{name}", data=json.dumps(said | fields), content_type="application/json")
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.text.count("\n") == 1
        assert client.get(f"/api/rollouts/{name}").status_code == 404
    else:
        for path in (f"/rollouts/{name}", "/hosts", "/changes", "/differing"):
            assert client.get(path).status_code == 200


@FUZZ
@given(body=st.binary(max_size=300), dated=st.booleans())
def test_any_report(client: FlaskClient, app: Flask, body: bytes, dated: bool) -> None:
    """A report is on disk to the byte once it is called stored, and else it is not there at all."""
    body = b"date:1763680000.250\n" * dated + body
    folder = service_of(app).folder
    before = set(folder.files())
    answer = client.post("/", data=body)
    made = set(folder.files()) - before
    assert (answer.status_code == 200) == (len(made) == 1)
    for program, file in made:
        assert folder.read(program, file).body == body
        assert client.get("/usage").status_code == 200

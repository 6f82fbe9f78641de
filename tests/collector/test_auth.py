"""Who gets in, through each door."""

from __future__ import annotations

from base64 import b64encode

import pytest
from flask.testing import FlaskClient

from envfab.collector.auth import TakenTokens
from tests.collector.conftest import MakeApp
from tests.collector.sending import REGISTER, form, registration_fields, report

TOKEN = "correct horse"
CLOSED = ["/", "/api/applications", "/api/applications/x", "/api/packages/x", "/pypi/x/json", "/nothing/here", "/rollouts", "/rollouts/x",
          "/hosts", "/changes", "/differing", "/api/rollouts", "/api/hosts/x"]  # fmt: skip


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    """A client of a collector with two tokens."""
    return make_app(tokens=("another one", TOKEN)).test_client()


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("path", CLOSED)
def test_pages_and_json_need_a_token(client: FlaskClient, path: str) -> None:
    """Without a token a browser is asked for one, whether or not there is something behind the door."""
    answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_registrations_need_a_token(client: FlaskClient) -> None:
    """A registration without token is refused and not stored; with one it is."""
    body = form(registration_fields("u1"))
    assert client.post(REGISTER, data=body).status_code == 401
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/applications", headers=bearer).json == []
    assert client.post(REGISTER, data=body, headers=bearer).status_code == 200
    assert client.post(REGISTER, data=body, headers={"Authorization": basic("any", TOKEN)}).status_code == 200


def test_reports_need_none(client: FlaskClient) -> None:
    """Programs in the wild have no token; a wrong one does not matter."""
    assert client.post("/", data=report()).status_code == 200
    assert client.post("/reports/prog/", data=report(), headers={"Authorization": "Bearer x"}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [f"Bearer {TOKEN}", f"bearer {TOKEN}", basic("", TOKEN), basic("anybody", TOKEN), "Bearer another one"],
)
def test_what_opens(client: FlaskClient, header: str) -> None:
    """Any of the tokens, as a Bearer token or as a password."""
    assert client.get("/api/applications", headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        "Bearer ü\udcff".encode("utf-8", "replace").decode("latin-1"),
        basic(TOKEN, ""),
        basic(TOKEN, "wrong"),
        "Basic !!!",
        "Basic " + b64encode(b"\xff\xff").decode(),
        "Basic \xff\xfe",
        "Basic " + "=" * 100_000,
        f"Digest {TOKEN}",
        f"Token {TOKEN}",
        TOKEN,
    ],
)
def test_what_does_not_open(client: FlaskClient, header: str) -> None:
    """Wrong, shortened and malformed credentials are refused alike."""
    answer = client.get("/api/applications", headers={"Authorization": header})
    assert (answer.status_code, answer.text) == (401, "this needs the collector's token\n")


def test_forms_of_other_sites_are_refused(client: FlaskClient) -> None:
    """A page elsewhere cannot make a browser register with the credentials that it remembers."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Sec-Fetch-Site": "cross-site"}
    assert client.post(REGISTER, data=form(registration_fields()), headers=headers).status_code == 403
    assert client.get("/api/applications", headers=headers).json == []


def test_a_body_without_token_is_not_read(client: FlaskClient) -> None:
    """The token is asked for before anything else is looked at."""
    assert client.post(REGISTER, data=b"x" * 10_000_000, content_type="image/png").status_code == 401


def test_the_tokens_that_were_taken_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded number of them, however many addresses there are."""
    monkeypatch.setattr("envfab.collector.auth.CLIENTS", 2)
    taken = TakenTokens()
    for client in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        taken.add(client, "digest")
    known = [(f"192.0.2.{number}", "digest") in taken for number in (1, 2, 3)]
    assert known == [True, False, True]

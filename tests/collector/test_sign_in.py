"""Signing in: the page, the cookie, and who may not use either. And tokens for reading or registering alone."""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from envfab.collector.config import Config
from envfab.collector.db.schema import sessions
from envfab.collector.token_file import read_tokens
from envfab.errors import ConfigurationError
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import REGISTER, form, registration_fields, report

TOKENS = ("both of them", "read:only reading", "write:only writing")
# as Chromium sends it
HTML = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
}


@pytest.fixture
def app(make_app: MakeApp, database: str) -> Flask:
    """A collector with a token of each kind, on each database."""
    return make_app(database=database, tokens=TOKENS)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser: it keeps cookies."""
    return app.test_client()


def sign_in(client: FlaskClient, token: str = "only reading", after: str = "", **more: object) -> TestResponse:
    """Post the form."""
    return client.post("/sign-in", data={"token": token, "next": after}, **more)


def cookie_of(answer: TestResponse) -> str:
    """The value of the cookie that an answer sets."""
    return answer.headers["Set-Cookie"].split("=")[1].split(";")[0]


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {token}"}


def test_a_browser_gets_a_page_to_sign_in_on(client: FlaskClient) -> None:
    """In place of each page, which it leads to then; without a window for a password. Its style sheet is there."""
    answer = client.get("/packages/?sort=behind", headers=HTML)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert re.search('name="next" value="([^"]+)"', answer.text)[1] == "/packages/?sort=behind"  # type: ignore[index]
    with client.get("/static/style.css") as style:
        assert style.status_code == 200
    assert client.get("/sign-in").status_code == 200
    after = sign_in(client, after="/packages/?sort=behind")
    assert (after.status_code, after.location) == (303, "/packages/?sort=behind")
    assert client.get("/packages/?sort=behind", headers=HTML).status_code == 200


def test_the_cookie_is_out_of_reach(client: FlaskClient) -> None:
    """Of scripts and of other sites' forms; of http, where it came by https; and it says nothing of the token."""
    plain = sign_in(client).headers["Set-Cookie"]
    assert re.fullmatch(r"envfab_session=[\w-]{43}; HttpOnly; Path=/; SameSite=Lax", plain)
    secure = sign_in(client, base_url="https://inventory.example.org").headers["Set-Cookie"]
    assert "; Secure" in secure
    assert plain.split(";")[0] != secure.split(";")[0]


def test_nothing_secret_is_kept(app: Flask, client: FlaskClient) -> None:
    """The tables have neither the cookie nor the token."""
    cookie = cookie_of(sign_in(client))
    with service_of(app).storage.reading() as connection:
        (row,) = connection.execute(select(sessions)).all()
    assert cookie not in str(row)
    assert "reading" not in str(row)


@pytest.mark.parametrize(("token", "why"), [("mistaken", "The token is wrong."), ("", "The token is wrong."),
                                            ("read:only reading", "The token is wrong."),
                                            ("only writing", "This token is for registrations alone.")])  # fmt: skip
def test_a_wrong_token_opens_nothing(client: FlaskClient, token: str, why: str) -> None:
    """The page says why, and no cookie comes."""
    answer = sign_in(client, token)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)
    assert f'role="alert" id="problem">{why}' in answer.text
    assert token not in answer.text or not token


def test_signing_out_ends_it(client: FlaskClient) -> None:
    """On the server, too: the cookie opens nothing any more, wherever it was copied to."""
    cookie = cookie_of(sign_in(client))
    assert "Sign out" in client.get("/", headers=HTML).text
    assert client.post("/sign-out").location == "/sign-in"
    assert client.get("/", headers=HTML).status_code == 401
    client.set_cookie("envfab_session", cookie)
    assert client.get("/", headers=HTML).status_code == 401


def test_signing_in_again_ends_the_session_before(app: Flask, client: FlaskClient) -> None:
    """So that no cookie stays good that the browser has forgotten."""
    for _ in range(3):
        sign_in(client)
    with service_of(app).storage.reading() as connection:
        assert len(connection.execute(select(sessions)).all()) == 1


def test_guessing_is_slow(make_app: MakeApp) -> None:
    """By the form, by Bearer and by Basic together; then not even a right token is taken that was not before.

    Whoever is in stays in.

    Others, and requests without a token, are not concerned.
    """
    app = make_app(tokens=TOKENS, proxies=1, wrong_tokens_a_minute=3)
    guesser, other = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    inside, client = app.test_client(), app.test_client()
    assert sign_in(inside, headers=guesser).status_code == 303
    assert sign_in(client, "mistaken", headers=guesser).status_code == 401
    assert client.get("/", headers=guesser | bearer("mistaken")).status_code == 401
    for _ in range(9):
        assert client.get("/", headers=guesser).status_code == 401
        assert client.post("/", data=report(), headers=guesser | bearer("mistaken")).status_code == 200
    basic = {"Authorization": "Basic " + b64encode(b"any:mistaken").decode()}
    assert client.get("/", headers=guesser | basic).status_code == 401
    refused = client.get("/", headers=guesser | bearer("both of them"))
    assert (refused.status_code, refused.text) == (429, "too many wrong tokens from one address; try again later\n")
    page = sign_in(client, "both of them", headers=guesser)
    assert (page.status_code, 0 < int(page.headers["Retry-After"]) <= 20) == (429, True)
    assert "Too many wrong tokens came from your address." in page.text
    assert inside.get("/", headers=guesser).status_code == 200
    assert client.get("/", headers=other | bearer("only reading")).status_code == 200
    assert sign_in(client, headers=other).status_code == 303


def test_a_session_ends(app: Flask, client: FlaskClient, make_app: MakeApp, database: str) -> None:
    """With the token that it began with, in all workers, and after a while."""
    cookie = cookie_of(sign_in(client))
    for tokens, status in ((TOKENS, 200), (("another one",), 401)):
        other = make_app(database=database, tokens=tokens).test_client()
        other.set_cookie("envfab_session", cookie)
        assert other.get("/").status_code == status
    with service_of(app).storage.writing() as connection:
        connection.execute(update(sessions).values(ends_at=1))
    assert client.get("/").status_code == 401
    sign_in(client)
    with service_of(app).storage.reading() as connection:
        assert len(connection.execute(select(sessions)).all()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example.org"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "null"},
        {"Referer": "http://evil.example.org/page"},
    ],
)
def test_forms_of_other_sites_are_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    """They sign nobody in, nor out, and register nothing."""
    assert sign_in(client, headers=headers).status_code == 403
    sign_in(client)
    assert client.post("/sign-out", headers=headers).status_code == 403
    body = form(registration_fields())
    assert client.post(REGISTER, data=body, headers=headers | bearer("both of them")).status_code == 403
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://localhost"}, {"Origin": "http://localhost:80"}, {"Sec-Fetch-Site": "same-origin"}]
)
def test_own_forms_are_taken(client: FlaskClient, headers: dict[str, str]) -> None:
    """Whatever the browser says of where they come from."""
    assert sign_in(client, headers=headers).status_code == 303


@pytest.mark.parametrize(
    "after", ["https://evil.example.org/", "//evil.example.org", "/\\evil.example.org", "x", "", "/\tx", "javascript:x"]
)
def test_signing_in_leads_nowhere_else(client: FlaskClient, after: str) -> None:
    """A link to the page cannot send people to another server."""
    assert sign_in(client, after=after).location == "/"


def test_no_token_stands_in_an_address(client: FlaskClient) -> None:
    """In the query it is not taken, and the form posts it."""
    for path in ("/?token=only+reading", "/sign-in?token=only+reading"):
        assert "Set-Cookie" not in client.get(path, headers=HTML).headers
    page = client.get("/", headers=HTML).text
    assert 'method="post" action="/sign-in"' in page
    assert parse_qs(urlsplit(sign_in(client).location).query) == {}


def test_tokens_for_one_thing(client: FlaskClient) -> None:
    """One for reading registers nothing, one for registrations shows nothing; each says so. A cookie registers nothing."""
    body = form(registration_fields("u1"))
    refused = client.post(REGISTER, data=body, headers=bearer("only reading"))
    assert (refused.status_code, refused.text) == (403, "this token is for reading alone\n")
    assert client.post(REGISTER, data=body, headers=bearer("only writing")).status_code == 200
    refused = client.get("/api/applications", headers=bearer("only writing"))
    assert (refused.status_code, refused.text) == (403, "this token is for registrations and rollouts alone\n")
    for token in ("only reading", "both of them"):
        assert len(client.get("/api/applications", headers=bearer(token)).json or []) == 1
    assert client.get("/api/applications", headers=bearer("read:only reading")).status_code == 401
    sign_in(client, "both of them")
    assert client.post(REGISTER, data=body).status_code == 401


def test_an_open_collector_has_nothing_to_sign_in_to(make_app: MakeApp) -> None:
    """It leads to the first page."""
    assert make_app().test_client().get("/sign-in").location == "/"


def test_a_file_of_tokens_of_each_kind(tmp_path: Path) -> None:
    """Older files mean what they meant; the shortest token is counted without what it is for."""
    (tmp_path / "tokens").write_text(
        "# of the hosts\nwrite:correct horse\n  # of people\nread:battery staple\nold and plain\n"
    )
    assert read_tokens(tmp_path / "tokens") == ("write:correct horse", "read:battery staple", "old and plain")
    with pytest.raises(ConfigurationError, match="at least 8 characters"):
        Config(tmp_path, tokens=("read:short",))


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_file_of_tokens_that_others_can_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    """It is taken, with a line that says what mends it; a group may read it."""
    path = tmp_path / "tokens"
    path.write_text("correct horse\n")
    path.chmod(mode)
    assert read_tokens(path) == ("correct horse",)
    assert caplog.messages == [f"every user of this machine can read the token file: chmod o= {path}"] * warned


def test_a_token_in_two_lines(make_app: MakeApp) -> None:
    """One for reading and one for registrations make both."""
    client = make_app(tokens=("read:correct horse", "write:correct horse")).test_client()
    assert client.get("/", headers=bearer("correct horse")).status_code == 200
    body = form(registration_fields())
    assert client.post(REGISTER, data=body, headers=bearer("correct horse")).status_code == 200


@pytest.mark.parametrize(("fleet", "stranger"), [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::2")])
def test_others_at_an_address_lock_no_token_out(make_app: MakeApp, fleet: str, stranger: str) -> None:
    """A token that was taken from a client is taken from there on, however many wrong ones come from it."""
    client = make_app(tokens=TOKENS, proxies=1, wrong_tokens_a_minute=3).test_client()
    ours, theirs = {"X-Forwarded-For": fleet}, {"X-Forwarded-For": stranger}
    assert client.get("/", headers=ours | bearer("both of them")).status_code == 200
    for _ in range(5):
        answer = client.get("/", headers=theirs | bearer("mistaken"))
    assert answer.status_code == 429
    assert client.get("/", headers=ours | bearer("both of them")).status_code == 200
    assert client.get("/", headers=theirs | bearer("both of them")).status_code == 200
    assert client.get("/", headers=ours | bearer("only reading")).status_code == 429

"""Documents of rollouts that are put to a collector, a real HTTP server."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest

from envfab.config.events import Collector
from envfab.receivers.rollouts import Refused, RolloutSender
from envfab.receivers.undelivered import Undelivered
from envfab.util.http import Timeouts
from tests.support.registration_server import RecordingServer, Reply, running_server
from tests.support.web import dripping

ROLLOUT = "20261120-214900-9f3a"
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A server that takes all that is put."""
    with running_server() as running:
        yield running


def address(server: RecordingServer) -> str:
    """A collector's address that has a path, and a password."""
    return server.url.replace("//", "//anna:pass-w0rd@").replace("application/register/", "inventory/")


def test_a_document_is_put_under_its_rollout(server: RecordingServer) -> None:
    """As the bytes that it is, with the token; the path of the address stays."""
    sender = RolloutSender(Collector(f"{server.url}inventory", token="t0ken"))
    sender.send(ROLLOUT, b'{"format": 1}')
    (request,) = server.requests
    assert (request.method, request.body) == ("PUT", b'{"format": 1}')
    assert request.path.endswith(f"/inventory/rollouts/{ROLLOUT}")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer t0ken"


def test_address_and_token_may_be_functions(server: RecordingServer) -> None:
    """Each is asked once; the name is the address without what is a secret in it."""
    asked = []

    def url() -> str:
        asked.append("url")
        return f"{address(server)}\n"

    def token() -> str:
        asked.append("token")
        return "t0ken\n"

    sender = RolloutSender(Collector(url, token=token))
    assert sender.name == "a collector"
    sender.send(ROLLOUT, b"{}")
    sender.send(ROLLOUT, b"{}")
    assert asked == ["url", "token"]
    assert sender.name == f"{server.url.replace('application/register/', 'inventory')}"
    assert server.requests[1].headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("reply", "reason", "again", "final"),
    [
        (Reply(b"full\n", 503, TEXT), "HTTP 503: full", True, False),
        (Reply(b"", 408), "HTTP 408", True, False),
        (Reply(b"", 425), "HTTP 425", True, False),
        (Reply(b"slow down\x1b[2J", 429, TEXT), "HTTP 429: slow down [2J", True, False),
        (
            Reply(b"no", 401, TEXT),
            "HTTP 401: no; give a token that may write: Collector(url, token=\u2026)",
            False,
            False,
        ),
        (Reply(b"", 403), "HTTP 403; give a token that may write: Collector(url, token=\u2026)", False, False),
        (Reply(b"'who' is\nmissing\n", 400, TEXT), "HTTP 400: 'who' is missing", False, True),
        (Reply(b"no\n", 404, TEXT), "HTTP 404: no", False, True),
        (Reply(b"<h1>no</h1>", 404, HTML), "HTTP 404", False, False),
        (Reply(b"<h1>no</h1>", 413, HTML), "HTTP 413", False, True),
        (
            Reply(b"<h1>Sign in</h1>", 200, HTML),
            "HTTP 200 with a web page, so it is not a collector that answers; check address and proxies",
            False,
            False,
        ),
        (Reply(b"x" * 100_000, 413, TEXT), f"HTTP 413: {'x' * 300}\u2026", False, True),
        (Reply(b"", 304), "HTTP 304", False, False),
        (
            Reply(b"", 307, {"Location": "https://anna:s3cret@example.org/x?token=s3cret"}),
            "HTTP 307 to https://example.org/x, which is not followed",
            False,
            False,
        ),
    ],
)
def test_what_is_not_a_success_is_a_reason(
    server: RecordingServer, reply: Reply, reason: str, again: bool, final: bool
) -> None:
    """Which says whether another try makes sense now, later, or never."""
    server.answer = lambda _: reply
    with pytest.raises(Undelivered) as caught:
        RolloutSender(Collector(server.url.partition("/application")[0])).send(ROLLOUT, b"{}")
    found = (caught.value.reason, caught.value.again, isinstance(caught.value, Refused))
    assert found == (reason, again, final)
    assert len(server.requests) == 1


def test_a_collector_that_hangs_is_given_up(server: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time for an answer."""
    monkeypatch.setattr("envfab.receivers.rollouts.TIMEOUTS", Timeouts(connect=1.0, read=0.2))
    server.answer = server.slow
    with pytest.raises(Undelivered, match=r"^no answer within 0\.2 s$"):
        RolloutSender(Collector(address(server))).send(ROLLOUT, b"{}")


def test_what_an_answer_repeats_of_secrets_is_masked(server: RecordingServer) -> None:
    """The token, and the password of the address, in the words of the collector and in where it redirects to."""
    sender = RolloutSender(Collector(address(server).replace("pass-w0rd", "pass%21w0rd"), token="t0ken-of-anna"))
    repeated = b"Bearer t0ken-of-anna, anna:pass%21w0rd, pass!w0rd, Basic " + b64encode(b"anna:pass!w0rd")
    server.answer = lambda _: Reply(repeated, 400, TEXT)
    with pytest.raises(Undelivered, match=r"^HTTP 400: Bearer \*\*\*, anna:\*\*\*, \*\*\*, Basic \*\*\*$"):
        sender.send(ROLLOUT, b"{}")
    server.answer = lambda _: Reply(b"", 307, {"Location": "https://example.org/t0ken-of-anna/x"})
    with pytest.raises(Undelivered, match=r"^HTTP 307 to https://example\.org/\*\*\*/x, which is not followed$"):
        sender.send(ROLLOUT, b"{}")


def broken() -> str:
    """A function of a fabfile that fails, with the secret in its message."""
    raise RuntimeError("s3cret")


@pytest.mark.parametrize(
    ("url", "token", "reason"),
    [
        (broken, None, "cannot read the address: RuntimeError"),
        (lambda: "s3cret", None, "the address must be an http or https URL"),
        (None, broken, "cannot read the token: RuntimeError"),
        (None, lambda: "s3cret s3cret", "the token must be of printable ASCII without spaces, and not empty"),
    ],
)
def test_nothing_is_sent_where_address_or_token_cannot_be_had(
    server: RecordingServer, url: Callable[[], str] | None, token: Callable[[], str] | None, reason: str
) -> None:
    """It may be mended later, so this is not final; the reason shows no secret."""
    with pytest.raises(Undelivered) as caught:
        RolloutSender(Collector(url or address(server), token=token)).send(ROLLOUT, b"{}")
    assert (caught.value.reason, caught.value.again, isinstance(caught.value, Refused)) == (reason, False, False)
    assert server.requests == []


def test_a_collector_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily bytes of an answer come; it is not asked again while they do."""
    monkeypatch.setattr("envfab.receivers.rollouts.WHOLE", 0.3)
    with dripping() as (url, asked):
        sender = RolloutSender(Collector(url))
        for _ in range(2):
            with pytest.raises(Undelivered, match=r"^no whole answer within 0 s$") as caught:
                sender.send(ROLLOUT, b"{}")
            assert not caught.value.again
    assert len(asked) == 1

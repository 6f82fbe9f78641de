"""Events that are posted, to a real HTTP server."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator

import pytest

from envfab.config.events import KINDS, Webhook, key_of
from envfab.deployment.events.event import Event, EventVirtualenv, Source
from envfab.receivers.undelivered import Undelivered
from envfab.receivers.webhook import WebhookSender, signature
from envfab.util.http import Timeouts
from tests.support.registration_server import RecordingServer, Reply, running_server
from tests.support.web import dripping

SOURCE = Source("deploy", "anna", "laptop", "20261120-214900-9f3a", "3/8", "/logs/20261120-214900-9f3a")
EVENT = Event(KINDS[0], SOURCE, (EventVirtualenv("shop@web1:/v", "changes"),), total=1)


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A server that takes all that is posted."""
    with running_server() as running:
        yield running


def test_a_signature_is_that_of_standard_webhooks() -> None:
    """The example that its libraries are tested with."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_is_posted_and_signed(server: RecordingServer) -> None:
    """Over exactly the bytes of the body, with the id of the event and the time of the try."""
    WebhookSender(Webhook(server.url, secret="s3cret")).send(EVENT)
    (request,) = server.requests
    assert json.loads(request.body) == EVENT.to_json()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == EVENT.id
    at = int(request.headers["webhook-timestamp"])
    assert abs(at - time.time()) < 60
    assert request.headers["webhook-signature"] == signature(b"s3cret", EVENT.id, at, request.body)


def test_without_a_secret_nothing_is_signed(server: RecordingServer) -> None:
    """And address and secret may be functions, of which each is asked once."""
    asked = []

    def address() -> str:
        asked.append("address")
        return server.url

    sender = WebhookSender(Webhook(address))
    sender.send(EVENT)
    sender.send(EVENT)
    assert asked == ["address"]
    assert sender.name == "127.0.0.1"
    assert [name for name in server.requests[0].headers if name.startswith("webhook")] == []


@pytest.mark.parametrize(
    ("reply", "reason", "again"),
    [
        (Reply(status=500), "HTTP 500", True),
        (Reply(status=429), "HTTP 429", True),
        (Reply(status=404), "HTTP 404", False),
        (Reply(status=304), "HTTP 304", False),
        (
            Reply(status=302, headers={"Location": "https://anna:s3cret@example.org/x?token=s3cret"}),
            "HTTP 302 to https://example.org/x, which is not followed",
            False,
        ),
    ],
)
def test_what_is_not_a_success_is_a_reason(server: RecordingServer, reply: Reply, reason: str, again: bool) -> None:
    """Which says whether another try makes sense."""
    server.answer = lambda _: reply
    with pytest.raises(Undelivered) as caught:
        WebhookSender(Webhook(server.url)).send(EVENT)
    assert (caught.value.reason, caught.value.again) == (reason, again)
    assert len(server.requests) == 1


def test_a_server_that_hangs_is_given_up(server: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time for an answer."""
    monkeypatch.setattr("envfab.receivers.webhook.TIMEOUTS", Timeouts(connect=1.0, read=0.2))
    server.answer = server.slow
    with pytest.raises(Undelivered, match=r"^no answer within 0\.2 s$"):
        WebhookSender(Webhook(server.url)).send(EVENT)


def test_a_server_that_is_not_there_is_a_reason() -> None:
    """Another try may help."""
    with pytest.raises(Undelivered, match=r"^nothing listens there$") as caught:
        WebhookSender(Webhook("http://127.0.0.1:9/")).send(EVENT)
    assert caught.value.again


def no_variable() -> str:
    """What a fabfile does that has forgotten to set it."""
    return os.environ["ENVFAB_WEBHOOK_SECRET"]


def secret_error() -> str:
    """An error whose message has the secret."""
    raise RuntimeError("s3cret")


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (no_variable, "cannot read the secret: KeyError: 'ENVFAB_WEBHOOK_SECRET'"),
        (secret_error, "cannot read the secret: RuntimeError"),
        (lambda: None, "the secret must be text, or a function that returns it, not NoneType"),
        (lambda: " ", "the secret must not be empty"),
        (lambda: "whsec_?", "the secret must be Base64 after whsec_"),
    ],
)
def test_an_event_is_never_sent_unsigned_because_the_secret_is_missing(
    server: RecordingServer, secret: Callable[[], str], reason: str
) -> None:
    """The reason names what is wrong, without the secret."""
    with pytest.raises(Undelivered) as caught:
        WebhookSender(Webhook(server.url, secret=secret)).send(EVENT)
    assert (caught.value.reason, caught.value.again) == (reason, False)
    assert server.requests == []


def test_an_address_that_cannot_be_had_is_a_reason() -> None:
    """Which does not show it."""
    with pytest.raises(Undelivered, match=r"^the address must be an http or https URL$"):
        WebhookSender(Webhook(lambda: "s3cret")).send(EVENT)


def test_a_server_that_drips_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily bytes of an answer come."""
    monkeypatch.setattr("envfab.receivers.webhook.WHOLE", 0.3)
    with dripping() as (url, _), pytest.raises(Undelivered, match=r"^no whole answer within 0 s$"):
        WebhookSender(Webhook(url)).send(EVENT)

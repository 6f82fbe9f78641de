"""Posting of events to web servers, signed as Standard Webhooks 1.0 says (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from envfab.config.events import Webhook, key_of, problem_of_secret, problem_of_url
from envfab.receivers.message import Message
from envfab.receivers.undelivered import Undelivered, ask_fabfile, failure_of_answer
from envfab.util.http import NoResponse, Request, Timeouts, WebSession
from envfab.util.untrusted import one_line

TIMEOUTS = Timeouts(connect=3.0, read=5.0)
WHOLE = 15.0  # seconds for the status and all headers


class WebhookSender:
    """Posts events to one address. Follows no redirects: a stranger would get them, with what is a secret in it."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._session = WebSession(TIMEOUTS)
        # both are asked for when the first event is sent
        self._url = webhook.url if isinstance(webhook.url, str) else None
        self._key: bytes | None = None

    @property
    def name(self) -> str:
        """What messages call it: its host alone, since the rest of the address may be a secret."""
        return one_line(urlsplit(self._url).hostname or "") if self._url else "a webhook"

    def send(self, event: Message) -> None:
        """Post an event; raises `Undelivered`."""
        if self._url is None:
            self._url = ask_fabfile(self._webhook.url, "address", problem_of_url)
        body = event.body(self._webhook.format)
        headers = {"Content-Type": "application/json", **self._signed(event.id, body)}
        try:
            response = self._session.exchange(Request(self._url, headers, "POST", body), limit=0, seconds=WHOLE)
        except NoResponse as error:
            raise Undelivered(error.reason) from None
        if (failure := failure_of_answer(response.status, response.location)) is not None:
            raise failure

    def _signed(self, name: str, body: bytes) -> Mapping[str, str]:
        """The headers of Standard Webhooks; each try has its own time, and the same id."""
        if self._webhook.secret is None:
            return {}
        if self._key is None:
            self._key = key_of(ask_fabfile(self._webhook.secret, "secret", problem_of_secret))
        at = int(time.time())
        signed = signature(self._key, name, at, body)
        return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": signed}


def signature(key: bytes, name: str, at: int, body: bytes) -> str:
    """Return the signature of a message: HMAC-SHA256 over its id, its time in seconds since 1970, and its body."""
    digest = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"

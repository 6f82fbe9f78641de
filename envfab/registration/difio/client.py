"""Sending a registration by Difio's protocol, and reading the answer."""

from __future__ import annotations

from urllib.parse import urlsplit

from envfab.errors import RegistrationError
from envfab.registration.difio.protocol import Registration, format_registration, parse_answer
from envfab.registration.http import Reply, check_secret, exchange
from envfab.registration.servers import ServerAnswer
from envfab.util.http import Request, WebSession
from envfab.util.untrusted import one_line

HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
}


def post(session: WebSession, url: str, token: str | None, registration: Registration) -> ServerAnswer:
    """Register at a server; raises `RegistrationError` (`Communication failed`) for anything but an answer."""
    if token is not None:
        check_secret("token", token, url)
    body = format_registration(registration)
    secrets = {"Authorization": f"Bearer {token}"} if token is not None else {}
    reply = exchange(session, Request(url, HEADERS, "POST", body, secrets))
    why = ""
    if reply.status == 200 and reply.kind == "application/json":
        try:
            answer = parse_answer(reply.content)
            return ServerAnswer(one_line(answer.message), answer.exit_code)
        except RegistrationError as error:
            why = error.what
    raise reply.failure(url, why, _hint(reply, url))


def _hint(reply: Reply, url: str) -> str:
    if reply.status == 403:
        return "give a token that may register (of a collector: write:TOKEN in its file): Difio(url, token=…)"
    if reply.status == 401:
        return "the server wants a token: Difio(url, token=…)"
    return "addresses of servers end in /application/register/" if not urlsplit(url).path.strip("/") else ""

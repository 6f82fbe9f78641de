"""Signing in and out, for browsers: a random cookie in place of the token."""

from __future__ import annotations

from urllib.parse import parse_qs

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from envfab.collector.auth import Doorkeeper, Rights, TooManyWrongTokens
from envfab.collector.days import milliseconds_now
from envfab.collector.db import sessions
from envfab.collector.request_body import read_body
from envfab.collector.service import Service

COOKIE = "envfab_session"
FORM = "application/x-www-form-urlencoded"
LONGEST_FORM = 16 * 1024


def endpoints(service: Service, doorkeeper: Doorkeeper) -> Blueprint:
    """The endpoints of signing in and out, which need no token."""
    routes = Blueprint("sign_in", __name__)

    @routes.get("/sign-in")
    def sign_in() -> str | AnyResponse:
        return redirect(_home(), 303) if doorkeeper.is_open else sign_in_page(_home())

    @routes.post("/sign-in")
    def begin() -> AnyResponse:
        fields = parse_qs(read_body(request, LONGEST_FORM, (FORM,)).decode("utf-8", "replace"))
        after = _own_path(fields.get("next", [""])[0])
        try:
            token = doorkeeper.find(fields.get("token", [""])[0].strip(), request.remote_addr or "")
        except TooManyWrongTokens as error:
            why = "Too many wrong tokens came from your address. Try again later."
            return Response(sign_in_page(after, why), 429, {"Retry-After": str(error.retry_after)})
        if token is None or Rights.READ not in token.rights:
            why = "The token is wrong." if token is None else "This token is for registrations alone."
            return Response(sign_in_page(after, why), 401)
        with service.storage.writing() as connection:
            sessions.end(connection, request.cookies.get(COOKIE, ""))
            cookie = sessions.begin(connection, token.digest, milliseconds_now())
        answer = redirect(after, 303)
        # Lax: links in chats and feeds lead to pages, and what changes something here takes no cookie from elsewhere.
        answer.set_cookie(COOKIE, cookie, path=_root(), secure=request.is_secure, httponly=True, samesite="Lax")
        return answer

    @routes.post("/sign-out")
    def end() -> AnyResponse:
        with service.storage.writing() as connection:
            sessions.end(connection, request.cookies.get(COOKIE, ""))
        answer = redirect(url_for("sign_in.sign_in"), 303)
        answer.delete_cookie(COOKIE, path=_root(), secure=request.is_secure, httponly=True, samesite="Lax")
        return answer

    return routes


def is_signed_in(service: Service, doorkeeper: Doorkeeper) -> bool:
    """Whether the request has the cookie of a session whose token is still there."""
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return False
    with service.storage.reading() as connection:
        token = sessions.token_of(connection, cookie, milliseconds_now())
    return token is not None and doorkeeper.may_read(token)


def sign_in_page(after: str, problem: str = "") -> str:
    """The page that asks for a token, and leads to a path of this server."""
    return render_template("sign_in.html", after=after, problem=problem, signing_in=True)


def _root() -> str:
    return request.script_root or "/"


def _home() -> str:
    return url_for("pages.applications")


def _own_path(text: str) -> str:
    """A path of this server; the first page in place of anything that a browser could take for another server's."""
    is_own = text.startswith("/") and text[1:2] not in ("/", "\\") and text.isprintable() and "\\" not in text
    return text if is_own else _home()

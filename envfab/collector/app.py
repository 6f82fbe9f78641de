"""The WSGI application: endpoints, access control, and errors as pages or text."""

from __future__ import annotations

import logging

from flask import Flask, Response, g, render_template, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, TooManyRequests
from werkzeug.middleware.proxy_fix import ProxyFix

from envfab.collector.access_log import AccessLog
from envfab.collector.auth import Doorkeeper, Rights, is_for_this_machine, is_sent_by_another_site
from envfab.collector.config import Config
from envfab.collector.exchange import ObservedApplication, Observer, note_route
from envfab.collector.metrics import Metrics
from envfab.collector.rate_limits import RateLimit
from envfab.collector.service import Service
from envfab.collector.views import (
    api,
    applications,
    changes,
    hosts,
    monitoring,
    public,
    pypi,
    registrations,
    reports,
    rollout_documents,
    rollouts,
    sign_in,
    usage,
    vulnerabilities,
)
from envfab.collector.views.sign_in import is_signed_in, sign_in_page

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
# the endpoints that take what hosts and fabfiles tell
WRITING = ("registrations", "rollout_documents")
log = logging.getLogger(__name__)


def create_app(config: Config) -> Flask:
    """The WSGI application for `config`; raises `EnvfabError` where a folder or the database cannot be used."""
    service = Service(config)
    app = Flask(__name__)
    app.url_map.merge_slashes = False
    app.extensions["envfab"] = service
    doorkeeper = Doorkeeper(config.tokens, config.wrong_tokens_a_minute)
    app.register_blueprint(sign_in.endpoints(service, doorkeeper))
    for room in (reports, registrations, rollout_documents, api, pypi, applications, vulnerabilities, rollouts, hosts,
                 changes, usage, public):  # fmt: skip
        app.register_blueprint(room.endpoints(service))
    metrics = Metrics(service)
    app.register_blueprint(monitoring.endpoints(service, metrics))
    applications.furnish(app, service)
    _limit_clients(app, config)
    _guard(app, service, doorkeeper)
    _answer_errors(app)
    if service.background is not None:
        app.before_request(service.background.ensure_running)
    # Flask documents this way to wrap an application
    app.wsgi_app = ObservedApplication(app.wsgi_app, _observers(config, metrics))  # type: ignore[method-assign,assignment]
    if config.proxies:
        many = config.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, many, many, many, 0, many)  # type: ignore[method-assign]
    return app


def _observers(config: Config, metrics: Metrics) -> list[Observer]:
    log = [AccessLog(store_addresses=config.store_addresses).observe] if config.access_log else []
    return [metrics.observe, *log]


def _limit_clients(app: Flask, config: Config) -> None:
    """Refuse what one client asks for beyond its allowance, before anything else is done for it."""
    requests, bodies = RateLimit(config.requests_a_minute), RateLimit(config.bodies_a_minute)

    @app.before_request
    def limit() -> None:
        note_route(request)
        if request.endpoint == "monitoring.healthz":
            return
        client = request.remote_addr or ""
        if wait := requests.wait(client):
            raise TooManyRequests("too many requests from one address; try again later", retry_after=wait)
        if request.method not in ("GET", "HEAD", "OPTIONS") and (wait := bodies.wait(client)):
            raise TooManyRequests("too many requests with a body from one address; try again later", retry_after=wait)


def _guard(app: Flask, service: Service, doorkeeper: Doorkeeper) -> None:
    told = ["monitoring.tell_metrics"] if service.config.public_metrics else []
    open_endpoints = {"static", "monitoring.healthz", *told}

    @app.before_request
    def check() -> Response | None:
        if "\0" in request.path or any("\0" in value for value in request.args.values()):
            raise BadRequest("the address has a NUL character")  # which PostgreSQL cannot store
        if request.blueprint in ("reports", "public") or request.endpoint in open_endpoints:
            return None
        if is_sent_by_another_site(request):
            raise Forbidden("forms of other sites are refused")
        if service.config.local and not is_for_this_machine(request):
            raise Forbidden("without a token this server answers only to loopback names, such as http://127.0.0.1")
        if doorkeeper.is_open or request.blueprint == "sign_in":
            return None
        rights = doorkeeper.rights_of(request)
        if rights is None:
            return None if _is_signed_in() else _ask_for_token()
        needed = Rights.WRITE if request.blueprint in WRITING else Rights.READ
        if needed not in rights:
            raise Forbidden(
                "this token is for "
                + ("reading" if needed is Rights.WRITE else "registrations and rollouts")
                + " alone"
            )
        return None

    def _is_signed_in() -> bool:
        g.signed_in = request.blueprint not in WRITING and is_signed_in(service, doorkeeper)
        return bool(g.signed_in)

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _ask_for_token() -> Response:
    """The page to sign in on where a browser asked for a page; Basic in its answer would open a window before it."""
    if _is_for_people():
        after = request.script_root + request.full_path.rstrip("?")
        return Response(sign_in_page(after), 401, {"WWW-Authenticate": 'Bearer realm="envfab collector"'})
    headers = {"WWW-Authenticate": 'Basic realm="envfab collector", charset="UTF-8"'}
    return Response("this needs the collector's token\n", 401, headers, mimetype="text/plain")


def _is_for_people() -> bool:
    """Whether a browser asked for a page: it prefers HTML to plain text, among other things that it takes as well."""
    accepted = request.accept_mimetypes
    wants_page = request.method == "GET" and accepted["text/html"] > accepted["text/plain"]
    return wants_page and not request.path.startswith("/api/")


def _answer_errors(app: Flask) -> None:
    """Errors are one line of plain text, and a page where a browser asked for one."""

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> HTTPException | Response:
        if error.code is None or error.code < 400:
            return error
        if _is_for_people():
            page = render_template("error.html", code=error.code, what=error.name, why=error.description,
                                   link=getattr(error, "link", None))  # fmt: skip
            response = Response(page, error.code)
        else:
            response = Response(f"{error.description}\n", error.code, mimetype="text/plain")
        for name, value in error.get_headers(request.environ):
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
        return response

    @app.errorhandler(SQLAlchemyError)
    def no_database(error: SQLAlchemyError) -> Response:
        log.error("the database: %s", error)
        return Response("the database is not available just now\n", 503, mimetype="text/plain")

    @app.errorhandler(OSError)
    def no_disk(error: OSError) -> Response:
        log.error("the disk: %s", error)
        return Response("nothing can be stored just now\n", 503, mimetype="text/plain")

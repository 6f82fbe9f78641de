"""`POST /` and `POST /reports/PROGRAM/`: usage reports; below each `policy.json`, what is taken, and `erase`."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadRequest, Forbidden, NotFound, ServiceUnavailable

from envfab.collector.days import milliseconds_now
from envfab.collector.db import usage_reports
from envfab.collector.db.engine import CollectorError
from envfab.collector.erase_reports import WrongSecret, erase
from envfab.collector.policies import read_policy
from envfab.collector.report_store import StoredReport, TooManyPrograms, is_program
from envfab.collector.request_body import read_body
from envfab.collector.service import Service
from envfab.usagestats.erasure import parse_request
from envfab.usagestats.report import MAX_REPORT, MalformedReport, Report, parse_report

# urllib says that it sends a form unless it is told what it sends.
KINDS = ("text/", "application/x-www-form-urlencoded", "application/octet-stream")
MAX_REQUEST = 1024  # bytes of a request to erase
log = logging.getLogger(__name__)


def endpoints(service: Service) -> Blueprint:
    """The endpoints of usage reports, which need no token: they come from programs in the wild."""
    routes = Blueprint("reports", __name__)

    @routes.post("/")
    @routes.post("/reports/<program>/")
    @routes.post("/reports/<program>")
    def report(program: str = "") -> Response:
        if program and not is_program(program):
            raise NotFound("this cannot be the name of a program")
        body = read_body(request, MAX_REPORT, KINDS)
        parsed = _parsed(body, program)
        address = (request.remote_addr or "") if service.config.store_addresses else ""
        try:
            stored = service.folder.store(body, program, address)
        except TooManyPrograms:
            log.warning("%s: usage reports of a further program are refused; make its folder to take them", program)
            raise Forbidden("usage reports of further programs are not taken here") from None
        if _may_stay(service, stored, parsed):
            return Response("stored", mimetype="text/plain")
        service.folder.delete(program, stored.file)
        # A success all the same, so that the client does not try again.
        return Response("not stored: reports under this id were erased", mimetype="text/plain")

    @routes.post("/erase")
    @routes.post("/reports/<program>/erase")
    def erasure(program: str = "") -> Response:
        if program and not is_program(program):
            raise NotFound("this cannot be the name of a program")
        told = parse_request(read_body(request, MAX_REQUEST, KINDS))
        if told is None:
            raise BadRequest("must be two lines: user:ID and secret:SECRET")
        try:
            number = erase(service.storage, service.folder, program, *told, milliseconds_now())
        except WrongSecret:
            raise Forbidden("the reports under this id do not carry the hash of this secret") from None
        return Response(f"erased:{number}\n", mimetype="text/plain")

    @routes.get("/policy.json")
    @routes.get("/reports/<program>/policy.json")
    def policy(program: str = "") -> Response:
        if program and not is_program(program):
            raise NotFound("this cannot be the name of a program")
        try:
            found = read_policy(service.folder, program, milliseconds_now())
        except CollectorError as error:
            log.error("%s", error)
            # Clients go on with the last good one, or wait.
            raise ServiceUnavailable("the policy of this program cannot be used just now") from None
        if found is None:
            raise NotFound("this program has no policy")
        return Response(found[0], mimetype="application/json")

    return routes


def _parsed(body: bytes, program: str) -> Report:
    try:
        report = parse_report(body, program)
        usage_reports.check_size(report)
    except MalformedReport as error:
        raise BadRequest(str(error)) from None
    return report


def _may_stay(service: Service, stored: StoredReport, report: Report) -> bool:
    """Index a report that is on disk; where that fails, the work in the background does it later."""
    try:
        with service.storage.writing() as connection:
            return usage_reports.index(connection, stored, report)
    except SQLAlchemyError as error:
        log.warning("the usage report %s is not indexed yet: %s", stored.file, error)
        service.index_soon()
        return True

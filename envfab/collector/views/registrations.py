"""`POST /application/register/`: Difio's protocol."""

from __future__ import annotations

from flask import Blueprint, Response, request
from packaging.utils import canonicalize_name
from werkzeug.exceptions import BadRequest

from envfab.collector.days import milliseconds_now
from envfab.collector.db import applications
from envfab.collector.request_body import read_body
from envfab.collector.service import Service
from envfab.errors import RegistrationError
from envfab.registration.difio.protocol import (
    MAX_BODY,
    Registration,
    format_answer,
    parse_registration,
    registered,
)

FORM = "application/x-www-form-urlencoded"


def endpoints(service: Service) -> Blueprint:
    """The endpoint of registrations."""
    routes = Blueprint("registrations", __name__)

    @routes.post("/application/register/")
    @routes.post("/application/register")
    def register() -> Response:
        registration = _registration()
        known = service.vulnerabilities
        if known is not None:
            # before others have to wait: new names are looked up in the export
            known.of([(canonicalize_name(name), version) for name, version in registration.packages])
        with service.storage.writing() as connection:
            now = milliseconds_now()
            number = applications.store(connection, registration, now)
            service.freshness.mark(connection, number)
            if known is not None:
                known.mark(connection, number, now)
        return Response(format_answer(registered(registration.uuid)), mimetype="application/json")

    return routes


def _registration() -> Registration:
    try:
        return parse_registration(read_body(request, MAX_BODY, (FORM,)))
    except RegistrationError as error:
        raise BadRequest(" ".join(str(error).split())) from None

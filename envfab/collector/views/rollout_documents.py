"""`PUT /rollouts/ID`: what a fabfile tells of a rollout."""

from __future__ import annotations

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from envfab.collector.days import milliseconds_now
from envfab.collector.db import rollouts
from envfab.collector.request_body import read_body
from envfab.collector.service import Service
from envfab.models.rollout_document import MAX_BODY, RolloutDocument, rollout_from_json
from envfab.util.untrusted import one_line, parse_json

JSON = "application/json"
LONGEST_REASON = 300  # characters


def endpoints(service: Service) -> Blueprint:
    """The endpoint of documents of rollouts."""
    routes = Blueprint("rollout_documents", __name__)

    @routes.put("/rollouts/<rollout>")
    def put(rollout: str) -> Response:
        document = _document(read_body(request, MAX_BODY, (JSON,)), rollout)
        with service.storage.writing() as connection:
            done = rollouts.store(connection, document, milliseconds_now())
        return Response(f"{done}\n", mimetype="text/plain")

    return routes


def _document(body: bytes, rollout: str) -> RolloutDocument:
    try:
        document = rollout_from_json(_json(body))
    except ValueError as error:
        raise BadRequest(one_line(str(error))[:LONGEST_REASON]) from None
    if document.rollout != rollout:
        raise BadRequest("the address must end with the 'rollout' of the document")
    return document


def _json(body: bytes) -> object:
    try:
        return parse_json(body)
    except ValueError as error:
        raise ValueError(f"the body must be JSON: {error}") from None

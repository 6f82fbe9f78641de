"""`/healthz` and `/metrics`: for what watches over the server."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from envfab.collector.health import Health
from envfab.collector.metrics import Metrics
from envfab.collector.service import Service
from envfab.util.prometheus import CONTENT_TYPE


def endpoints(service: Service, metrics: Metrics) -> Blueprint:
    """The endpoints; `/healthz` needs no token."""
    routes = Blueprint("monitoring", __name__)
    health = Health(service.storage, service.config.reports_folder)

    @routes.get("/healthz")
    def healthz() -> tuple[Response, int]:
        problems = health.problems()
        if problems:
            return jsonify(status="unavailable", problems=problems), 503
        return jsonify(status="ok"), 200

    @routes.get("/metrics")
    def tell_metrics() -> Response:
        return Response(metrics.text(), content_type=CONTENT_TYPE)

    return routes

"""`GET /public/PROGRAM`: the numbers of a program's weeks, for anybody."""

from __future__ import annotations

from flask import Blueprint, Response, render_template
from werkzeug.exceptions import NotFound

from envfab.collector.db import published_weeks
from envfab.collector.publication import LEAST
from envfab.collector.service import Service
from envfab.collector.views.usage import CHARTS

WEEKS = 52
CACHED = 3600  # seconds; the page changes once a week


def endpoints(service: Service) -> Blueprint:
    """The public pages, which need no token: of programs that the operator named."""
    routes = Blueprint("public", __name__)

    @routes.get("/public/<program>")
    def public(program: str) -> Response:
        if program not in service.config.public:
            raise NotFound("No numbers of a program of this name are published here.")
        with service.storage.reading() as connection:
            weeks = published_weeks.list_latest(connection, program, WEEKS)
        page = render_template("public.html", program=program, weeks=weeks, least=LEAST, titles=CHARTS)
        return Response(page, headers={"Cache-Control": f"public, max-age={CACHED}"}, mimetype="text/html")

    return routes

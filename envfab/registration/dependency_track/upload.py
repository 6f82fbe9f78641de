"""Uploading a bill of materials to Dependency-Track, and asking whether it is still being processed."""

from __future__ import annotations

from collections.abc import Mapping

from envfab.errors import RegistrationError
from envfab.registration.dependency_track.protocol import (
    MAX_PROBLEM,
    PROBLEM,
    Bom,
    format_bom,
    parse_problem,
    parse_processing,
    parse_upload,
)
from envfab.registration.http import Reply, check_secret, exchange
from envfab.registration.servers import ServerAnswer
from envfab.util.counts import count
from envfab.util.http import Request, WebSession
from envfab.util.untrusted import shown_url

ACCEPT = {"Accept": "application/json"}
HEADERS = {**ACCEPT, "Content-Type": "application/json"}
REFUSED = 1  # the exit code of a refusal
RIGHTS = "the API key's team needs the permissions BOM_UPLOAD and PROJECT_CREATION_UPLOAD"


def put(session: WebSession, url: str, api_key: str | None, bom: Bom) -> ServerAnswer:
    """Upload a document; raises `RegistrationError` (`Communication failed`) for anything but an answer.

    That the document is invalid is an answer, too, since sending it again would change nothing.
    """
    address = f"{url.rstrip('/')}/api/v1/bom"
    request = Request(address, HEADERS, "PUT", format_bom(bom), _secrets(api_key, url))
    reply = exchange(session, request, limit=MAX_PROBLEM)
    why = ""
    if reply.status == 200 and reply.kind == "application/json":
        try:
            token = parse_upload(reply.content)
            return ServerAnswer(f"{count(bom.components, 'package')} of {bom.name}", 0, token)
        except RegistrationError as error:
            why = error.what
    problem = parse_problem(reply.content) if reply.kind == PROBLEM else ""
    if problem and reply.status == 400:
        return ServerAnswer(f"{bom.name}: {problem}", REFUSED)
    if problem:
        raise RegistrationError(f"Communication failed: {problem}", where=shown_url(url), hint=_hint(reply, bom))
    raise reply.failure(url, why, _hint(reply, bom))


def is_processing(session: WebSession, url: str, api_key: str | None, token: str, timeout: float) -> bool:
    """Whether an upload is still being processed; raises `RegistrationError` where the server does not say."""
    address = f"{url.rstrip('/')}/api/v1/event/token/{token}"
    reply = exchange(session, Request(address, ACCEPT, secrets=_secrets(api_key, url)), timeout=timeout)
    why = ""
    if reply.status == 200 and reply.kind == "application/json":
        try:
            return parse_processing(reply.content)
        except RegistrationError as error:
            why = error.what
    raise reply.failure(url, why)


def _secrets(api_key: str | None, url: str) -> Mapping[str, str]:
    check_secret("API key", api_key or "", url)
    return {"X-Api-Key": api_key or ""}


def _hint(reply: Reply, bom: Bom) -> str:
    if reply.status in (401, 403):
        return RIGHTS
    if reply.status == 404 and bom.parent is not None and reply.kind != "text/html":
        return f"is there a project {bom.parent} without a version? DependencyTrack(project=…) names one that exists"
    if reply.kind == "text/html":
        return "give the address of Dependency-Track's API server; that of its pages may be another one"
    return ""

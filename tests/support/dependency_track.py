"""A double of Dependency-Track over real HTTP: its way to take documents, as strict about them as the real one."""

from __future__ import annotations

import base64
import binascii
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.support.registration_server import Reply
from tests.support.web import QuietHandler, serving

KEY = "odt_s3cret"
FIELDS = {"projectName", "projectVersion", "autoCreate", "parentName", "parentUUID", "bom"}
JSON = {"Content-Type": "application/json"}
PROBLEM = {"Content-Type": "application/problem+json"}


@dataclass(frozen=True, slots=True)
class Received:
    """A request that came: what, where, with which headers by lower-case name, and its body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON of the body."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def bom(self) -> dict[str, Any]:
        """The document that was uploaded."""
        found: dict[str, Any] = json.loads(base64.b64decode(self.fields["bom"], validate=True))
        return found

    @property
    def components(self) -> dict[str, str]:
        """The versions of its components that are packages, by name."""
        packages = [one for one in self.bom["components"] if one.get("purl", "").startswith("pkg:pypi/")]
        return {one["name"]: one["version"] for one in packages}


@dataclass
class DependencyTrackServer:
    """What came, and how to answer: `answer` may reply in place of the server, `polls` is how often it is busy.

    `projects` has the latest document of each project, by name; `parents` are projects that exist without one.
    """

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    projects: dict[str, Received] = field(default_factory=dict)
    parents: set[str] = field(default_factory=set)
    may_create: bool = True
    polls: int = 0
    answer: Callable[[Received], Reply | None] = lambda _: None
    released: threading.Event = field(default_factory=threading.Event)
    busy: dict[str, int] = field(default_factory=dict)

    @property
    def uploads(self) -> list[Received]:
        """The requests that were uploads."""
        return [one for one in self.requests if one.method == "PUT"]

    @property
    def questions(self) -> list[Received]:
        """The requests that asked for the state of an upload."""
        return [one for one in self.requests if one.method == "GET"]

    def slow(self, _request: Received) -> Reply | None:
        """Answer when the test is over."""
        self.released.wait(60)
        return None

    def reply(self, request: Received) -> Reply:
        """What the real server would say."""
        own = self.answer(request)
        if own is not None:
            return own
        if request.headers.get("x-api-key") != KEY:
            return Reply(b"", 401, {})
        if request.method == "PUT" and request.path == "/api/v1/bom":
            return self._upload(request)
        prefix = "/api/v1/event/token/"
        if request.method == "GET" and request.path.startswith(prefix):
            token = request.path.removeprefix(prefix)
            left = self.busy.get(token, 0)
            self.busy[token] = left - 1
            return Reply(json.dumps({"processing": left > 0}).encode(), 200, JSON)
        return Reply(b"", 404, {})

    def _upload(self, request: Received) -> Reply:
        fields = request.fields
        if request.headers.get("content-type") != "application/json" or not fields.keys() <= FIELDS:
            return Reply(b"", 415, {})
        name, version = fields["projectName"], fields["projectVersion"]
        if not name.strip() or not version.strip() or len(name) > 255 or fields["autoCreate"] is not True:
            return Reply(b'[{"message": "a field is wrong"}]', 400, JSON)
        try:
            document = base64.b64decode(fields["bom"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return Reply(b'[{"message": "The BOM must be Base64 encoded"}]', 400, JSON)
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)
        if error is not None:
            return problem(
                400, "The uploaded BOM is invalid", "Schema validation failed", [str(error).partition("\n")[0]]
            )
        if name not in self.projects:
            if not self.may_create:
                return Reply(
                    b"The principal does not have permission to create project.", 401, {"Content-Type": "text/plain"}
                )
            parent = fields.get("parentName", fields.get("parentUUID"))
            if parent is not None and parent not in self.parents:
                return Reply(b"The parent project could not be found.", 404, {"Content-Type": "text/plain"})
        self.projects[name] = request
        token = str(uuid.uuid4())
        self.busy[token] = self.polls
        return Reply(json.dumps({"token": token}).encode(), 200, JSON)


def problem(status: int, title: str, detail: str, errors: list[str] | None = None) -> Reply:
    """An answer by RFC 9457, with the errors of an invalid document where there are any."""
    fields: dict[str, Any] = {"status": status, "title": title, "detail": detail}
    return Reply(json.dumps(fields | ({"errors": errors} if errors else {})).encode(), status, PROBLEM)


@contextmanager
def running_dependency_track() -> Iterator[DependencyTrackServer]:
    """A server in a thread, until the end of the block."""
    server = DependencyTrackServer()

    class Handler(QuietHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Received(self.command, self.path, {n.lower(): v for n, v in self.headers.items()}, body)
            server.requests.append(request)
            reply = server.reply(request)
            self.answer(reply.status, reply.headers, reply.body)

        do_GET = do_PUT

    with serving(Handler, server.released) as server.url:
        yield server

"""A package index with PEP 691 pages on loopback, whose answers can be made wrong."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envfab.index.pages import JSON_TYPE
from envfab.wheelhouse.validate import metadata_file
from tests.support.serving import running
from tests.support.wheels import sha256

Change = Callable[[dict[str, Any]], None]


@dataclass
class Server:
    """Serves wheels of a folder; `asked` are the paths that were asked for, with the range where there was one."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    page: Change | None = None
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    metadata: bool = True
    cut_at: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    stall: str = ""
    sdists: tuple[str, ...] = ()

    def of(self, project: str) -> dict[str, Any]:
        """A project's page."""
        files = [self.describe(path) for path in sorted(self.folder.glob(f"{project.replace('-', '_')}-*.whl"))]
        files += [
            {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": "0" * 64}}
            for name in self.sdists
            if name.startswith(f"{project}-")
        ]
        page = {"meta": {"api-version": "1.0"}, "name": project, "files": files}
        if self.page is not None:
            self.page(page)
        return page

    def describe(self, path: Path) -> dict[str, Any]:
        """A wheel as a page tells of it."""
        told: dict[str, Any] = {
            "filename": path.name,
            "url": f"../../files/{path.name}",
            "hashes": {"sha256": sha256(path)},
        }
        told["size"] = path.stat().st_size
        if self.metadata:
            told["core-metadata"] = {"sha256": hashlib.sha256(metadata_file(path)).hexdigest()}
        return told

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """(status, type, content) of what lies at `path`."""
        if path in self.answers:
            return self.answers[path]
        if path.startswith("/simple/"):
            page = self.of(path.split("/")[2])
            return (200, JSON_TYPE, json.dumps(page).encode()) if page["files"] else (404, "text/html", b"none")
        file = self.folder / path.rpartition("/")[2]
        if file.name.endswith(".metadata"):
            return 200, "text/plain", metadata_file(file.with_name(file.name.removesuffix(".metadata")))
        return (200, "application/zip", file.read_bytes()) if file.exists() else (404, "text/html", b"none")


@contextmanager
def faulty(folder: Path) -> Iterator[Server]:
    """A running server for the wheels of `folder`."""
    server = Server(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            server.asked.append(f"{self.path} {wanted}".strip())
            if server.stall and server.stall in self.path:
                server.stop.wait(10)
                return
            if self.path in server.redirects:
                self.send_response(302)
                self.send_header("Location", server.redirects[self.path])
                self.end_headers()
                return
            status, kind, content = server.answer(self.path)
            start = 0
            if wanted and status == 200:
                start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
                if start >= len(content):
                    status, start = 416, len(content)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = server.cut_at if server.cut_at is not None and self.path.endswith(".whl") else len(content)
            self.wfile.write(content[start:end])

    with running(Handler) as url:
        server.url = f"{url}simple/"
        try:
            yield server
        finally:
            server.stop.set()

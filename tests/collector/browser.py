"""A real browser without a screen: Debian's Chromium."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from waitress.server import create_server

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
MEASURE = "/measure-in-the-browser"
SCRIPT = """
<script>
onload = () => {
  document.getElementById("found").textContent = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument.documentElement;
    return [frame.dataset.path, page.scrollWidth, page.clientWidth, frame.contentDocument.title].join("|");
  }).join("\\n");
};
</script>
"""


def chromium() -> str | None:
    """The browser's program, where it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def dump_dom(program: str, url: str, profile: Path) -> str:
    """The document at `url` as the browser sees it once it is loaded."""
    arguments = [program, *FLAGS, f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom", url]
    done = subprocess.run(arguments, capture_output=True, encoding="utf-8", timeout=60, check=True)
    return done.stdout


def with_measuring(application: WSGIApplication, paths: Iterable[str], width: int) -> WSGIApplication:
    """The application, and beside it a page that shows `paths` in frames and writes down how wide they are."""
    frames = "".join(
        f'<iframe width="{width}" height="800" style="border:0" data-path="{escape(path)}" src="{escape(path)}"></iframe>'
        for path in paths
    )
    page = f"<!doctype html><pre id=found></pre>{frames}{SCRIPT}".encode()

    def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != MEASURE:
            return application(environ, start_response)
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(page)))])
        return [page]

    return wrapped


@contextmanager
def serving(application: Callable[..., Any]) -> Iterator[str]:
    """The URL under which waitress serves an application, in threads of this process."""
    server = create_server(application, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        # in its own thread: a socket that is closed while `select` looks at it is an error there
        server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
        server.task_dispatcher.shutdown()
        thread.join(timeout=10)

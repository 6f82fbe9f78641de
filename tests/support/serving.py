"""A plain web server on loopback, for folders and for indexes that misbehave."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Handler = Callable[..., http.server.BaseHTTPRequestHandler]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """The handler of `python -m http.server`, without its log."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def running(handler: Handler) -> Iterator[str]:
    """The address of a server with `handler`, ending with a slash."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a folder, as any web server has it."""
    with running(functools.partial(Quiet, directory=str(folder))) as url:
        yield url

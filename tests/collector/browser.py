"""A real browser without a screen: Debian's Chromium."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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


def chromium() -> str | None:
    """The browser's program, where it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def showing(program: str, url: str, profile: Path) -> Iterator[None]:
    """A browser that shows a page, until the end of the block."""
    arguments = [program, *FLAGS, f"--user-data-dir={profile}", url]
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


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

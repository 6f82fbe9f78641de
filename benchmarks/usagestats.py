"""What usage statistics cost a program: `python benchmarks/usagestats.py [--runs N] [--original PYTHON]`.

Each figure is the median over short real programs that submit one report and end. `--original`
names an interpreter that has the `usagestats` package, to be measured beside envfab's.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROGRAM = """
import sys, time
{import_line}
began = time.perf_counter()
stats = usagestats.Stats(sys.argv[1], "", sys.argv[2], "1.0", unique_user_id=True)
made = time.perf_counter()
stats.submit({{"what": "ran"}}, usagestats.OPERATING_SYSTEM, usagestats.PYTHON_VERSION)
print(made - began, time.perf_counter() - made)
"""
OURS = PROGRAM.format(import_line="from envfab import usagestats")
ORIGINAL = PROGRAM.format(import_line="import usagestats")
SLOW = 5.0  # seconds before the slow server answers


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds: making the `Stats` object, `submit()`, and the whole program beyond an empty one."""

    made: float
    submitted: float
    whole: float


@contextmanager
def server(delay: float) -> Iterator[str]:
    """A server that stores every report after `delay` seconds."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(delay)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """The slow server's clients do not wait for it."""

    with QuietServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def closed() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def empty(python: str, runs: int) -> float:
    """The median time of a program that does nothing."""
    return statistics.median(timed([python, "-c", "pass"])[0] for _ in range(runs))


def timed(command: list[str]) -> tuple[float, str]:
    """How long a command takes, and what it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DO_NOT_TRACK", "CI")}
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return time.perf_counter() - began, done.stdout


def measure(python: str, program: str, status: str, url: str, runs: int, *, pauses: bool) -> Figures:
    """Medians over `runs` programs in one location; without `pauses` each finds the server untried."""
    bare = empty(python, runs)
    made, submitted, whole = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        if status:
            Path(folder, "status").write_text(status)
        if pauses:
            timed([python, "-c", program, folder, url])
        for _ in range(runs):
            if not pauses:
                Path(folder, "retry").unlink(missing_ok=True)
            took, out = timed([python, "-c", program, folder, url])
            first, second = map(float, out.split())
            made.append(first)
            submitted.append(second)
            whole.append(took - bare)
    return Figures(*map(statistics.median, (made, submitted, whole)))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="What usage statistics cost a program.")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--original", metavar="PYTHON", help="an interpreter that has usagestats 1.0.1")
    options = parser.parse_args()
    with ExitStack() as stack:
        healthy = stack.enter_context(server(0.0))
        slow = stack.enter_context(server(SLOW))
        mute = stack.enter_context(silent())
        cases = [
            ("disabled", "DISABLED", healthy, False, options.runs),
            ("not chosen", "", healthy, False, options.runs),
            ("enabled, healthy server", "ENABLED", healthy, False, options.runs),
            (f"enabled, slow server ({SLOW:.0f} s), tried", "ENABLED", slow, False, 3),
            (f"enabled, slow server ({SLOW:.0f} s), paused", "ENABLED", slow, True, options.runs),
            ("enabled, silent server, tried", "ENABLED", mute, False, 3),
            ("enabled, silent server, paused", "ENABLED", mute, True, options.runs),
            ("enabled, dead server, tried", "ENABLED", closed(), False, options.runs),
            ("enabled, dead server, paused", "ENABLED", closed(), True, options.runs),
        ]
        sys.stdout.write(f"{'milliseconds, medians':<44}{'Stats()':>9}{'submit()':>10}{'program':>10}\n")
        for name, status, url, pauses, runs in cases:
            show(name, measure(sys.executable, OURS, status, url, runs, pauses=pauses))
            if options.original and not pauses:
                show("    the original library", measure(options.original, ORIGINAL, status, url, runs, pauses=False))


def show(name: str, figures: Figures) -> None:
    """A line of the table."""
    columns = f"{figures.made * 1000:>9.2f}{figures.submitted * 1000:>10.2f}{figures.whole * 1000:>10.1f}"
    sys.stdout.write(f"{name:<44}{columns}\n")


if __name__ == "__main__":
    main()

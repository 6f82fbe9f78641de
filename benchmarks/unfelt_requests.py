"""What a site's visitors feel of a deployment: requests without pause while packages change and gunicorn restarts.

    python -m benchmarks.unfelt_requests [--deployments 5] [--ways envfab pinned pip uv pyinfra ansible]

The virtualenv of `benchmarks.unfelt`, behind a socket that stays, as systemd's socket activation has it. Each request
imports a module and renders a template, which most workers meet for the first time: workers end after some requests,
and new ones start. The answer says of which release the worker, Django, the module, and the template are. A request
that gets no answer, or an error, has failed; one whose parts are of two releases is mixed. Writes
`results/unfelt_requests.json`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.unfelt import MODULES, RESULTS, WAYS, Beside, Site

WORKERS, CLIENTS, REQUESTS_OF_A_WORKER = 2, 2, 60
# seconds
PATIENCE = 60
APP = """
import importlib, os
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
import release

settings.configure(ALLOWED_HOSTS=['*'], ROOT_URLCONF=__name__, TEMPLATES=[{
    'BACKEND': 'django.template.backends.django.DjangoTemplates',
    'DIRS': [os.path.join(os.path.dirname(release.__file__), 'templates')],
}])
django.setup()

def page(request, number):
    from django.template.loader import render_to_string
    module = importlib.import_module('release.m%d' % number)
    importlib.import_module('django.contrib.' + ('humanize', 'syndication', 'sitemaps', 'flatpages')[number % 4])
    of_django = {'5.1': '1', '5.2': '2'}[django.__version__[:3]]
    return HttpResponse(release.RELEASE + of_django + module.RELEASE + render_to_string('t%d.html' % number).strip())

urlpatterns = [path('<int:number>', page)]
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""


@dataclass
class Server:
    """gunicorn out of a virtualenv, one after another behind the same socket."""

    python: Path
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "app.py").write_text(APP)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address: tuple[str, int] = self._socket.getsockname()
        self._running: subprocess.Popen[bytes] | None = None
        self.restarts = 0

    def restart(self) -> None:
        """Start another one, wait until its workers answer, and let the one before end its requests."""
        self.restarts += 1
        before = self._running
        ready = self.folder / f"ready{self.restarts}"
        config = self.folder / f"gunicorn{self.restarts}.py"
        config.write_text(f"def post_worker_init(worker):\n    open({str(ready)!r}, 'w').close()\n")
        number = self._socket.fileno()
        program = [str(self.python), "-m", "gunicorn", "app", "--config", str(config), "--log-level", "critical"]
        program += ["--workers", str(WORKERS), "--max-requests", str(REQUESTS_OF_A_WORKER)]
        script = f"exec 3<&{number}; LISTEN_PID=$$ LISTEN_FDS=1 exec {shlex.join(program)}"
        self._running = subprocess.Popen(["bash", "-c", script], cwd=self.folder, pass_fds=[number])
        deadline = time.monotonic() + PATIENCE
        while not ready.exists():
            if time.monotonic() > deadline:
                sys.exit("gunicorn does not start")
            time.sleep(0.01)
        if before is not None:
            before.terminate()
            before.wait(PATIENCE)

    def end(self) -> None:
        """End the last one."""
        if self._running is not None:
            self._running.terminate()
            self._running.wait(PATIENCE)
        self._socket.close()


@dataclass
class Visitors:
    """How a request ends."""

    address: tuple[str, int]
    errors: Counter[str] = field(default_factory=Counter)
    chosen: random.Random = field(default_factory=lambda: random.Random(4))

    def once(self) -> str:
        """Ask for one of the pages: "ok", "mixed" or "failed"."""
        return self._visit(self.chosen.randrange(MODULES))

    def _visit(self, number: int) -> str:
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        try:
            connection.request("GET", f"/{number}")
            response = connection.getresponse()
            said = response.read().decode()
            if response.status != http.HTTPStatus.OK:
                self.errors[f"status {response.status}"] += 1
                return "failed"
        except (OSError, http.client.HTTPException) as error:
            self.errors[type(error).__name__] += 1
            return "failed"
        finally:
            connection.close()
        return "mixed" if len(set(said)) > 1 else "ok"


class Restarts:
    """What the fabfile's `reload` waits for: a line into one pipe, and a line out of the other once it is done."""

    def __init__(self, folder: Path, server: Server) -> None:
        self._asked, self._done = folder / "restart", folder / "restarted"
        for pipe in (self._asked, self._done):
            os.mkfifo(pipe)
        self._server = server
        threading.Thread(target=self._serve, daemon=True).start()
        self.command = f"echo now > {self._asked} && read -r done < {self._done}"

    def _serve(self) -> None:
        while True:
            self._asked.read_text()
            self._server.restart()
            self._done.write_text("done\n")


def measure(server: Server, change: Callable[[str], None], deployments: int) -> Mapping[str, object]:
    """Go back and forth beside requests, so many times."""
    visitors = Visitors(server.address)
    began = time.perf_counter()
    beside = Beside(CLIENTS, visitors.once)
    beside.begin()
    try:
        for turn in range(deployments):
            change("2" if turn % 2 == 0 else "1")
    finally:
        beside.end()
    counts = beside.counts
    return {
        "deployments": deployments,
        "seconds": round((time.perf_counter() - began) / deployments, 2),
        "requests": sum(counts.values()),
        "failed": counts["failed"],
        "mixed": counts["mixed"],
        "errors": visitors.errors.most_common(3),
    }


def by_hand(way: Callable[[str], None], server: Server, release: str) -> None:
    """Change the virtualenv in place, and restart."""
    way(release)
    server.restart()


def main() -> None:
    """Measure each way, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--deployments", type=int, default=5)
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    options = parser.parse_args()
    rows: dict[str, Mapping[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        root = Path(folder)
        site = Site(root, more=["gunicorn"], templates=True)
        for name in options.ways:
            site.make()
            server = Server(site.path / "bin" / "python", root / name)
            restarts = Restarts(root / name, server)
            server.restart()

            ways: dict[str, Callable[[str], None]] = {
                "envfab": partial(site.by_envfab, reload=restarts.command),
                "pinned": partial(site.by_envfab, pinned=True, reload=restarts.command),
            }
            ways |= {peer: partial(by_hand, way, server) for peer, way in site.peers.items()}
            try:
                if name in ("envfab", "pinned"):
                    rows[f"{name}, the first deployment"] = measure(server, ways[name], 1)
                    ways[name]("1")
                rows[name] = measure(server, ways[name], options.deployments)
            finally:
                server.end()
    for name, row in rows.items():
        print(f"{name:<30} " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    RESULTS.mkdir(exist_ok=True)
    figures = {name: {key: row[key] for key in row if key != "errors"} for name, row in rows.items()}
    (RESULTS / "unfelt_requests.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()

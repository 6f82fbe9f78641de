"""What pip itself would do: a wheelhouse served as an index, and pip asked in a process that answers many questions."""

from __future__ import annotations

import contextlib
import html
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.planning.generated import EXTRA, Case, WheelSpec
from tests.support.wheels import make_wheel

PROCESSES = 2

# Runs with the oracle's own interpreter, imports nothing but pip. A question is a line of JSON, and so is an answer.
DRIVER = """
import json, os, sys
from urllib.parse import unquote
from pip._internal.cli.main import main
for line in open(sys.argv[1]):
    question = json.loads(line)
    folder = question["folder"]
    report = os.path.join(folder, "report.json")
    path = sys.path[:]
    sys.path.insert(0, os.path.join(folder, "installed"))
    arguments = ["install", "--isolated", "--disable-pip-version-check", "--no-cache-dir", "--no-input", "-qqq",
                 "--only-binary", ":all:", "-U", "--dry-run", "--report", report, "--index-url", question["index"],
                 "--retries", "0", "--log", os.path.join(folder, "log"),
                 "-r", os.path.join(folder, "requirements.txt"), "-c", os.path.join(folder, "constraints.txt")]
    status = main(arguments)
    sys.path[:] = path
    answer = {"seed": question["seed"], "status": status, "install": {}}
    if status == 0:
        for item in json.load(open(report))["install"]:
            answer["install"][item["metadata"]["name"]] = unquote(item["download_info"]["url"]).rpartition("/")[2]
    print("answer " + json.dumps(answer), flush=True)
"""


def ask_pip(python: Path, cases: Sequence[Case], folder: Path) -> dict[int, dict[str, str] | None]:
    """By seed: the file names of the wheels that pip would install, by name; None where it finds no solution."""
    by_seed = {case.seed: case for case in cases}
    with _index(by_seed, folder) as address:
        questions = [_question(case, folder / str(case.seed), address) for case in cases]
        running = [
            _ask(python, questions[start::PROCESSES], folder / f"questions-{start}") for start in range(PROCESSES)
        ]
        outputs = [process.communicate()[0] for process in running]
    answers: dict[int, dict[str, str] | None] = {}
    for output in outputs:
        for line in output.splitlines():
            if line.startswith("answer "):
                answer = json.loads(line.removeprefix("answer "))
                answers[answer["seed"]] = answer["install"] if answer["status"] == 0 else None
    return answers


def _ask(python: Path, questions: Sequence[Mapping[str, object]], asked: Path) -> subprocess.Popen[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PIP_") and "proxy" not in name.lower()
    }
    asked.write_text("".join(json.dumps(question) + "\n" for question in questions))
    return subprocess.Popen(
        [python, "-I", "-c", DRIVER, asked],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def _question(case: Case, folder: Path, address: str) -> dict[str, object]:
    for there in case.installed:
        info = folder / "installed" / f"{there.name}-{there.version}.dist-info"
        info.mkdir(parents=True)
        fields = [("Metadata-Version", "2.1"), ("Name", there.name), ("Version", there.version)]
        fields += [("Provides-Extra", EXTRA), *(("Requires-Dist", line) for line in there.requires)]
        (info / "METADATA").write_text("".join(f"{name}: {value}\n" for name, value in fields))
        (info / "RECORD").touch()
        (info / "INSTALLER").write_text("pip\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text("\n".join(case.requirements))
    (folder / "constraints.txt").write_text("\n".join(case.constraints))
    return {"seed": case.seed, "folder": str(folder), "index": f"{address}/{case.seed}/simple/"}


@contextlib.contextmanager
def _index(cases: Mapping[int, Case], folder: Path) -> Iterator[str]:
    """Every case's wheelhouse as an index on loopback, at `/SEED/simple/`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Index, cases, folder))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Index(BaseHTTPRequestHandler):
    """PEP 503 pages with data-requires-python and data-yanked; wheels are made when they are asked for."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: on loopback, waiting for the second one costs 40 ms

    def __init__(self, cases: Mapping[int, Case], folder: Path, *args: object) -> None:
        self.cases = cases
        self.folder = folder
        super().__init__(*args)  # type: ignore[arg-type] # what socketserver gives: request, address, server

    def do_GET(self) -> None:
        _, seed, kind, name, *_ = self.path.split("/")
        wheels = self.cases[int(seed)].wheels
        if kind == "simple":
            of_name = sorted((wheel for wheel in wheels if wheel.name == name), key=lambda wheel: wheel.filename)
            page = "".join(_link(wheel, seed) for wheel in of_name)
            self._answer(
                200 if of_name else 404, f"<!DOCTYPE html><html><body>{page}</body></html>".encode(), "text/html"
            )
            return
        filename = name.replace("%2B", "+")
        wheel = next(wheel for wheel in wheels if wheel.filename == filename)
        self._answer(200, self._file(wheel, seed).read_bytes(), "application/octet-stream")

    def _file(self, wheel: WheelSpec, seed: str) -> Path:
        return make_wheel(
            self.folder / seed / "wheels",
            wheel.name,
            wheel.version,
            requires=wheel.requires,
            requires_python=wheel.requires_python,
            extras=[EXTRA],
            tags=(wheel.tag,),
            build=wheel.build,
            filename=wheel.filename,
        )

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing: the test's output is its answers."""


def _link(wheel: WheelSpec, seed: str) -> str:
    attributes = ""
    if wheel.requires_python:
        attributes += f' data-requires-python="{html.escape(wheel.requires_python)}"'
    if wheel.yanked:
        attributes += ' data-yanked="withdrawn"'
    url = f"/{seed}/files/{wheel.filename.replace('+', '%2B')}"
    return f'<a href="{url}"{attributes}>{wheel.filename}</a>'


def version_of_pip(python: Path) -> tuple[int, ...]:
    """The version of an interpreter's pip; empty where it has none."""
    asked = subprocess.run([python, "-I", "-c", "import pip; print(pip.__version__)"], capture_output=True, text=True)
    numbers = asked.stdout.strip().split(".")
    return tuple(int(number) for number in numbers if number.isdigit()) if asked.returncode == 0 else ()

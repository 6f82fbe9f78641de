"""Registrations at a steady rate, from as many applications, and what was answered to them."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from tests.support.postgres import Postgres
from tests.support.web_workers import workers_of

MARKER = "marker"  # a package whose version is the number of the registration


@dataclass(slots=True)
class Answers:
    """How many registrations were stored, and why others were not; `seconds` from when each was due to its answer.

    `acknowledged` is the number of the last registration of each application that was answered with 200.
    """

    acknowledged: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    took: float = 0.0

    @property
    def stored(self) -> int:
        """How many were answered with 200."""
        return len(self.seconds)


def register_steadily(url: str, rate: float, seconds: float, applications: int, packages: int) -> Answers:
    """Send `rate` registrations a second, each when it is due whether others were answered or not.

    Applications take turns, each with `packages` packages of which one changes, and an application is asked for again
    only after it was answered.
    """
    answers = Answers()
    began = time.monotonic()

    def send_for(application: int) -> None:
        """Send all registrations of one application, one after another."""
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        for number in range(1 + (int(rate * seconds) - 1 - application) // applications):
            due = began + (number * applications + application) / rate
            time.sleep(max(0.0, due - time.monotonic()))
            problem = _problem(connection, form(application, number, packages))
            if problem is None:
                answers.seconds.append(time.monotonic() - due)
                answers.acknowledged[f"load-{application}"] = number
            else:
                answers.failures[problem] += 1

    with ThreadPoolExecutor(max_workers=applications) as pool:
        list(pool.map(send_for, range(applications)))
    answers.took = time.monotonic() - began
    return answers


def lost_of(answers: Answers, url: str) -> dict[str, tuple[int, int | None]]:
    """The applications of which an answered registration is not stored: the number answered, and the one there is."""
    found = {}
    for application, number in answers.acknowledged.items():
        there = _stored(url, application)
        if there is None or there < number:
            found[application] = (number, there)
    return found


def _stored(url: str, application: str) -> int | None:
    """The number of the last registration of an application that is stored."""
    with urlopen(f"{url}/api/applications/{application}", timeout=60) as answer:
        installed = {one["name"]: one["version"] for one in json.load(answer)["installed"]}
    return int(installed[MARKER]) if MARKER in installed else None


@contextmanager
def killing(
    workers: subprocess.Popen[bytes], server: Postgres, *, every: float, crashes: Iterable[float]
) -> Iterator[Counter[str]]:
    """Kill a worker `every` so many seconds, and the database server at the times `crashes` (seconds from now).

    Yields how many workers and servers were killed. The database server is started again at once.
    """
    killed: Counter[str] = Counter()
    done = threading.Event()
    began = time.monotonic()
    due = sorted(crashes)

    def kill() -> None:
        while not done.wait(every):
            os.kill(random.choice(workers_of(workers)), signal.SIGKILL)
            killed["workers"] += 1
            if due and time.monotonic() - began >= due[0]:
                due.pop(0)
                server.crash()
                server.start()
                killed["servers"] += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def form(application: int, number: int, packages: int) -> bytes:
    """The body of a registration."""
    fields = {
        "user_id": 1,
        "app_name": f"load {application}",
        "app_uuid": f"load-{application}",
        "app_type": "python-3.11.7",
        "app_url": f"http://load{application}",
        "installed": [
            {"n": MARKER, "v": str(number)},
            *({"n": f"project-{one}", "v": f"1.{(one == number % packages) + 0}"} for one in range(packages - 1)),
        ],
    }
    return urlencode({"json_data": json.dumps(fields)}).encode()


def _problem(connection: http.client.HTTPConnection, body: bytes) -> str | None:
    """Why a registration was not stored; None if it was."""
    try:
        connection.request(
            "POST",
            "/application/register/",
            body,
            {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close"},
        )
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    return None if answer.status == 200 else str(answer.status)

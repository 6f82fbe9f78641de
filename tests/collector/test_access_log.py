"""The access log: what a line tells, and what it never does."""

from __future__ import annotations

import json
import logging
import signal
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from tests.collector.conftest import MakeApp
from tests.collector.running import running
from tests.collector.sending import register, report

TOKEN = "correct horse battery"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """The lines of the access log so far."""
    caplog.set_level(logging.INFO, "envfab.collector.access")
    return lambda: [json.loads(one.message) for one in caplog.records if one.name == "envfab.collector.access"]


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    """A client of an application with an access log, behind one proxy."""
    return make_app(access_log=True, proxies=1, tokens=(TOKEN,)).test_client()


def test_a_line_tells_the_exchange(client: FlaskClient, lines: Any) -> None:
    """Method, pattern of the address, status, time, size, the client behind the proxy, the kind of token."""
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    answer = client.get("/applications/u1?q=secret", headers=headers, buffered=True)
    (line,) = lines()
    assert line.pop("ms") > 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "method": "GET", "route": "/applications/<path:uuid>", "status": 404, "bytes": len(answer.data),
        "client": "198.51.100.7", "token": "bearer",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"Authorization": "Bearer wrong-but-secret"}, "bearer"),
        ({"Authorization": "Basic dTpzZWNyZXQ="}, "basic"),
        ({"Authorization": "Digest username=secret"}, "other"),
        ({}, ""),
    ],
)
def test_no_secret_is_written(
    client: FlaskClient, lines: Any, caplog: pytest.LogCaptureFixture, headers: dict[str, str], kind: str
) -> None:
    """Neither a token, right or wrong, nor the query, nor the path as it was asked for."""
    client.open("/search/secret?token=secret", method="SECRET", headers=headers, buffered=True)
    client.get("/search?q=secret", headers=headers, buffered=True)
    assert [(one["method"], one["route"], one["token"]) for one in lines()] == [
        ("OTHER", "", kind), ("GET", "/search", kind),
    ]  # fmt: skip
    assert "secret" not in caplog.text.lower()
    assert "dTpzZWNyZXQ=" not in caplog.text


def test_addresses_of_reports_are_left_out_if_they_are_not_stored(make_app: MakeApp, lines: Any) -> None:
    """`--no-addresses` holds for the log, too; registrations are of machines, and keep theirs."""
    client = make_app(access_log=True, store_addresses=False).test_client()
    client.post("/reports/prog/", data=report(), buffered=True)
    register(client)
    assert [(one["route"], one["client"]) for one in lines()] == [
        ("/reports/<program>/", ""), ("/application/register/", "127.0.0.1"),
    ]  # fmt: skip


def test_it_is_off_unless_asked_for(make_app: MakeApp, lines: Any) -> None:
    """Without the setting nothing is written."""
    make_app().test_client().get("/", buffered=True)
    assert lines() == []


def test_fab_collector_writes_it(folder: Path) -> None:
    """`--access-log`: to standard error, a line a request."""
    with running(folder, "--access-log") as (process, url):
        requests.get(f"{url}/api/applications", timeout=20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert process.stdout is not None
        printed = process.stdout.read()
    # a busy machine may have the server say that requests wait
    told = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert [one["route"] for one in told] == ["/api/applications"], printed

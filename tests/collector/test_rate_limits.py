"""How much one client may ask for."""

from __future__ import annotations

import pytest

from envfab.collector import rate_limits
from envfab.collector.rate_limits import RateLimit
from tests.collector.conftest import MakeApp
from tests.collector.sending import report


def test_an_allowance_is_used_up_and_fills_evenly() -> None:
    """Two a minute: two at once, then one each thirty seconds; a quiet client saves no more than two."""
    now = [0.0]
    limit = RateLimit(2, lambda: now[0])
    assert [limit.wait("192.0.2.1") for _ in range(3)] == [0, 0, 30]
    now[0] = 30.0
    assert [limit.wait("192.0.2.1") for _ in range(2)] == [0, 30]
    now[0] = 1000.0
    assert [limit.wait("192.0.2.1") for _ in range(3)] == [0, 0, 30]


def test_clients_are_addresses_or_networks_of_ipv6() -> None:
    """An IPv6 client has a whole /64 to take addresses from, and one allowance."""
    limit = RateLimit(1)
    assert [limit.wait(one) > 0 for one in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", "")] == [
        False, False, False, True, False, False,
    ]  # fmt: skip


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many clients those that asked last are remembered."""
    monkeypatch.setattr(rate_limits, "CLIENTS", 2)
    limit = RateLimit(1)
    assert [limit.wait(one) > 0 for one in ("a", "b", "c", "c", "a")] == [False, False, False, True, False]


def test_too_much_is_refused_and_others_are_served(make_app: MakeApp) -> None:
    """429 with Retry-After and a line of text; a client is what the proxy says; bodies have a limit of their own."""
    client = make_app(proxies=1, bodies_a_minute=2, requests_a_minute=4).test_client()
    one, other = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    statuses = [client.post("/", data=report(), headers=one).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = client.post("/", data=report(), headers=one)
    assert (refused.text, refused.headers["Retry-After"]) == (
        "too many requests with a body from one address; try again later\n",
        "30",
    )
    assert client.get("/api/applications", headers=one).text == "too many requests from one address; try again later\n"
    assert client.get("/healthz", headers=one).status_code == 200
    assert client.post("/", data=report(), headers=other).status_code == 200


def test_a_fleet_behind_one_address_registers_at_once(make_app: MakeApp) -> None:
    """A thousand requests with a body within a moment are fine unless configured otherwise."""
    client = make_app().test_client()
    assert {client.post("/application/register/", data=b"x").status_code for _ in range(1000)} == {400}

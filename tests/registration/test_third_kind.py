"""A kind of registration server that only this test defines, in a fabfile, without a change to envfab."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.virtualenvs import VirtualenvMaker
from tests.support.web import QuietHandler, serving
from tests.support.workplace import Workplace

INVENTORY = """
import json
from dataclasses import dataclass, field

from envfab import Fleet, Host, Virtualenv, collection
from envfab.config.validation import check_url, configuration
from envfab.errors import RegistrationError
from envfab.registration.http import exchange
from envfab.registration.servers import RegistrationServer, ServerAnswer
from envfab.util.http import Request


@dataclass(frozen=True)
class Listing:
    name: str
    packages: dict

    key = property(lambda self: self.name)
    uuid = None
    package_count = property(lambda self: len(self.packages))


@configuration
class Inventory(RegistrationServer[Listing]):
    kind = "Inventory"
    secret_name = "password"
    retry_key = "inventory"

    url: str
    rack: str
    password: str = field(default=None, repr=False)

    def __post_init__(self):
        check_url(self, "url")

    def configured_secret(self):
        return self.password

    def payload_maker(self, release_log):
        def make(member, probe):
            return Listing(
                f"{self.rack}/{member.target}",
                {one.shown_as: one.version_text for one in probe.distributions.values()},
            )

        return make

    def send(self, session, secret, payload):
        body = json.dumps({"name": payload.name, "packages": payload.packages}).encode()
        headers = {"Content-Type": "application/json"}
        reply = exchange(session, Request(self.url, headers, "PUT", body, {"X-Password": secret}))
        if reply.status == 409:
            return ServerAnswer(reply.content.decode(), 4)
        if reply.status != 201:
            raise reply.failure(self.url)
        return ServerAnswer(f"{payload.name} is on file")

    @classmethod
    def format_payload(cls, payload):
        return {"name": payload.name, "packages": payload.packages}

    @classmethod
    def parse_payload(cls, kept):
        return Listing(kept["name"], kept["packages"])
"""


@dataclass
class InventoryServer:
    """What came, and with which status to answer."""

    url: str = ""
    status: int = 201
    received: list[dict[str, Any]] = field(default_factory=list)
    passwords: list[str | None] = field(default_factory=list)


@contextmanager
def running_inventory() -> Iterator[InventoryServer]:
    """A server of this kind in a thread, until the end of the block."""
    server = InventoryServer()

    class Handler(QuietHandler):
        def do_PUT(self) -> None:
            server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            server.passwords.append(self.headers["X-Password"])
            self.answer(server.status, {"Content-Type": "text/plain"}, b"the rack is full")

    with serving(Handler, threading.Event()) as address:
        server.url = f"{address}/racks/7"
        yield server


@pytest.fixture
def inventory() -> Iterator[InventoryServer]:
    """A server of this kind."""
    with running_inventory() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, make_virtualenv: VirtualenvMaker, inventory: InventoryServer) -> Workplace:
    """A fabfile with one virtualenv, which wants `shop`, and one server of this kind."""
    work = Workplace(tmp_path / "work")
    path = make_virtualenv("3.11", tmp_path / "shop", pip=True)
    work.file(
        "fabfile.py",
        f"{INVENTORY}\n"
        f"fleet = Fleet(hosts=[Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])],\n"
        f"              registration=[Inventory({inventory.url!r}, 'r7', lambda: 'hush')])\n"
        "ns = collection(fleet)\n",
    )
    return work


def test_register_sends_a_third_kinds_payload_and_shows_its_answer(
    place: Workplace, inventory: InventoryServer
) -> None:
    """The answer is labelled with its kind, the secret is called just for it, and JSON says the same."""
    done = place.fab("register")
    (received,) = inventory.received
    assert (done.returncode, done.stdout, done.stderr) == (0, f"Inventory: {received['name']} is on file\n", "")
    assert received["name"].startswith("r7/")
    assert "pip" in received["packages"]
    assert inventory.passwords == ["hush"]
    (told,) = place.json("register")["registrations"]
    assert (told["kind"], told["uuid"], told["packages"]) == ("Inventory", None, len(received["packages"]))


def test_a_third_kinds_refusal_is_the_exit_status(place: Workplace, inventory: InventoryServer) -> None:
    """As with every kind, it is final and not sent again."""
    inventory.status = 409
    done = place.fab("register")
    assert (done.returncode, done.stdout) == (4, "Inventory: the rack is full\n")
    assert not (place.folder / ".home/.local/state/envfab/registrations.json").exists()


def test_what_a_third_kind_missed_is_sent_by_the_next_run(place: Workplace, inventory: InventoryServer) -> None:
    """The payload waits in the retry file, without the secret, and goes out as it was made."""
    inventory.status = 503
    done = place.fab("register")
    assert done.returncode == 1
    assert f"{inventory.url}: Communication failed: HTTP 503" in done.stderr
    inventory.status = 201
    (place.folder / "wheels").mkdir()
    assert place.fab("deploy", "--yes").returncode == 1  # blocked: there is no such wheel, and nothing to register
    first, again = inventory.received
    assert again == first


def test_a_deployment_registers_with_a_third_kind(place: Workplace, inventory: InventoryServer) -> None:
    """What it changed, and only that; where the server is down, that is a warning and is made up for."""
    place.add_made("shop", "1.0")
    inventory.status = 503
    done = place.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "HTTP 503" in done.stderr
    inventory.status = 201
    assert place.fab("deploy", "--yes").returncode == 0
    assert [one["packages"]["shop"] for one in inventory.received] == ["1.0", "1.0"]
    assert place.fab("deploy", "--yes").returncode == 0
    assert len(inventory.received) == 2

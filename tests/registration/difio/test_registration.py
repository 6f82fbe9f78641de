"""A probe as a registration."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from envfab.errors import RegistrationError, UsageError
from envfab.registration.difio.registration import registration
from envfab.registration.difio.server import Difio
from envfab.registration.difio.variables import Variables
from envfab.registration.registry import servers_for
from tests.registration.probes import member, probe, there

SERVER = Difio("https://inventory.example.org/application/register/", user_id=7, token="hush")


def test_a_registration_says_what_the_virtualenv_is() -> None:
    """Name, address, type and packages come from the target, the host and the interpreter."""
    shop = member()
    made = registration(shop, probe(shop, there("Django", "5.2.1"), there("zope.interface", "7")), 7)
    assert (made.user_id, made.name, made.url, made.type) == (7, "venv", "http://web1.example.org", "python-3.8.18")
    assert made.packages == (("Django", "5.2.1"), ("zope.interface", "7"))


def test_the_uuid_of_a_target_never_changes() -> None:
    """It depends on owner, host and path alone: not on what is installed, nor on what the host calls itself."""
    shop = member()
    first = registration(shop, probe(shop, there("six", "1")), 7)
    later = registration(shop, probe(shop, there("six", "2"), node="renamed", python="3.12.1"), 8)
    assert first.uuid == later.uuid == "5626b27b-4092-5e3d-bc6a-2dde3d1449a1" == str(uuid.UUID(first.uuid))
    others = [member(owner="www"), member(host="web2"), member(path="/srv/wiki/venv")]
    assert len({first.uuid, *(registration(one, probe(one), 7).uuid for one in others)}) == 4


def test_localhosts_of_different_machines_are_different_applications() -> None:
    """Where the fabfile says localhost, the machine's own name counts."""
    here = member(host="localhost")
    assert registration(here, probe(here, node="a"), 7).uuid != registration(here, probe(here, node="b"), 7).uuid


def test_only_the_virtualenvs_own_packages_are_listed() -> None:
    """What it sees of the system is left out, but for virtualenv itself."""
    shop = member()
    found = probe(shop, there("six", "1"), outside=[there("numpy", "2"), there("virtualenv", "20.1")])
    assert registration(shop, found, 7).packages == (("six", "1"), ("virtualenv", "20.1"))


def test_a_virtualenv_that_has_virtualenv_lists_it_once() -> None:
    """Its own installation of it counts, whatever else is seen or said."""
    shop = member()
    found = probe(shop, there("virtualenv", "21"), outside=[there("virtualenv", "20.1")])
    said = Variables(virtualenv_version="1.0")
    assert registration(shop, found, 7, said).packages == (("virtualenv", "21"),)


def test_the_version_of_virtualenv_can_be_told() -> None:
    """`DIFIO_VIRTUALENV_VERSION` counts where the environment sees none."""
    shop = member()
    said = Variables(virtualenv_version="20.29")
    assert registration(shop, probe(shop), 7, said).packages == (("virtualenv", "20.29"),)
    seen = probe(shop, outside=[there("virtualenv", "20.1")])
    assert registration(shop, seen, 7, said).packages == (("virtualenv", "20.1"),)


def test_pre_releases_of_python_are_three_numbers() -> None:
    """The type has the form that the original agent gives it."""
    shop = member()
    assert registration(shop, probe(shop, python="3.15.0a2"), 7).type == "python-3.15.0"


def test_the_variables_describe_one_virtualenv() -> None:
    """Each of them takes the place of a default."""
    shop = member()
    said = Variables.read(
        {"DIFIO_UUID": "APP-UUID", "DIFIO_APP_NAME": "my shop", "DIFIO_APP_URL": "https://shop.example.org"}
    )
    made = registration(shop, probe(shop), 7, said)
    assert (made.uuid, made.name, made.url) == ("APP-UUID", "my shop", "https://shop.example.org")


def test_for_a_fleet_only_server_and_user_are_taken_from_the_variables() -> None:
    """Otherwise all of a fleet would become one application."""
    names = ("URL", "UUID", "APP_NAME", "APP_URL", "VIRTUALENV_VERSION")
    environment = {"DIFIO_USER_ID": "8"} | {f"DIFIO_{name}": "http://x/" for name in names}
    assert servers_for([], environment) == (Difio("http://x/", 8),)
    shop = member()
    (for_one,) = servers_for([], environment, one_virtualenv=True)
    assert for_one.payload_maker(None)(shop, probe(shop)).name == "http://x/"


def test_a_package_that_cannot_be_registered_names_the_target() -> None:
    """A damaged name is told of, not sent."""
    shop = member()
    with pytest.raises(RegistrationError) as caught:
        registration(shop, probe(shop, there("a\x1b[2J", "1")), 7)
    assert str(caught.value) == "shop@web1:/srv/shop/venv: the name of a package has control characters"


@pytest.mark.parametrize("text", ["seven", "-1", "1.5", "\u0667"])
def test_a_user_id_must_be_a_number(text: str) -> None:
    """The error names the variable."""
    with pytest.raises(UsageError) as caught:
        Variables.read({"DIFIO_USER_ID": text})
    assert str(caught.value) == f"DIFIO_USER_ID: must be a whole number, not {text!r}"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, SERVER),
        ({"DIFIO_USER_ID": "8"}, Difio(SERVER.url, 8, "hush")),
        ({"DIFIO_URL": "http://other/"}, Difio("http://other/", 7, None)),
        ({"DIFIO_URL": SERVER.url, "DIFIO_USER_ID": "0"}, Difio(SERVER.url, 0, "hush")),
        ({"DIFIO_URL": " "}, SERVER),
    ],
)
def test_the_variables_override_server_and_user(environment: dict[str, str], expected: Difio) -> None:
    """A token stays with the server that it was configured for."""
    assert servers_for([SERVER], environment) == (expected,)


def test_a_wrong_address_is_refused_without_showing_it() -> None:
    """It may hold a password."""
    with pytest.raises(UsageError) as caught:
        servers_for([], {"DIFIO_URL": "me:secret@example.org"})
    assert str(caught.value) == "DIFIO_URL: must be an http or https URL"


def test_a_token_is_not_part_of_how_a_server_looks() -> None:
    """A server in an error message or a log shows no secret."""
    shown: Any = repr(SERVER)
    assert "hush" not in shown

"""The wheelhouse in the shape of PyPI's JSON API, for servers that look for latest versions."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from envfab.collector.config import WheelhouseFolders
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.collector.browser import serving
from tests.collector.conftest import MakeApp
from tests.support.wheels import FIRST_RELEASE, make_wheel, release_line, sha256

TOKEN = "correct horse"


class Shelf:
    """A wheelhouse in a folder, to which wheels are added one minute after another."""

    def __init__(self, root: Path) -> None:
        self.wheels, self.log = root / "wheels", root / "release_log"
        self.wheels.mkdir(parents=True)
        self.log.touch()
        self._added = FIRST_RELEASE
        self.folders = WheelhouseFolders(self.wheels, self.log)

    def add(self, version: str, name: str = "Shop.Site", **fields: Any) -> Path:
        """Add a wheel."""
        wheel = make_wheel(self.wheels, name, version, **fields)
        self._added += timedelta(minutes=1)
        with self.log.open("a") as log:
            log.write(f"{release_line(wheel, name, version, self._added)}\n")
        return wheel

    def yank(self, what: str) -> None:
        """Withdraw a release, or a single wheel."""
        Wheelhouse(self.wheels, self.log).yank(what, "loses data")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty wheelhouse."""
    return Shelf(tmp_path / "wheelhouse")


@pytest.fixture
def client(make_app: MakeApp, shelf: Shelf) -> FlaskClient:
    """A client of a collector with that wheelhouse."""
    return make_app(wheelhouse=shelf.folders).test_client()


def project(client: FlaskClient, name: str = "shop-site") -> dict[str, Any]:
    """The document of a project."""
    answer = client.get(f"/pypi/{name}/json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    document: dict[str, Any] = json.loads(answer.data)
    return document


def latest(client: FlaskClient) -> str:
    """The latest version and when it came, read as Dependency-Track does."""
    document = project(client)
    version: str = document["info"]["version"]
    uploaded = document["releases"][version][0]["upload_time"]
    return f"{version} {datetime.strptime(uploaded, '%Y-%m-%dT%H:%M:%S')}"


def test_a_release_is_told_with_all_that_is_known(client: FlaskClient, shelf: Shelf) -> None:
    """Name and summary as published, hash, size, time in UTC, Requires-Python; no address, for files are not served."""
    wheel = shelf.add("2.0", requires_python=">=3.9")
    at = (FIRST_RELEASE + timedelta(minutes=1)).astimezone(timezone.utc)
    file = {
        "filename": "shop_site-2.0-py3-none-any.whl", "packagetype": "bdist_wheel", "digests": {"sha256": sha256(wheel)},
        "size": wheel.stat().st_size, "requires_python": ">=3.9", "yanked": False, "yanked_reason": None,
        "upload_time": f"{at:%Y-%m-%dT%H:%M:%S}", "upload_time_iso_8601": f"{at:%Y-%m-%dT%H:%M:%S}.000000Z",
    }  # fmt: skip
    assert project(client) == {
        "info": {
            "name": "Shop.Site", "version": "2.0", "summary": "Shop.Site, made for a test", "requires_python": ">=3.9",
            "yanked": False, "yanked_reason": None,
        },
        "releases": {"2.0": [file]},
        "urls": [file],
    }  # fmt: skip


def test_the_latest_is_the_newest_that_one_would_install(client: FlaskClient, shelf: Shelf) -> None:
    """Neither withdrawn nor a pre-release, unless there is nothing else; by PEP 440's order, not by when it came."""
    shelf.add("1.10")
    shelf.add("1.9")
    assert latest(client).startswith("1.10 ")
    shelf.add("2.0rc1")
    assert latest(client).startswith("1.10 ")
    shelf.add("1.11")
    shelf.yank("shop-site==1.11")
    assert latest(client).startswith("1.10 ")
    shelf.yank("shop-site==1.10")
    shelf.yank("shop-site==1.9")
    assert latest(client).startswith("2.0rc1 ")
    shelf.yank("shop-site==2.0rc1")
    document = project(client)
    assert document["info"]["version"] == "1.11"
    assert (document["info"]["yanked"], document["info"]["yanked_reason"]) == (True, "loses data")
    assert list(document["releases"]) == ["1.9", "1.10", "1.11", "2.0rc1"]


def test_a_release_stands_while_one_of_its_wheels_does(client: FlaskClient, shelf: Shelf) -> None:
    """The first wheel that came says when; each says for itself whether it is withdrawn."""
    shelf.add("1.0", tags=["cp39-cp39-linux_x86_64"])
    shelf.add("1.0", tags=["cp310-cp310-linux_x86_64"])
    shelf.yank("shop_site-1.0-cp39-cp39-linux_x86_64.whl")
    document = project(client)
    assert (document["info"]["version"], document["info"]["yanked"]) == ("1.0", False)
    assert [file["yanked"] for file in document["urls"]] == [True, False]
    assert latest(client).endswith(f"{(FIRST_RELEASE + timedelta(minutes=1)).astimezone(timezone.utc):%H:%M:%S}")


def test_what_is_added_shows_at_once(client: FlaskClient, shelf: Shelf) -> None:
    """The wheelhouse is looked at for each answer; a client that has one already is told whether it still holds."""
    shelf.add("1.0")
    first = client.get("/pypi/shop-site/json")
    tag = {"If-None-Match": first.headers["ETag"]}
    again = client.get("/pypi/shop-site/json", headers=tag)
    assert (again.status_code, again.data) == (304, b"")
    assert first.headers["Cache-Control"] == "private, no-cache"
    shelf.add("1.1")
    assert client.get("/pypi/shop-site/json", headers=tag).status_code == 200
    assert project(client)["info"]["version"] == "1.1"


@pytest.mark.parametrize("name", ["shop-site", "Shop_Site", "SHOP.SITE", "shop--site"])
def test_every_spelling_of_a_name_is_answered(client: FlaskClient, shelf: Shelf, name: str) -> None:
    """At once: not every client carries its credentials over a redirect."""
    shelf.add("1.0")
    assert project(client, name)["info"]["name"] == "Shop.Site"


@pytest.mark.parametrize("name", ["other", "-", "a%20b", "%3Cb%3E", "x" * 3000])
def test_unknown_names_are_not_found(client: FlaskClient, shelf: Shelf, name: str) -> None:
    """In JSON, as on PyPI."""
    shelf.add("1.0")
    answer = client.get(f"/pypi/{name}/json")
    assert (answer.status_code, answer.json) == (404, {"message": "Not Found"})


def test_a_wheel_that_nobody_can_install_is_left_out(client: FlaskClient, shelf: Shelf) -> None:
    """One that was cut short, or that is in the log and not in the folder."""
    shelf.add("1.0")
    shelf.add("1.1").write_bytes(b"PK")
    shelf.add("1.2").unlink()
    assert list(project(client)["releases"]) == ["1.0"]


def test_a_log_without_hashes_has_none_to_tell(client: FlaskClient, shelf: Shelf) -> None:
    """Older tools wrote neither hash nor zone."""
    make_wheel(shelf.wheels, "shop", "1.0")
    shelf.log.write_text("release: shop==1.0 shop-1.0-py3-none-any.whl at 2012-01-01T00:00:00\n")
    (file,) = project(client, "shop")["urls"]
    assert file["digests"] == {}
    assert file["upload_time"].startswith("20")


def test_a_wheelhouse_that_cannot_be_read_is_no_traceback(client: FlaskClient, shelf: Shelf) -> None:
    """The release log of a newer envfab: come again, and nothing of this machine is told."""
    shelf.log.write_text("format: 99\n")
    answer = client.get("/pypi/shop/json")
    assert (answer.status_code, answer.json) == (503, {"message": "the wheelhouse cannot be read just now"})


def test_without_a_wheelhouse_there_is_nothing(make_app: MakeApp) -> None:
    """It says so."""
    answer = make_app(wheelhouse=None).test_client().get("/pypi/shop/json")
    assert (answer.status_code, answer.json) == (404, {"message": "this collector has no wheelhouse"})


def test_a_server_gets_in_as_everybody_does(make_app: MakeApp, shelf: Shelf) -> None:
    """By HTTP Basic with any user name, or with the token alone as a Bearer token; over real HTTP, without a redirect."""
    shelf.add("1.0")
    with serving(make_app(wheelhouse=shelf.folders, tokens=(TOKEN,))) as url:
        address = f"{url}/pypi/Shop.Site/json"
        assert requests.get(address, timeout=10).status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for options in ({"auth": ("deptrack", TOKEN)}, {"headers": bearer}):
            answer = requests.get(address, timeout=10, allow_redirects=False, **options)
            assert answer.json()["info"]["version"] == "1.0"


def test_an_open_server_answers_to_loopback_names_alone(make_app: MakeApp, shelf: Shelf) -> None:
    """No page elsewhere can look into the wheelhouse through a visitor's browser."""
    client = make_app(wheelhouse=shelf.folders, local=True).test_client()
    assert client.get("/pypi/shop/json", headers={"Host": "evil.example.org"}).status_code == 403

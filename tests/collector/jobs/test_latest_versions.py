"""What is newer, in the wheelhouse and in an index."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name
from packaging.version import Version

from envfab.collector.config import WheelhouseFolders
from envfab.collector.days import milliseconds_now
from envfab.collector.jobs.index_offers import KNOWN_FOR, IndexNews, format_offers, offers_of, parse_offers
from envfab.collector.jobs.latest_versions import Offer, newer_than, newest, python_of, runs_on
from envfab.index.pages import JSON_TYPE, File, project_html, project_json
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import register
from tests.support.wheels import make_wheel, make_wheelhouse


def offer(version: str, python: str = "") -> Offer:
    """A version for some Pythons."""
    return Offer(Version(version), SpecifierSet(python))


def test_the_newest_is_the_newest_that_fits() -> None:
    """Versions for other Pythons do not count, pre-releases only where there is nothing else."""
    offers = [offer("1.0"), offer("2.0", ">=3.12"), offer("1.5", ">=3.9"), offer("3.0rc1")]
    assert newest(offers, Version("3.11.7")) == Version("1.5")
    assert newest(offers, Version("3.8")) == Version("1.0")
    assert newest(offers, None) == Version("2.0")
    assert newest([offer("3.0rc1")], None) == Version("3.0rc1")
    assert newest([], None) is None


def test_newer_than_what_is_installed() -> None:
    """Local versions are newer than what they build on; a version that is none is neither older nor newer."""
    assert newer_than("5.1.3", Version("5.2")) == "5.2"
    assert newer_than("5.1.3", Version("5.1.3+corp1")) == "5.1.3+corp1"
    assert newer_than("5.2", Version("5.2.0")) is None
    assert newer_than("5.3", Version("5.2")) is None
    assert newer_than("unknown", Version("5.2")) is None


def test_the_python_of_an_application() -> None:
    """`python-3.11.7` says it; other types do not."""
    assert python_of("python-3.11.7") == Version("3.11.7")
    assert python_of("ruby-3.1") is None
    assert python_of("python-<b>") is None


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("py3-none-any", True), ("py2.py3-none-any", True), ("py2-none-any", False), ("py311-none-any", True),
        ("py312-none-any", False), ("cp311-cp311-manylinux_2_17_x86_64", True), ("cp310-cp310-linux_x86_64", False),
        ("cp38-abi3-linux_x86_64", True), ("cp312-abi3-linux_x86_64", False), ("pp311-pypy311_pp73-linux_x86_64", False),
    ],
)  # fmt: skip
def test_which_wheels_run(tag: str, expected: bool) -> None:
    """A wheel is for a Python by its tags, whatever the platform."""
    assert runs_on(parse_tag(tag), Version("3.11.7")) is expected


@pytest.fixture
def wheelhouse(tmp_path: Path) -> tuple[Path, Path]:
    """A wheelhouse with versions 1.0 and 1.1 of project-0."""
    return make_wheelhouse(tmp_path / "wheelhouse", 1, 2)


@pytest.fixture
def client(make_app: MakeApp, database: str, wheelhouse: tuple[Path, Path]) -> FlaskClient:
    """A client of a collector that compares with the wheelhouse."""
    return make_app(database=database, wheelhouse=WheelhouseFolders(*wheelhouse)).test_client()


def newer(client: FlaskClient, uuid: str = "u1") -> dict[str, str | None]:
    """What is newer of an application's packages."""
    found = client.get(f"/api/applications/{uuid}").get_json()
    return {package["name"]: package["newer"] for package in found["installed"]}


def test_what_is_newer_in_the_wheelhouse(client: FlaskClient) -> None:
    """Names are compared canonically; what the wheelhouse does not have is not behind."""
    register(client, "u1", [("Project_0", "1.0"), ("other", "0.1")])
    register(client, "u2", [("project-0", "1.1")])
    assert newer(client) == {"Project_0": "1.1", "other": None}
    assert [one["behind"] for one in client.get("/api/applications").get_json()] == [1, 0]


def test_a_new_wheel_is_seen_at_once(client: FlaskClient, wheelhouse: tuple[Path, Path], tmp_path: Path) -> None:
    """After `add_wheel` the next page counts it; after `yank_wheel` no more."""
    register(client, "u1", [("project-0", "1.1")])
    assert newer(client) == {"project-0": None}
    real = Wheelhouse(*wheelhouse)
    real.add(make_wheel(tmp_path, "project-0", "1.2"))
    real.add(make_wheel(tmp_path, "project-0", "1.3", requires_python=">=3.12"))
    real.add(make_wheel(tmp_path, "project-0", "1.4", tags=["cp310-cp310-linux_x86_64"]))
    assert newer(client) == {"project-0": "1.2"}
    real.yank("project-0==1.2", "broken")
    assert newer(client) == {"project-0": None}


def test_an_upgraded_python_counts(client: FlaskClient, wheelhouse: tuple[Path, Path], tmp_path: Path) -> None:
    """What is newer depends on the application's Python as it registered last."""
    Wheelhouse(*wheelhouse).add(make_wheel(tmp_path, "project-0", "1.3", requires_python=">=3.12"))
    register(client, "u1", [("project-0", "1.1")])
    assert newer(client) == {"project-0": None}
    register(client, "u1", [("project-0", "1.1")], app_type="python-3.12.1")
    assert newer(client) == {"project-0": "1.3"}


def test_a_wheelhouse_that_cannot_be_read(
    client: FlaskClient, wheelhouse: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """A release log of a newer envfab stops no registration; it is logged once."""
    wheelhouse[1].write_text("format: 99\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        register(client, "u1", [("project-0", "1.0"), ("project-1", "1.0")])
    assert newer(client) == {"project-0": None, "project-1": None}
    assert [record.message.splitlines()[0] for record in caplog.records] == [
        f"{wheelhouse[1]}: the release log has format 99; this envfab reads format 1"
    ]


A = canonicalize_name("a")


def files(*names: str, **more: Any) -> tuple[File, ...]:
    """A project's files."""
    return tuple(File(name, f"http://x/{name}", **more) for name in names)


def test_a_projects_files() -> None:
    """Versions come out of file names; withdrawn files and other kinds do not count; a few offers remain."""
    names = [f"a-1.{minor}.tar.gz" for minor in range(1000)]
    assert offers_of(A, files(*names)) == (offer("1.999"),)
    assert offers_of(A, files("a-1.0.tar.gz", "a-2.0-py3-none-any.whl", "a-3.exe", "a-x.whl", "nonsense")) == (
        offer("2.0"),
    )
    assert offers_of(A, files("a-1.0.tar.gz", yanked="broken")) == ()
    assert offers_of(A, files("a-1.0.tar.gz", yanked="")) == ()
    assert offers_of(A, files("a-1.0.tar.gz", requires_python=">=3.9")) == (offer("1.0", ">=3.9"),)
    assert offers_of(A, files("a-1.0.tar.gz", requires_python="nonsense")) == ()


@pytest.mark.parametrize("name", ["b-2.0.tar.gz", "b-2.0-py3-none-any.whl"])
def test_files_of_other_projects_do_not_count(name: str) -> None:
    """A page that lists them offers nothing of its own project by that."""
    assert offers_of(A, files("a-1.0.tar.gz", name)) == (offer("1.0"),)


def test_offers_are_read_back() -> None:
    """What the table has is what was offered."""
    offers = (offer("1.0", ">=3.9,<4"), offer("2.0rc1"))
    assert parse_offers(format_offers(offers)) == offers


class _Index(ThreadingHTTPServer):
    """An index that counts its questions."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.broken = False
        self.page_type = JSON_TYPE
        self.page = project_json(canonicalize_name("project-0"), ["1.5"], files("project_0-1.5-py3-none-any.whl"))


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Project-0 has 1.5; other projects are not there."""
        assert isinstance(self.server, _Index)
        self.server.asked.append(self.path)
        status = 500 if self.server.broken else 200 if self.path == "/simple/project-0/" else 404
        self.send_response(status)
        self.send_header("Content-Type", self.server.page_type)
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def log_message(self, *_arguments: object) -> None:
        """Silent."""


@contextmanager
def index() -> Iterator[tuple[_Index, str]]:
    """An index that is up, and its URL."""
    server = _Index()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_what_is_newer_in_an_index(make_app: MakeApp, database: str, wheelhouse: tuple[Path, Path]) -> None:
    """The index is asked in the background, never by a request, and its answers are remembered."""
    with index() as (server, url):
        app = make_app(database=database, wheelhouse=WheelhouseFolders(*wheelhouse), index=url)
        client = app.test_client()
        register(client, "u1", [("project-0", "1.0"), ("other", "1.0")])
        assert newer(client) == {"project-0": "1.1", "other": None}
        assert server.asked == []
        service_of(app).tidy()
        service_of(app).tidy()
        assert sorted(server.asked) == ["/simple/other/", "/simple/project-0/"]
        assert newer(client) == {"project-0": "1.5", "other": None}
        register(client, "u2", [("project-0", "1.1")])
        assert newer(client, "u2") == {"project-0": "1.5"}
        assert len(server.asked) == 2
    assert '<span class="late">1.5</span>' in client.get("/applications/u2").text


def test_an_index_of_html_pages_will_do(make_app: MakeApp, wheelhouse: tuple[Path, Path]) -> None:
    """PEP 503 pages are read as they are when wheels are fetched."""
    with index() as (server, url):
        server.page_type = "text/html"
        server.page = project_html(canonicalize_name("project-0"), files("project_0-1.5-py3-none-any.whl"))
        app = make_app(wheelhouse=WheelhouseFolders(*wheelhouse), index=url)
        register(app.test_client(), "u1", [("project-0", "1.1")])
        service_of(app).tidy()
        assert newer(app.test_client()) == {"project-0": "1.5"}


@pytest.mark.parametrize(
    ("page_type", "page", "why"),
    [
        (JSON_TYPE, "{", "is not a page of a package index"),
        (JSON_TYPE, '{"files": []}', "is not a page of a package index: 'meta' is missing"),
        ("text/html", "<h1>Sign in</h1>", "is not a page of a package index: it links to no distribution"),
        ("image/png", "", "is not a page of a package index, but image/png"),
    ],
)
def test_an_index_that_answers_nonsense_is_logged(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, page_type: str, page: str, why: str
) -> None:
    """With the address of the page, and what is wrong with it; it is asked again later."""
    with index() as (server, url):
        server.page_type, server.page = page_type, page
        app = make_app(index=url)
        register(app.test_client(), "u1", [("project-0", "1.1")])
        with caplog.at_level(logging.WARNING):
            service_of(app).tidy()
    assert f"the package index does not answer about project-0: {url}project-0/: {why}" in caplog.text
    assert newer(app.test_client()) == {"project-0": None}


def test_an_index_that_does_not_answer(
    make_app: MakeApp, wheelhouse: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Where the index fails, what it said before stays, and it is asked again later."""
    with index() as (server, url):
        app = make_app(wheelhouse=WheelhouseFolders(*wheelhouse), index=url)
        register(app.test_client(), "u1", [("project-0", "1.1")])
        news = IndexNews(service_of(app).storage, url)
        now = milliseconds_now()
        assert news.ask(now)
        assert not news.ask(now)
        server.broken = True
        with caplog.at_level(logging.WARNING):
            assert news.ask(now + KNOWN_FOR)
        assert "the package index does not answer about project-0: http" in caplog.text
        service_of(app).freshness.mark_all()
        assert newer(app.test_client()) == {"project-0": "1.5"}
        server.broken = False
        assert not news.ask(now + KNOWN_FOR + 1000)
        assert news.ask(now + 2 * KNOWN_FOR)

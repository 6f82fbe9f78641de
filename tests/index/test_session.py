"""Reading over HTTP within bounds."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envfab.errors import SupplyError
from envfab.index.session import IndexSession
from envfab.util.http import Timeouts
from envfab.util.untrusted import shown_url
from tests.support.faulty_index import Server, faulty
from tests.support.tls import make_certificate, under_tls
from tests.support.wheels import make_wheel, sha256


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with one wheel."""
    make_wheel(tmp_path / "there", "shop", "1.0")
    with faulty(tmp_path / "there") as running:
        yield running


def test_an_answer_without_end_is_cut_off(server: Server) -> None:
    """More than the limit is an error, not memory."""
    server.answers["/big"] = (200, "text/html", bytes(100_000))
    with IndexSession() as web, pytest.raises(SupplyError, match="sends more than 99,999 bytes"):
        web.get(server.url.replace("simple/", "big"), "*/*", 99_999)


def test_nothing_there_is_no_error_but_for_a_file(server: Server, tmp_path: Path) -> None:
    """A page that is not there is None; a file that the index told of must be there."""
    with IndexSession() as web:
        assert web.get(f"{server.url}nothing/", "*/*", 100) is None
        with pytest.raises(SupplyError, match="answers HTTP 404"):
            web.download(server.url.replace("simple/", "files/none.whl"), "0" * 64, tmp_path / "d" / "none.whl")


def test_what_is_there_whole_is_not_sent_again(server: Server, tmp_path: Path) -> None:
    """A download that was complete but not yet renamed costs one question."""
    (wheel,) = server.folder.iterdir()
    place = tmp_path / "downloads" / wheel.name
    place.parent.mkdir()
    place.with_name(f"{wheel.name}.part").write_bytes(wheel.read_bytes())
    with IndexSession() as web:
        web.download(server.url.replace("simple/", f"files/{wheel.name}"), sha256(wheel), place)
        web.download(server.url.replace("simple/", f"files/{wheel.name}"), sha256(wheel), place)
    assert place.read_bytes() == wheel.read_bytes()
    assert [path.name for path in place.parent.iterdir()] == [wheel.name]


def test_a_busy_server_is_asked_again(server: Server) -> None:
    """503 and the like are often over a moment later: three tries."""
    server.answers["/busy"] = (503, "text/html", b"busy")
    with IndexSession(Timeouts(1, 1)) as web, pytest.raises(SupplyError, match="answers HTTP 503"):
        web.get(server.url.replace("simple/", "busy"), "*/*", 100)
    assert server.asked == ["/busy"] * 3


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@example.org:8443/a/?key=secret#x", "https://example.org:8443/a/"),
        ("http://[::1", "an address that is not a URL"),
        ("http://example.org/\x1b[31m", "http://example.org/ [31m"),
    ],
)
def test_addresses_are_shown_without_what_is_private(url: str, shown: str) -> None:
    """No user, no password, no query, nothing that moves a terminal's cursor."""
    assert shown_url(url) == shown


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody vouches for."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "certificate.pem")


def leading_to(address: str) -> type[http.server.BaseHTTPRequestHandler]:
    """Sends everybody to this address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", address)
            self.end_headers()

    return Handler


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    """One line, and no way around it."""
    with under_tls(leading_to("/"), certificate) as url, IndexSession() as web, pytest.raises(SupplyError) as caught:
        web.get(url, "*/*", 100)
    assert str(caught.value).startswith(f"{url}: its certificate is refused")


def test_nothing_leads_from_https_to_http(server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for safely must not come by a way on which anybody can change it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with (
        under_tls(leading_to(f"{server.url}shop/"), certificate) as url,
        IndexSession() as web,
        pytest.raises(SupplyError) as caught,
    ):
        web.get(url, "*/*", 100)
    assert str(caught.value) == f"{url}: redirects from HTTPS to HTTP, where the answer could be changed on the way"

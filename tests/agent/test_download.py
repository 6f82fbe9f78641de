"""An agent fetches wheels from a package index: what was logged, or nothing and one clear message."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import http as agent_web
from envfab.agent.protocol import Problem
from envfab.remote import agent_sources
from envfab.remote.agent_session import OperationFailed, Session
from tests.agent.conftest import Starter
from tests.support.serving import running
from tests.support.tls import make_certificate, under_tls
from tests.support.wheels import make_wheel, sha256

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
OLDEST_AND_NEWEST = pytest.mark.parametrize("version", ["2.7", "3.13"], indirect=True)
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def cache() -> Path:
    """Where this machine's own agents keep wheels."""
    return Path(os.environ["HOME"]) / ".cache" / "envfab" / "wheels"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel that an index has; its local version must be escaped in addresses."""
    return make_wheel(tmp_path, "shop", "1.0+corp.1")


class Index:
    """A server on loopback: `answers` by path; `asked` is each request's path with its headers."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def page(self, content: str, kind: str = "text/html") -> None:
        """Say what the page on shop is."""
        self.answers["/simple/shop/"] = says(content.encode(), kind)


def says(
    content: bytes,
    kind: str = "application/octet-stream",
    status: int = 200,
    length: str | None = None,
    location: str = "",
) -> Answer:
    """An answer with this content."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        told = {"Content-Length": str(len(content)) if length is None else length, "Location": location}
        for name, value in told.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def leads_to(url: str) -> Answer:
    """A redirect."""
    return says(b"", status=302, location=url)


@pytest.fixture
def index() -> Iterator[Index]:
    """A running index without a page."""
    with served() as made:
        yield made


@contextmanager
def served() -> Iterator[Index]:
    """A running index without a page."""
    made = Index()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            made.asked.append((self.path, dict(self.headers)))
            made.answers.get(self.path, says(b"nothing here", "text/html", 404))(self)

    with running(Handler) as url:
        made.url = f"{url}simple/"
        yield made


def asking(url: str) -> Any:
    """The agent's own code at work here, not over a channel."""
    make: Any = agent_web.HTTPClient
    return make(url, 5.0, 5.0)


def pull(session: Session, index: str, wheel: Path, **other: Any) -> None:
    """Let the agent fetch a wheel."""
    session.load(agent_sources.DOWNLOAD)
    told = {"name": "shop", "filename": wheel.name, "sha256": sha256(wheel), "size": wheel.stat().st_size}
    session.ask("pull", **({"url": index, "connect": 5.0, "answer": 5.0} | told | other))


def refusal(session: Session, index: str, wheel: Path, **other: Any) -> tuple[str, str]:
    """(kind, message) of the problem that the agent tells of, without the target's name."""
    with pytest.raises(OperationFailed) as caught:
        pull(session, index, wheel, **other)
    prefix = f"cannot download {wheel.name}: "
    assert caught.value.what.startswith(prefix), caught.value.what
    return caught.value.kind, caught.value.what.removeprefix(prefix)


def as_html(wheel: Path, href: str = "") -> str:
    """A page as PEP 503 has it, in the manner of an old index."""
    return f'<html><body><A HREF="{href or wheel.name}#sha256={sha256(wheel)}">{wheel.name}</A></body></html>'


def as_json(wheel: Path, url: str = "", digest: str = "", **more: Any) -> str:
    """A page as PEP 691 has it."""
    file = {"filename": wheel.name, "url": url or wheel.name, "hashes": {"sha256": digest or sha256(wheel)}}
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "shop", "files": [file | more]})


@pytest.mark.parametrize("kind", ["html", "json"])
def test_a_wheel_comes_from_an_index_of_either_kind(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path, index: Index, kind: str
) -> None:
    """It lies in the cache under its digest, and nothing else does; every interpreter can do it."""
    index.page(*((as_html(wheel), "text/html; charset=utf-8") if kind == "html" else (as_json(wheel), JSON_TYPE)))
    index.answers[f"/simple/shop/{wheel.name}"] = says(wheel.read_bytes())
    pull(deploying(workbench), index.url.rstrip("/"), wheel)
    assert [path.name for path in cache.iterdir()] == [sha256(wheel)]
    assert (cache / sha256(wheel)).read_bytes() == wheel.read_bytes()
    assert [path for path, _ in index.asked] == ["/simple/shop/", f"/simple/shop/{wheel.name}"]
    assert index.asked[0][1]["Accept"].startswith("application/vnd.pypi.simple.v1+json, ")
    assert "Authorization" not in index.asked[0][1]


@OLDEST_AND_NEWEST
@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("../../files/shop-1.0%2Bcorp.1-py3-none-any.whl", "/files/shop-1.0%2Bcorp.1-py3-none-any.whl"),
        ("/blöbs/a b/shop-1.0+corp.1-py3-none-any.whl", "/bl%C3%B6bs/a%20b/shop-1.0+corp.1-py3-none-any.whl"),
        (
            "shop-1.0+corp.1-py3-none-any.whl?token=a&amp;b=c",
            "/simple/shop/shop-1.0+corp.1-py3-none-any.whl?token=a&b=c",
        ),
    ],
)
def test_addresses_are_relative_to_their_page(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path, index: Index, href: str, path: str
) -> None:
    """Also those that climb, are absolute, are escaped or should be, or have a query."""
    index.page(as_html(wheel, href))
    index.answers[path] = says(wheel.read_bytes())
    pull(deploying(workbench), index.url, wheel)
    assert (cache / sha256(wheel)).exists()


@OLDEST_AND_NEWEST
def test_a_page_that_moved_is_followed_and_its_links_count_from_there(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path, index: Index
) -> None:
    """Redirects are followed for pages and files; a base that the page names counts as well."""
    page = f'<base href="files/"><a href="{wheel.name}">no hash here</a>'
    index.answers["/simple/shop/"] = leads_to("/elsewhere/shop/")
    index.answers["/elsewhere/shop/"] = says(page.encode(), "text/html")
    index.answers[f"/elsewhere/shop/files/{wheel.name}"] = leads_to(f"{index.url}../blob")
    index.answers["/simple/../blob"] = says(wheel.read_bytes())
    pull(deploying(workbench), index.url, wheel)
    assert (cache / sha256(wheel)).exists()


@OLDEST_AND_NEWEST
def test_credentials_go_to_the_index_alone(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path, index: Index
) -> None:
    """User and password of the address are sent to its own server, not where a page or a redirect leads."""
    with served() as elsewhere:
        index.page(as_json(wheel, f"{elsewhere.url}{wheel.name}"), JSON_TYPE)
        elsewhere.answers[f"/simple/{wheel.name}"] = says(wheel.read_bytes())
        pull(deploying(workbench), index.url.replace("//", "//me:p%40ss@"), wheel)
    assert (cache / sha256(wheel)).exists()
    assert index.asked[0][1]["Authorization"] == "Basic bWU6cEBzcw=="
    assert index.asked[0][1]["Host"] == index.url.split("/")[2]
    assert "Authorization" not in elsewhere.asked[0][1]


@OLDEST_AND_NEWEST
def test_proxies_of_the_surroundings_are_not_heeded(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent trusts nothing that it inherits; an index for a fleet is reached directly."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    index.page(as_html(wheel))
    index.answers[f"/simple/shop/{wheel.name}"] = says(wheel.read_bytes())
    pull(deploying(workbench), index.url, wheel)
    assert (cache / sha256(wheel)).exists()


def wrong_size(handler: http.server.BaseHTTPRequestHandler) -> None:
    """More and more bytes, whose number nobody told."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x" * 1000)


def cut(content: bytes) -> Answer:
    """An answer that ends in its middle."""
    return says(content[: len(content) // 2], length=str(len(content)))


PAGE, FILE = "http://HOST/simple/shop/", "http://HOST/simple/shop/shop-1.0+corp.1-py3-none-any.whl"
# fmt: off
REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no page": ({}, "index-lacks", f"{PAGE} does not exist"),
    "not listed": ({"page": ('<meta name="pypi:repository-version" content="1.0">', "text/html")},
                   "index-lacks", f"{PAGE} does not list it"),
    "no file": ({"page": "html"}, "index-lacks", f"{FILE} does not exist"),
    "an error that looks well": ({"page": ("<h1>We will be back</h1><a href=/>home</a>", "text/html")},
                                 "index-page", f"{PAGE} is not a page of a package index"),
    "not JSON": ({"page": ("{", JSON_TYPE)}, "index-page", f"{PAGE} is not a page of a package index"),
    "JSON of something else": ({"page": ("[]", JSON_TYPE)}, "index-page", f"{PAGE} is not a page of a package index"),
    "JSON of the future": ({"page": ('{"meta": {"api-version": "2.0"}, "files": []}', JSON_TYPE)},
                           "index-page", f"{PAGE} is not a page of a package index"),
    "no page at all": ({"page": ("x", "image/png")}, "index-page", f"{PAGE} is not a page of a package index"),
    "server error": ({"/simple/shop/": says(b"oops", "text/html", 500)}, "index-silent", f"{PAGE} answers HTTP 500"),
    "nobody is let in": ({"/simple/shop/": says(b"no", "text/html", 401)},
                         "index-login", f"{PAGE} denies access (HTTP 401)"),
    "told another hash": ({"page": "other hash"}, "index-other", f"{PAGE} lists it with another SHA-256 than the log"),
    "another file": ({"page": "html", "file": says(b"x" * 10_000, length="")},
                     "index-other", f"{FILE} sends more than SIZE bytes"),
    "another size": ({"page": "html", "file": says(b"x")},
                     "index-other", f"{FILE} has 1 bytes, but the wheel in the wheelhouse has SIZE"),
    "more and more": ({"page": "html", "file": wrong_size}, "index-other", f"{FILE} sends more than SIZE bytes"),
    "less than it should": ({"page": "html", "file": says(b"x" * 100, length="")},
                            "index-silent", f"{FILE} ended after 100 of SIZE bytes"),
    "in circles": ({"/simple/shop/": leads_to("/simple/shop/")},
                   "index-silent", "http://HOST/simple/ redirects more than 5 times"),
    "to a file": ({"/simple/shop/": leads_to("file:///etc/passwd")},
                  "index-page", "it leads to file:///etc/passwd, but only http and https are followed"),
    "to a broken address": ({"/simple/shop/": leads_to("http://[/")},
                            "index-silent", f"{PAGE} does not respond in HTTP: Invalid IPv6 URL"),
    "to a broken port": ({"/simple/shop/": leads_to("http://a:b/")},
                         "index-page", "it leads to http://a:b/, but only http and https are followed"),
    "a file elsewhere": ({"page": ("ftp://x/shop-1.0+corp.1-py3-none-any.whl", "link")},
                         "index-page", "it leads to ftp://x/shop-1.0+corp.1-py3-none-any.whl, but only http and https are followed"),
}
# fmt: on


@OLDEST_AND_NEWEST
@pytest.mark.parametrize("case", list(REFUSALS))
def test_what_is_wrong_with_an_index_is_one_clear_message(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path, index: Index, case: str
) -> None:
    """It has no password, nothing is left in the cache, and the agent goes on."""
    answers, kind, message = REFUSALS[case]
    given = dict(answers)
    page, file = given.pop("page", None), given.pop("file", None)
    if page == "html":
        index.page(as_html(wheel))
    elif page == "other hash":
        index.page(as_json(wheel, digest="0" * 64), JSON_TYPE)
    elif page and page[1] == "link":
        index.page(as_html(wheel, page[0]))
    elif page:
        index.page(*page)
    if file:
        index.answers[f"/simple/shop/{wheel.name}"] = file
    index.answers.update(given)
    session = deploying(workbench)
    host, size = index.url.split("/")[2], str(wheel.stat().st_size)
    said = refusal(session, index.url.replace("//", "//me:secret@"), wheel)
    assert said == (kind, message.replace("HOST", host).replace("SIZE", size))
    assert not cache.exists() or list(cache.iterdir()) == []
    session.ask("probe")
    assert session.ask("missing", hashes=[], compile=False, umask=0o022)["lacking"] == []


@OLDEST_AND_NEWEST
def test_an_answer_that_is_cut_off_is_no_wheel(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path, index: Index
) -> None:
    """Half of what was announced is told as such, and thrown away."""
    index.page(as_html(wheel))
    content = wheel.read_bytes()
    index.answers[f"/simple/shop/{wheel.name}"] = cut(content)
    kind, message = refusal(deploying(workbench), index.url, wheel)
    assert kind == "index-silent"
    assert message.endswith(f"{wheel.name} ended after {len(content) // 2} of {len(content)} bytes")
    assert list(cache.iterdir()) == []


@OLDEST_AND_NEWEST
def test_another_file_of_the_same_size_is_refused(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path, index: Index
) -> None:
    """What counts is the SHA-256 of the log, whatever the index says of itself."""
    index.page(as_html(wheel))
    index.answers[f"/simple/shop/{wheel.name}"] = says(bytes(wheel.stat().st_size))
    kind, message = refusal(deploying(workbench), index.url, wheel)
    assert kind == "index-other"
    assert message == f"the SHA-256 of {index.url}shop/{wheel.name} is not that of the release log"
    assert list(cache.iterdir()) == []


@OLDEST_AND_NEWEST
def test_nobody_there(workbench: Path, deploying: Starter, wheel: Path) -> None:
    """A refused connection, a name that nobody knows, and a server that speaks something else."""
    session = deploying(workbench)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    url = f"http://127.0.0.1:{port}/simple/"
    assert refusal(session, url, wheel) == ("index-silent", f"{url}shop/ cannot be reached: Connection refused")
    unknown = "http://index.invalid/simple/"
    assert refusal(session, unknown, wheel) == (
        "index-silent",
        f"{unknown}shop/ cannot be reached: the host does not know its name",
    )
    with speaking(b"SSH-2.0-OpenSSH_9.6\r\n") as other:
        kind, message = refusal(session, other, wheel)
    assert kind == "index-silent"
    assert message.startswith(f"{other}shop/ does not respond in HTTP: ")


@contextmanager
def speaking(*words: bytes, every: float = 0.0) -> Iterator[str]:
    """The address of a server that says these words to whoever comes, one after the other, then nothing."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            with listening.accept()[0] as connection:
                try:
                    for word in words:
                        connection.sendall(word)
                        if over.wait(every):
                            return
                    if not words:
                        over.wait(10)
                except OSError:
                    return

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/simple/"
        finally:
            over.set()
            thread.join()


@OLDEST_AND_NEWEST
def test_a_silent_server_is_given_up(workbench: Path, deploying: Starter, wheel: Path) -> None:
    """After as many seconds as were given."""
    with speaking() as url:
        said = refusal(deploying(workbench), url, wheel, answer=0.2)
    assert said == ("index-silent", f"{url}shop/ gives no answer within 0.2 s")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_trickles_is_given_up(scheme: str) -> None:
    """One byte in time after another is not enough: all of them have a time, too, in a handshake as well."""
    with speaking(b"HTTP/1.0 200 OK\r\n\r\n", *[b"x"] * 200, every=0.05) as url:
        # by the agent's own code, with less patience than it has of itself
        web = asking(url.replace("http:", f"{scheme}:"))
        began = time.monotonic()
        with pytest.raises(Problem) as caught, web.get(web.root, "*/*", 0.5) as answer:
            list(answer.pieces(1 << 20))
        assert time.monotonic() - began < 3
    if scheme == "http":
        assert caught.value.message == f"{url} was not complete within 0.5 s"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody vouches for."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "certificate.pem")


class Greeting(http.server.BaseHTTPRequestHandler):
    """Says hello, or sends to where there is no TLS."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        (says(b"hello") if self.path == "/" else leads_to("http://127.0.0.1:1/"))(self)


@OLDEST_AND_NEWEST
def test_a_certificate_that_nobody_vouches_for_is_refused(
    workbench: Path, deploying: Starter, wheel: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the surroundings say that is to be trusted: the system's authorities are."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with under_tls(Greeting, certificate) as url:
        kind, message = refusal(deploying(workbench), url, wheel)
    assert kind == "index-silent"
    assert message.startswith(f"{url}shop/ is not trusted: ")


@OLDEST_AND_NEWEST
def test_a_server_without_tls_is_told_as_such(workbench: Path, deploying: Starter, wheel: Path, index: Index) -> None:
    """https:// in front of a plain server."""
    url = index.url.replace("http:", "https:")
    kind, message = refusal(deploying(workbench), url, wheel)
    assert kind == "index-silent"
    assert message.startswith(f"{url}shop/ does not speak TLS: ")


def test_a_certificate_that_the_system_vouches_for_is_accepted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an authority among the system's own, the answer comes; from there nothing leads to what has no TLS."""
    monkeypatch.setattr(agent_web, "authorities", lambda: {"cafile": str(certificate)})
    with under_tls(Greeting, certificate) as url:
        web = asking(url)
        with web.get(url, "*/*", 5.0) as answer:
            assert b"".join(answer.pieces(100)) == b"hello"
        with pytest.raises(Problem) as caught, web.get(f"{url}else", "*/*", 5.0):
            pass
        assert caught.value.message == "it leads from HTTPS to http://127.0.0.1:1/, which is not secure"
        elsewhere = url.replace("localhost", "127.0.0.1")
        with pytest.raises(Problem) as caught, asking(elsewhere).get(elsewhere, "*/*", 5.0):
            pass
        assert caught.value.message.startswith(f"{elsewhere} is not trusted: ")


@OLDEST_AND_NEWEST
def test_what_an_index_says_cannot_steer_a_terminal(
    workbench: Path, deploying: Starter, wheel: Path, index: Index
) -> None:
    """Control characters of an address do not reach a message."""
    index.answers["/simple/shop/"] = leads_to("gopher://x/\x1b[2Jy")
    _, message = refusal(deploying(workbench), index.url, wheel)
    assert message == "it leads to gopher://x/ [2Jy, but only http and https are followed"

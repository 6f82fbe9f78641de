"""Filling the wheelhouse from an index: what is chosen, downloaded and taken in, and what an index may do wrong."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from envfab.errors import EnvfabError
from envfab.fetch.fetch import FetchJob, distinct, download, needed, opened, take_in
from envfab.index.client import PackageIndex
from envfab.index.publish import publish
from envfab.models.interpreter_kinds import InterpreterKind
from envfab.models.requirements import parse
from envfab.util.http import Timeouts
from envfab.util.progress import Silent
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.planning.catalogue import interpreter
from tests.support.faulty_index import Server, faulty
from tests.support.serving import serving
from tests.support.wheels import make_wheel

SHORT = Timeouts(connect=1.0, read=0.5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An index with shop 1.0, which requires basket, for two Pythons."""
    folder = tmp_path / "there"
    make_wheel(folder, "shop", "1.0", requires=["basket>=2"])
    make_wheel(folder, "basket", "2.0", tags=["cp38-cp38-manylinux2014_x86_64"])
    make_wheel(folder, "basket", "2.1", tags=["cp311-cp311-manylinux2014_x86_64"])
    make_wheel(folder, "basket", "1.0")
    with faulty(folder) as running:
        yield running


@contextmanager
def index(url: str, tmp_path: Path, own: frozenset[str] = frozenset()) -> Iterator[PackageIndex]:
    """The index, with short timeouts and a folder of its own for downloads."""
    with opened(url, tmp_path / "downloads", SHORT, frozenset(map(canonicalize_name, own))) as found:
        yield found


def job(*lines: str, python: str = "3.11.7", target: str = "shop@web1:/v") -> FetchJob:
    """Requirements for an interpreter."""
    return FetchJob(InterpreterKind(interpreter(python), (target,)), parse([], lambda name: name, lines, "shop.txt:1"))


def fetch(
    url: str, tmp_path: Path, wheelhouse: Wheelhouse, *jobs: FetchJob, own: frozenset[str] = frozenset()
) -> list[str]:
    """Resolve, download, take in: the file names that came."""
    with index(url, tmp_path, own) as source:
        wheels = needed(jobs, wheelhouse, source, Silent()).lacking
        take_in(download(wheels, source, Silent()), wheelhouse)
        return [wheel.filename for wheel in wheels]


OLD, NEW = "basket-2.0-cp38-cp38-manylinux2014_x86_64.whl", "basket-2.1-cp311-cp311-manylinux2014_x86_64.whl"
SHOP = "shop-1.0-py3-none-any.whl"


def test_fetches_for_each_interpreter_what_the_wheelhouse_lacks(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse
) -> None:
    """Each gets its own wheels; a second time there is nothing to do, and nothing is left of the downloads."""
    jobs = [job("shop"), job("shop", python="3.8.18")]
    assert fetch(server.url, tmp_path, wheelhouse, *jobs) == [OLD, NEW, SHOP]
    assert sorted(path.name for path in wheelhouse.wheels.iterdir()) == [OLD, NEW, SHOP]
    assert not any((tmp_path / "downloads").iterdir())
    server.asked.clear()
    assert fetch(server.url, tmp_path, wheelhouse, *jobs) == []
    assert not any(path.endswith(".whl") for path in server.asked)


def test_reads_metadata_without_downloading_wheels(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """What is looked at and not chosen costs a metadata file; what its page rules out costs nothing."""

    def only_for_later(page: dict[str, Any]) -> None:
        for file in page["files"]:
            if file["filename"].startswith("shop-2"):
                file["requires-python"] = ">=3.99"

    make_wheel(server.folder, "shop", "2.0", requires=["nothing"])
    make_wheel(server.folder, "shop", "1.5", requires=["basket>=9"])
    server.page = only_for_later
    assert fetch(server.url, tmp_path, wheelhouse, job("shop")) == [NEW, SHOP]
    asked = [path.rpartition("/")[2] for path in server.asked]
    assert "shop-1.5-py3-none-any.whl.metadata" in asked
    assert "shop-1.5-py3-none-any.whl" not in asked
    assert "shop-2.0-py3-none-any.whl.metadata" not in asked


def test_an_index_without_metadata_files_is_downloaded_from(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse
) -> None:
    """Where there is no PEP 658, the wheel itself is read, and kept for the wheelhouse."""
    server.metadata = False
    assert fetch(server.url, tmp_path, wheelhouse, job("shop")) == [NEW, SHOP]
    assert len([path for path in server.asked if path.endswith(SHOP)]) == 1


def test_metadata_that_is_told_of_and_missing_is_read_from_the_wheel(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse
) -> None:
    """Mirrors that drop metadata files, and nonsense in Requires-Python, stop nothing."""

    def nonsense(page: dict[str, Any]) -> None:
        for file in page["files"]:
            file["requires-python"] = "3.8 or so"

    server.page = nonsense
    for name in (SHOP, NEW):
        server.answers[f"/files/{name}.metadata"] = (404, "text/html", b"none")
    assert fetch(server.url, tmp_path, wheelhouse, job("shop")) == [NEW, SHOP]


def test_a_published_wheelhouse_serves_another(tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """What publish_index writes is read as HTML from a plain web server; withdrawn releases are not fetched."""
    there = Wheelhouse(tmp_path / "there" / "wheels", tmp_path / "there" / "log", cache=tmp_path / "cache")
    for version in ("1.0", "2.0"):
        there.add(make_wheel(tmp_path / "dist", "shop", version))
    there.yank("shop==2.0", "broken")
    publish(there, tmp_path / "simple", Silent())
    with serving(tmp_path / "simple") as url:
        assert fetch(url, tmp_path, wheelhouse, job("shop")) == [SHOP]


def test_own_projects_never_come_from_the_index(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """The wheelhouse's own shop is not replaced by a stranger of that name; what it needs is fetched."""
    make_wheel(server.folder, "shop", "99.0")
    wheelhouse.add(make_wheel(tmp_path / "dist", "shop", "1.1", requires=["basket"]))
    assert fetch(server.url, tmp_path, wheelhouse, job("shop"), own=frozenset({"shop"})) == [NEW]
    assert not any(path.startswith("/simple/shop") for path in server.asked)


def test_own_projects_that_others_need_are_not_asked_for_either(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse
) -> None:
    """Not even ahead of time, where a wheel of the index requires one: its name is nobody's business."""
    make_wheel(server.folder, "till", "1.0", requires=["mylib"])
    wheelhouse.add(make_wheel(tmp_path / "dist", "mylib", "1.0"))
    assert fetch(server.url, tmp_path, wheelhouse, job("till"), own=frozenset({"MyLib"})) == [
        "till-1.0-py3-none-any.whl"
    ]
    assert not any("mylib" in path for path in server.asked)


def test_a_wheel_that_the_wheelhouse_spells_otherwise_is_not_fetched(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse
) -> None:
    """`Basket-2.1` and `basket-2.1` are one wheel, if everything else in their names is the same."""
    wheelhouse.add(make_wheel(tmp_path / "dist", "Basket", "2.1", filename=NEW.replace("basket", "Basket"),
                         tags=["cp311-cp311-manylinux2014_x86_64"]))  # fmt: skip
    with index(server.url, tmp_path) as source:
        found = needed([job("basket")], wheelhouse, source, Silent())
    assert ([one.filename for one in found.here], found.lacking) == ([NEW.replace("basket", "Basket")], [])


def test_what_the_wheelhouse_has_withdrawn_is_not_fetched(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse
) -> None:
    """Another machine's wheel of a withdrawn release is withdrawn as well."""
    wheelhouse.add(make_wheel(tmp_path / "dist", "basket", "2.1"))
    wheelhouse.yank("basket==2.1", "broken")
    with pytest.raises(EnvfabError, match=r"2\.1 was yanked: broken"):
        fetch(server.url, tmp_path, wheelhouse, job("basket>2.0"))


def test_a_full_or_closed_disk_is_told_of(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """A folder for downloads that is none ends in an error, not in a traceback."""
    (tmp_path / "downloads").write_text("in the way")
    with pytest.raises(EnvfabError, match="a download cannot be stored: "):
        fetch(server.url, tmp_path, wheelhouse, job("shop"))


def test_tells_for_whom_something_is_missing_and_what_to_do(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse
) -> None:
    """Every interpreter's problems are told at once; source only says how to get a wheel."""
    server.sdists = ("till-1.0.tar.gz", "till-1.1.tar.gz", "till-2.0rc1.tar.gz")
    with pytest.raises(EnvfabError) as caught:
        fetch(
            server.url, tmp_path, wheelhouse, job("till"), job("shop>=3", "basket", python="3.12.1", target="b@web2:/v")
        )
    message = str(caught.value)
    assert "CPython 3.11.7: cannot be met\n  till (shop.txt:1): wheelhouse and index have no wheel of it" in message
    assert "the index has till==1.1 as source only, for shop@web1:/v" in message
    assert "pip wheel --no-deps till==1.1" in message
    assert "CPython 3.12.1: cannot be met\n  shop>=3 (shop.txt:1): wheelhouse and index have 1.0" in message
    assert not wheelhouse.wheels.exists()


def advice(server: Server, tmp_path: Path, wheelhouse: Wheelhouse, *lines: str) -> str:
    """What is said of requirements that cannot be met."""
    with pytest.raises(EnvfabError) as caught:
        fetch(server.url, tmp_path, wheelhouse, job(*lines))
    return str(caught.value)


class TestAdvice:
    """Where there is source: what is to be built, and only if that would do."""

    def test_source_beside_wheels_for_others(self, server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
        """It does not say that there is nothing but source."""
        make_wheel(server.folder, "till", "1.0", tags=["cp38-cp38-manylinux2014_x86_64"])
        server.sdists = ("till-1.0.tar.gz",)
        said = advice(server, tmp_path, wheelhouse, "till")
        assert "the index has till==1.0 as source, too, where it has no wheel for shop@web1:/v" in said
        assert "source only" not in said

    def test_source_that_would_not_do(self, server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
        """What was withdrawn, wants another Python, or is ruled out by a constraint is not advised."""

        def change(page: dict[str, Any]) -> None:
            for file in page["files"]:
                if "-3.0" in file["filename"]:
                    file["yanked"] = True
                if "-2.0" in file["filename"]:
                    file["requires-python"] = ">=3.13"

        server.sdists = ("till-1.0.tar.gz", "till-1.5.tar.gz", "till-2.0.tar.gz", "till-3.0.tar.gz")
        server.page = change
        assert "pip wheel --no-deps till==1.5)" in advice(server, tmp_path, wheelhouse, "till")
        constrained = FetchJob(
            job().kind, parse(["shop.txt"], {"shop.txt": "till\n-c c.txt", "c.txt": "till<1.2"}.__getitem__)
        )
        with pytest.raises(EnvfabError, match=r"pip wheel --no-deps till==1\.0\)"):
            fetch(server.url, tmp_path, wheelhouse, constrained)

    def test_source_of_a_pre_release_that_is_asked_for(
        self, server: Server, tmp_path: Path, wheelhouse: Wheelhouse
    ) -> None:
        """A pin names it, or there is nothing else."""
        server.sdists = ("till-1.0.tar.gz", "till-2.0rc1.tar.gz")
        assert "--no-deps till==2.0rc1)" in advice(server, tmp_path, wheelhouse, "till==2.0rc1")
        assert "--no-deps till==1.0)" in advice(server, tmp_path, wheelhouse, "till")

    def test_a_project_that_the_index_does_not_know(
        self, server: Server, tmp_path: Path, wheelhouse: Wheelhouse
    ) -> None:
        """The address is told: it may be the wrong one, most likely where it knows nothing at all."""
        all_unknown = f"\n    {server.url} does not know the project, nor any other that is required: check"
        assert all_unknown in advice(server, tmp_path, wheelhouse, "nothing")
        server.sdists = ("till-1.0.tar.gz",)
        one_unknown = advice(server, tmp_path, wheelhouse, "nothing", "till")
        assert f"\n    {server.url} does not know the project" in one_unknown
        assert "nor any other" not in one_unknown


def test_nobody_waits_for_downloads_that_are_given_up(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """A Ctrl-C in the middle of a slow answer ends at once what waits for it."""
    large = make_wheel(server.folder, "till", "1.0", files={"till.bin": os.urandom(200_000)})
    with opened(server.url, tmp_path / "downloads", Timeouts(connect=5, read=60)) as source:
        wheels = needed([job("till")], wheelhouse, source, Silent()).lacking
        server.stall = large.name
        threading.Timer(0.5, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            download(wheels, source, Silent())
    assert time.monotonic() - began < 5


def test_more_bytes_than_were_told_are_refused(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """A file without an end fills no disk, and the next try does not begin with it."""

    def smaller(page: dict[str, Any]) -> None:
        for file in page["files"]:
            file["size"] = 1000

    server.page = smaller
    make_wheel(server.folder, "till", "1.0", files={"till.bin": os.urandom(200_000)})
    with pytest.raises(EnvfabError, match=r"till-1\.0-py3-none-any\.whl: sends more than 1,000 bytes"):
        fetch(server.url, tmp_path, wheelhouse, job("till"))
    assert sum(path.stat().st_size for path in (tmp_path / "downloads").rglob("*") if path.is_file()) == 0


def test_goes_on_where_it_was_cut_off(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """After a connection that ended, the next run asks for the rest only."""
    large = make_wheel(server.folder, "till", "1.0", files={"till.bin": os.urandom(200_000)})
    server.cut_at = 150_000
    with pytest.raises(EnvfabError, match="the connection ended in the middle of an answer"):
        fetch(server.url, tmp_path, wheelhouse, job("till"))
    assert not wheelhouse.wheels.exists()
    server.cut_at = None
    assert fetch(server.url, tmp_path, wheelhouse, job("till")) == [large.name]
    assert server.asked[-1] == f"/files/{large.name} bytes=131072-"


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """What lies there of an earlier try is not mixed with a whole answer."""
    digest = hashlib.sha256((server.folder / NEW).read_bytes()).hexdigest()
    part = tmp_path / "downloads" / digest / f"{NEW}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"some of another file, longer than all of it" * 1000)
    with pytest.raises(EnvfabError, match="its SHA-256 is different"):
        fetch(server.url, tmp_path, wheelhouse, job("basket==2.1"))
    assert fetch(server.url, tmp_path, wheelhouse, job("basket==2.1")) == [NEW]


def wrong_hash(page: dict[str, Any]) -> None:
    for file in page["files"]:
        file["hashes"] = {"sha256": "0" * 64}


def wrong_metadata_hash(page: dict[str, Any]) -> None:
    for file in page["files"]:
        file["core-metadata"] = {"sha256": "0" * 64}


def no_hash(page: dict[str, Any]) -> None:
    for file in page["files"]:
        file["hashes"] = {"md5": "0"}


def two_of_a_name(page: dict[str, Any]) -> None:
    page["files"] += [{**file, "hashes": {"sha256": "0" * 64}} for file in page["files"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (two_of_a_name, r"offers two files named shop-1\.0-py3-none-any\.whl, with different SHA-256"),
        (wrong_hash, "is not what the index describes: its SHA-256 is different"),
        (wrong_metadata_hash, "is not the metadata file that the index describes: its SHA-256 is different"),
        (no_hash, "the index tells no SHA-256 of some wheels of it, and what cannot be verified is not fetched"),
    ],
)
def test_what_cannot_be_verified_is_refused(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse, change: Any, message: str
) -> None:
    """Wrong or missing hashes leave the wheelhouse as it was, and no download behind."""
    server.page = change
    with pytest.raises(EnvfabError, match=message):
        fetch(server.url, tmp_path, wheelhouse, job("shop"))
    assert not wheelhouse.wheels.exists()
    assert not list((tmp_path / "downloads").glob("*/*.whl"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((500, "text/html", b"<h1>Internal Server Error</h1>"), "answers HTTP 500"),
        ((503, "text/html", b"busy"), "answers HTTP 503"),
        ((401, "text/html", b"who?"), "answers HTTP 401\n  give a user and a password"),
        ((200, "text/html", b"<h1>Sign in</h1>"), "is not a page of a package index: it links to no distribution"),
        ((200, "application/json", b"<h1>Sign in</h1>"), "is not a page of a package index"),
        ((200, "image/png", b"x"), "is not a page of a package index, but image/png"),
    ],
)
def test_an_index_that_answers_nonsense_is_named(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse, answer: tuple[int, str, bytes], message: str
) -> None:
    """The error has the address and what came; the wheelhouse is as it was."""
    server.answers["/simple/shop/"] = answer
    with pytest.raises(EnvfabError) as caught:
        fetch(server.url, tmp_path, wheelhouse, job("shop"))
    assert str(caught.value).startswith(f"{server.url}shop/: ")
    assert message in str(caught.value)
    assert not wheelhouse.wheels.exists()


def test_redirects_are_followed_within_reason(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """An index may have moved, also by relative addresses; one that leads in a circle is an error."""
    server.redirects["/old/shop/"], server.redirects["/old/basket/"] = "/simple/shop/", "/simple/basket/"
    assert fetch(server.url.replace("/simple/", "/old/"), tmp_path, wheelhouse, job("shop")) == [NEW, SHOP]
    before = wheelhouse.log.read_bytes()
    for target, message in [
        ("/old/till/", "redirects more than 5 times"),
        ("file:///etc/passwd", "the address is not that of a web server"),
        ("http://[bad/", "redirects to what is not the address of a web server"),
    ]:
        server.redirects["/old/till/"] = target
        with pytest.raises(EnvfabError, match=message):
            fetch(server.url.replace("/simple/", "/old/"), tmp_path, wheelhouse, job("till"))
    assert wheelhouse.log.read_bytes() == before


def test_a_set_that_cannot_be_met_together_is_explained(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """Who wants what, by name; nothing is downloaded for it, and the wheelhouse is as it was."""
    make_wheel(server.folder, "till", "1.0", requires=["basket<2"])
    with pytest.raises(EnvfabError) as caught:
        fetch(server.url, tmp_path, wheelhouse, job("shop", "till"))
    assert str(caught.value) == (
        "CPython 3.11.7: cannot be met\n"
        "  no version of basket meets all requirements\n"
        "  basket<2 required by till 1.0 (shop.txt:1)\n"
        "  basket>=2 required by shop 1.0 (shop.txt:1)\n"
        "  wheelhouse and index have 1.0, 2.0, 2.1"
    )
    assert not [path for path in server.asked if path.endswith(".whl")]
    assert not wheelhouse.wheels.exists()


@pytest.mark.parametrize("stall", ["/simple/shop", "shop-1.0-py3-none-any.whl"])
def test_a_server_that_never_answers_is_given_up(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse, stall: str
) -> None:
    """Pages, metadata and wheels: after the timeout there is an error, and the wheelhouse is as it was."""
    server.stall = stall
    with pytest.raises(EnvfabError, match=r"no answer within 0\.5 s"):
        fetch(server.url, tmp_path, wheelhouse, job("shop"))
    assert not wheelhouse.wheels.exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://user:secret@127.0.0.1:1/simple/?key=secret", "http://127.0.0.1:1/simple/"),
        ("ftp://127.0.0.1/simple/", "the address is not that of a web server"),
        ("nonsense", "the address is not that of a web server"),
    ],
)
def test_an_address_that_leads_nowhere_is_shown_without_secrets(
    tmp_path: Path, wheelhouse: Wheelhouse, url: str, message: str
) -> None:
    """Passwords in addresses are never shown."""
    with pytest.raises(EnvfabError) as caught:
        fetch(url, tmp_path, wheelhouse, job("shop"))
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_wrong_page_is_shown_without_secrets(server: Server, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """Nor are they when the index answers, and answers nonsense."""
    server.answers["/simple/shop/"] = (200, "application/json", b"[]")
    with pytest.raises(EnvfabError, match="is not a page of a package index") as caught:
        fetch(server.url.replace("http://", "http://user:secret@"), tmp_path, wheelhouse, job("shop"))
    assert "secret" not in str(caught.value)


def test_an_unsound_wheel_leaves_the_wheelhouse_as_it_was(
    server: Server, tmp_path: Path, wheelhouse: Wheelhouse
) -> None:
    """A wheel whose hash is right and whose contents are not keeps the others out, too."""
    make_wheel(server.folder, "basket", "3.0", filename="basket-4.0-py3-none-any.whl")
    make_wheel(server.folder, "apple", "1.0")

    def with_metadata(page: dict[str, Any]) -> None:
        for file in page["files"]:
            if file["filename"].startswith("basket-4"):
                file["core-metadata"] = True

    server.metadata = False
    server.page = with_metadata
    content = b"Metadata-Version: 2.1\nName: basket\nVersion: 4.0\n"
    server.answers["/files/basket-4.0-py3-none-any.whl.metadata"] = (200, "text/plain", content)
    with pytest.raises(EnvfabError, match="has the dist-info folder of another release"):
        fetch(server.url, tmp_path, wheelhouse, job("shop", "apple"))
    assert not wheelhouse.wheels.exists()


def test_alike_jobs_are_one() -> None:
    """The same requirements for the same interpreter are resolved once, for all of its targets."""
    jobs = [job("shop"), job("shop", target="b@web2:/v"), job("shop", python="3.8.18"), job("basket")]
    assert [one.kind.targets for one in distinct(jobs)] == [("shop@web1:/v", "b@web2:/v"), *[("shop@web1:/v",)] * 2]

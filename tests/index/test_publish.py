"""The wheelhouse as a static index: what readers find, what pip and uv install, what a second run touches."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from envfab.errors import FormatError, SupplyError, WheelhouseError
from envfab.index.pages import JSON_TYPE, parse_html, parse_json
from envfab.index.publish import publish
from envfab.util.progress import Silent
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.provenances import provenance
from tests.support.serving import Quiet, running
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, release_line, sha256

Add = Callable[..., Path]


def published(wheelhouse: Wheelhouse, folder: Path) -> tuple[int, int, int, int]:
    """Publish; how many wheels and projects there are, how many files were written and removed."""
    done = publish(wheelhouse, folder, Silent())
    return done.wheels, done.projects, done.written, done.removed


def test_tells_all_that_installers_ask_for(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """Hashes, Requires-Python, yanking with its reason, the metadata file's hash, sizes and times."""
    add("Shop", "1.0", requires_python=">=3.8")
    wheel = add("Shop", "1.10", requires=["basket>=2"])
    wheelhouse.yank("shop==1.0", 'loses "data" & more')
    assert published(wheelhouse, tmp_path / "index")[:2] == (2, 1)
    folder = tmp_path / "index" / "shop"
    page = json.loads((folder / "index.v1_json").read_text())
    assert page["versions"] == ["1.10", "1.0"]
    newest, oldest = page["files"]
    metadata = (folder / f"{wheel.name}.metadata").read_bytes()
    assert b"Requires-Dist: basket>=2" in metadata
    assert newest["hashes"] == {"sha256": sha256(wheel)}
    assert newest["core-metadata"] == {"sha256": hashlib.sha256(metadata).hexdigest()}
    assert newest["size"] == wheel.stat().st_size
    assert newest["yanked"] is False
    assert newest["upload-time"].endswith("Z")
    assert oldest["requires-python"] == ">=3.8"
    assert oldest["yanked"] == 'loses "data" & more'
    html = (folder / "index.html").read_text()
    assert 'data-yanked="loses &quot;data&quot; &amp; more"' in html
    assert 'data-requires-python="&gt;=3.8"' in html
    assert '<a href="shop/">shop</a>' in (tmp_path / "index" / "index.html").read_text()
    assert (folder / wheel.name).samefile(wheel)


def test_again_touches_only_what_changed(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """Nothing, where nothing changed; one wheel, its metadata and two pages, where one came; gone ones go."""
    add("shop", "1.0")
    add("basket", "1.0")
    index = tmp_path / "index"
    published(wheelhouse, index)
    assert published(wheelhouse, index) == (2, 2, 0, 0)
    add("shop", "1.1")
    assert published(wheelhouse, index) == (3, 2, 4, 0)
    wheelhouse.yank("shop==1.1", "broken")
    assert published(wheelhouse, index) == (3, 2, 2, 0)
    (wheelhouse.wheels / "basket-1.0-py3-none-any.whl").unlink()
    wheelhouse.refresh()
    assert published(wheelhouse, index) == (2, 1, 2, 4)
    assert sorted(path.name for path in index.iterdir()) == [".envfab-index", "index.html", "index.v1_json", "shop"]


def test_wheels_are_copied_where_links_are_refused(
    wheelhouse: Wheelhouse, add: Add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another file system wheels are copied, once."""
    wheel = add("shop", "1.0")

    def refuse(*_paths: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    # a second file system cannot be had without root
    monkeypatch.setattr(os, "link", refuse)
    published(wheelhouse, tmp_path / "index")
    copy = tmp_path / "index" / "shop" / wheel.name
    assert copy.read_bytes() == wheel.read_bytes()
    assert not copy.samefile(wheel)
    assert published(wheelhouse, tmp_path / "index") == (1, 1, 0, 0)


def test_a_reader_never_meets_a_page_without_its_wheels(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """Whoever is stopped half-way leaves pages whose files are all there, and the next run finishes."""
    add("shop", "1.0")
    index = tmp_path / "index"
    published(wheelhouse, index)
    add("shop", "1.1")
    (index / "shop" / ".shop-1.1-py3-none-any.whl.publishing").write_text("half a wheel")
    (index / "shop" / ".index.html.publishing").write_text("half a page")
    page = json.loads((index / "shop" / "index.v1_json").read_text())
    assert all((index / "shop" / file["filename"]).exists() for file in page["files"])
    published(wheelhouse, index)
    assert not list((index / "shop").glob(".*"))


def test_offers_provenances(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """Beside their wheels, named in JSON with the version of the format that has them; they go with them."""
    wheel = add("shop", "1.0")
    content = json.dumps(provenance(sha256(wheel))).encode()
    beside = wheelhouse.wheels / f"{wheel.name}.provenance"
    beside.write_bytes(content)
    index = tmp_path / "index"
    published(wheelhouse, index)
    page = json.loads((index / "shop" / "index.v1_json").read_text())
    assert page["meta"]["api-version"] == "1.3"
    assert page["files"][0]["provenance"] == beside.name
    assert (index / "shop" / beside.name).read_bytes() == content
    assert published(wheelhouse, index) == (1, 1, 0, 0)
    beside.unlink()
    assert published(wheelhouse, index) == (1, 1, 1, 1)
    page = json.loads((index / "shop" / "index.v1_json").read_text())
    assert (page["meta"]["api-version"], "provenance" in page["files"][0]) == ("1.1", False)


def test_whoever_reads_meanwhile_finds_whole_pages(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """While releases come one after another, every page that is read parses, and every file that it names is there."""
    add("shop", "1.0")
    index = tmp_path / "index"
    published(wheelhouse, index)
    done = threading.Event()
    seen: set[int] = set()
    broken: list[str] = []

    def read() -> None:
        while not done.is_set():
            try:
                files = parse_json((index / "shop" / "index.v1_json").read_text(), "http://127.0.0.1/").files
                broken.extend(file.filename for file in files if not (index / "shop" / file.filename).exists())
                listed = parse_html((index / "shop" / "index.html").read_text(), "http://127.0.0.1/").files
            except (OSError, SupplyError) as error:
                broken.append(str(error))
            else:
                seen.update((len(files), len(listed)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for minor in range(1, 20):
            add("shop", f"1.{minor}")
            published(wheelhouse, index)
    finally:
        done.set()
        reader.join()
    assert broken == []
    assert len(seen) > 1


def test_refuses_folders_that_are_no_index(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """Somebody's folder, the wheelhouse itself, an index in a format to come: left as they are."""
    add("shop", "1.0")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").write_text("dear")
    with pytest.raises(SupplyError, match="envfab did not write what is in it"):
        published(wheelhouse, tmp_path / "home")
    with pytest.raises(SupplyError, match="this is the wheelhouse itself"):
        published(wheelhouse, wheelhouse.wheels / "index")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".envfab-index").write_text("2\n")
    with pytest.raises(FormatError, match="format '2'; this envfab writes 1"):
        published(wheelhouse, tmp_path / "new")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter"]
    assert [path.name for path in wheelhouse.wheels.iterdir()] == ["shop-1.0-py3-none-any.whl"]


def test_folders_of_somebody_else_are_left_alone(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """Only what was published goes; a folder beside it, with a page of its own, is nobody's project."""
    add("shop", "1.0")
    index = tmp_path / "index"
    published(wheelhouse, index)
    (index / "docs").mkdir()
    (index / "docs" / "index.html").write_text("how to use this")
    assert published(wheelhouse, index)[-1] == 0
    assert (index / "docs" / "index.html").exists()


def test_pages_are_there_after_their_wheels_and_gone_before_them(
    wheelhouse: Wheelhouse, add: Add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks in between never finds a page that names a file which is not there."""
    add("shop", "1.0")
    basket = add("basket", "1.0")
    index = tmp_path / "index"
    lacking: list[str] = []
    moments: dict[str, Callable[..., None]] = {"replace": os.replace, "unlink": os.unlink}

    def look() -> None:
        for page in index.glob("*/index.v1_json"):
            files = parse_json(page.read_text(), "http://127.0.0.1/").files
            lacking.extend(file.filename for file in files if not (page.parent / file.filename).exists())

    def watched(name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> None:
            moments[name](*arguments, **options)
            if index.exists():
                look()

        return call

    for name in moments:
        monkeypatch.setattr(os, name, watched(name))
    published(wheelhouse, index)
    add("shop", "1.1")
    published(wheelhouse, index)
    basket.unlink()
    wheelhouse.refresh()
    published(wheelhouse, index)
    assert lacking == []
    assert [path.name for path in index.iterdir() if path.is_dir()] == ["shop"]


def test_what_cannot_be_read_is_left_out(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """A logged file that is no wheel spoils neither its project's page nor the index."""
    add("shop", "1.0")
    bad = wheelhouse.wheels / "shop-0.9-py3-none-any.whl"
    bad.write_text("no wheel")
    with wheelhouse.log.open("a") as log:
        log.write(release_line(bad, "shop", "0.9") + "\n")
    wheelhouse.refresh()
    assert published(wheelhouse, tmp_path / "index")[:2] == (1, 1)
    assert not (tmp_path / "index" / "shop" / bad.name).exists()


def test_a_place_that_cannot_be_written_is_told_of(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """A file in the way is one clear error."""
    add("shop", "1.0")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SupplyError, match="cannot publish here: Not a directory"):
        published(wheelhouse, tmp_path / "file" / "index")


def test_a_changed_wheel_is_not_published(wheelhouse: Wheelhouse, add: Add, tmp_path: Path) -> None:
    """What is not as it was logged never reaches a reader."""
    wheel = add("shop", "1.0")
    make_wheel(wheel.parent, "shop", "1.0", files={"shop.py": "import evil\n"})
    with pytest.raises(WheelhouseError, match="changed on disk after it was logged"):
        published(wheelhouse, tmp_path / "index")
    assert not (tmp_path / "index").exists()


# the row of pips that hosts have: the first of each way to read an index, Debian 12's own, and those with a fault in it
PIPS = ["20.3.4", "21.3.1", "22.3.1", "23.0.1", "23.1.2", "24.0", "newest"]
WANTED = {"Shop": "1.0", "basket": "2.1", "under_score": "1.0", "dot.ted": "1.0", "paper": "1.0+corp1"}


class Negotiating(Quiet):
    """A web server that gives JSON to who asks for it, as docs/wheelhouse.md has nginx and Apache do."""

    def send_head(self) -> Any:
        """The page in the form that is asked for first."""
        if self.path.endswith("/") and "vnd.pypi.simple.v1+json" in self.headers.get("Accept", ""):
            self.path += "index.v1_json"
        return super().send_head()

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """With the type of PEP 691."""
        return JSON_TYPE if str(path).endswith(".v1_json") else super().guess_type(path)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of projects whose names are spelled otherwise than their pages'."""
    folder = tmp_path_factory.mktemp("index")
    wheelhouse = Wheelhouse(folder / "wheels", folder / "release_log", cache=folder / "cache")

    def add(name: str, version: str, **options: Any) -> None:
        wheelhouse.add(make_wheel(folder / "made", name, version, **options))

    add("Shop", "1.0", requires=["basket[gift]>=2", "under_score", "dot.ted"])
    add("shop", "2.0", requires_python=">=3.99")
    add("shop", "1.5")
    wheelhouse.yank("shop==1.5", "broken")
    add("basket", "2.1", extras=["gift"], requires=['paper; extra == "gift"'])
    for name in ("under_score", "dot.ted"):
        add(name, "1.0")
    add("paper", "1.0+corp1")
    published(wheelhouse, folder / "simple")
    return folder / "simple"


@pytest.fixture(params=["HTML", "JSON"])
def url(request: pytest.FixtureRequest, index: Path) -> Iterator[str]:
    """Its address, with either kind of page."""
    handler = Quiet if request.param == "HTML" else Negotiating
    with running(functools.partial(handler, directory=str(index))) as address:
        yield address


def installed(folder: Path) -> dict[str, str]:
    """What is in a folder of packages."""
    return {one.name: one.version for one in distributions(path=[str(folder)])}


@pytest.mark.parametrize("version", PIPS)
def test_every_pip_installs_from_it(url: str, version: str, tmp_path: Path, make_virtualenv: VirtualenvMaker) -> None:
    """From pip 20.3 to the newest, whatever the names look like; Requires-Python and yanking are heeded."""
    # pip 20.3 does not start on the newest interpreters
    python = make_virtualenv.python("3.8" if version == "20.3.4" else "3.11")
    pip = make_virtualenv.fetched(f"pip=={version}" if version != "newest" else "pip")
    options = ["--index-url", url, "--no-cache-dir", "--disable-pip-version-check", "--no-compile"]
    done = subprocess.run(
        [str(python), f"{pip}/pip", "install", *options, "--target", str(tmp_path / "in"), "shop"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "in") == WANTED
    if version == "newest":
        assert ".whl.metadata" in done.stdout


def test_uv_installs_from_it(url: str, tmp_path: Path) -> None:
    """As pip does."""
    command = [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "install",
        "--no-config",
        "--no-cache",
        "--index-url",
        url,
    ]
    done = subprocess.run(
        [*command, "--python", sys.executable, "--target", str(tmp_path / "in"), "shop"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "in") == WANTED

"""Deployments whose wheels come from a published index (`Fleet(wheel_source=…)`), over HTTP."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import Quiet, running
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


@dataclass
class Published:
    """A folder that a web server serves, as `publish_index` wrote it; `asked` are the paths asked for."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def wheels(self) -> list[str]:
        """The wheels that were asked for."""
        return [path.rpartition("/")[2] for path in self.asked if path.endswith(".whl")]


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    """A web server for a folder in which nothing is published yet."""
    made = Published(tmp_path / "simple")

    class Noting(Quiet):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            super().do_GET()

    with running(functools.partial(Noting, directory=str(tmp_path))) as url:
        made.url = f"{url}simple/"
        yield made


def fleet(work: Workplace, hosts: str, source: str, before: str = "") -> None:
    """A fabfile whose targets fetch wheels from `source`, an expression."""
    work.fabfile(hosts)
    fabfile = work.folder / "fabfile.py"
    text = fabfile.read_text().replace("Fleet(hosts=", f"Fleet(wheel_source={source}, hosts=")
    fabfile.write_text(text.replace("fleet =", f"{before}\nfleet ="))


def one_here(path: Path, packages: str = "['shop']", **more: Any) -> str:
    """One virtualenv on this machine."""
    rest = "".join(f", {name}={value!r}" for name, value in more.items())
    return f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages={packages}{rest})])"


def test_wheels_come_from_the_index_once_a_host_and_owner(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, published: Published
) -> None:
    """Over SSH and sudo: two virtualenvs of one owner share what one of them fetched; the wheelhouse sends nothing."""
    owner = hosts.users.shop
    first, second = (make_virtualenv("3.11", srv / name, owner=owner) for name in ("first", "second"))
    fleet(
        workplace,
        f"Host('web1', virtualenvs=[Virtualenv(path, user={owner!r}, packages=['shop'])"
        f" for path in {[str(first), str(second)]}])",
        repr(published.url),
    )
    # the owner's cache may have others of these names, of other tests
    workplace.add_made("basket", "1.0", files={"basket.py": f"OF = {str(srv)!r}\n"})
    workplace.add_made("shop", "1.0", requires=["basket"], files={"shop.py": f"OF = {str(srv)!r}\n"})
    assert workplace.fab(f"publish_index:{published.folder}").returncode == 0
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fetching wheel 1 of 2: " in done.stderr
    assert "sending wheel" not in done.stderr
    assert f" · fetched from {published.url}\n" in done.stdout
    assert sorted(published.wheels) == ["basket-1.0-py3-none-any.whl", "shop-1.0-py3-none-any.whl"]
    assert freeze(first) == freeze(second) == {"basket": "1.0", "shop": "1.0"}


@pytest.mark.parametrize("version", ["2.7", "3.13"])
def test_a_saved_plan_and_a_rollback_fetch_too(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path, published: Published, version: str
) -> None:
    """A generation that is kept needs no wheel, and what is nowhere on the host is fetched."""
    path = make_virtualenv(version, tmp_path / "v", pip=True)
    fleet(local, one_here(path), repr(published.url))
    both = ["py2-none-any", "py3-none-any"]
    local.add_made("shop", "1.0", tags=both)
    local.fab(f"publish_index:{published.folder}")
    assert local.fab("deploy", "--yes").returncode == 0
    local.add_made("shop", "2.0", tags=both)
    local.fab(f"publish_index:{published.folder}")
    assert local.fab("plan", "--out", str(tmp_path / "p.json")).returncode == 0
    assert published.url.encode() not in (tmp_path / "p.json").read_bytes()
    assert local.fab("deploy", "--plan", str(tmp_path / "p.json"), "--yes").returncode == 0
    assert freeze(path)["shop"] == "2.0"
    cache = local.folder / ".home" / ".cache" / "envfab"
    shutil.rmtree(cache)
    assert local.fab("rollback", "--yes").returncode == 0
    assert freeze(path)["shop"] == "1.0"
    assert published.wheels == ["shop-1.0-py2.py3-none-any.whl", "shop-2.0-py2.py3-none-any.whl"]
    # by now nothing of 2.0 is in the store
    assert local.fab("deploy", "--yes").returncode == 0
    assert published.wheels[2:] == ["shop-2.0-py2.py3-none-any.whl"]


def test_a_callable_gives_the_address_and_nothing_shows_its_password(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path, published: Published
) -> None:
    """It is asked only for a deployment; what cannot be fetched is told without it, and nothing is changed."""
    path = make_virtualenv("3.11", tmp_path / "v")
    asked = tmp_path / "asked"
    source = f"(open({str(asked)!r}, 'a').write('x'), {published.url.replace('//', '//me:hunter2@')!r})[1]"
    fleet(local, one_here(path), "source", f"def source():\n    return {source}\n")
    local.add_made("shop", "1.0")
    assert " · fetched from wheel_source\n" in local.fab("plan").stdout
    assert not asked.exists()
    done = local.fab("deploy", "--yes")
    assert done.returncode == 1
    assert asked.read_text() == "x"
    lines = [line.strip() for line in done.stdout.splitlines()]
    where = next(number for number, line in enumerate(lines) if line.endswith(f"{path}   failed"))
    assert lines[where + 1 : where + 4] == [
        f"cannot download shop-1.0-py3-none-any.whl: {published.url}shop/ does not exist",
        "bring the index that wheel_source names up to date (fab publish_index), and run this again",
        "completed: lock",
    ]
    assert freeze(path) == {}
    assert not (path / ".envfab" / "journal.json").exists()
    everything = [*path.rglob("*"), *local.folder.rglob("*")]
    assert "hunter2" not in done.stdout + done.stderr
    assert not [
        file for file in everything if file.is_file() and file.name != "fabfile.py" and b"hunter2" in file.read_bytes()
    ]
    local.fab(f"publish_index:{published.folder}")
    assert local.fab("deploy", "--yes").returncode == 0
    assert freeze(path) == {"shop": "1.0"}


def test_an_index_with_another_file_changes_nothing(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path, published: Published
) -> None:
    """The index may say what it wants of itself: the hash is the log's."""
    path = make_virtualenv("3.11", tmp_path / "v")
    fleet(local, one_here(path, before=f"touch {tmp_path}/ran"), repr(published.url))
    wheel = local.add_made("shop", "1.0")
    local.fab(f"publish_index:{published.folder}")
    place = published.folder / "shop" / wheel.name
    size = place.stat().st_size
    place.unlink()
    place.write_bytes(bytes(size))
    done = local.fab("deploy", "--yes")
    assert done.returncode == 1
    assert f"the SHA-256 of {published.url}shop/{wheel.name} is not that of the release log" in done.stdout
    assert "a released wheel never changes" in done.stdout
    assert freeze(path) == {}
    assert not (tmp_path / "ran").exists()


def test_a_wrong_address_of_a_callable_is_one_clear_message(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """Nothing is begun then."""
    path = make_virtualenv("3.11", tmp_path / "v")
    local.fabfile("")
    local.add_made("shop", "1.0")
    for source, says in [
        ("lambda: 'ftp://me:hunter2@h/'", "must be the http or https address of a folder"),
        ("lambda: None", "must be text, not NoneType"),
        ("lambda: {}['INDEX']", "cannot get the address: KeyError: 'INDEX'"),
        ("lambda: 1 / 0", "cannot get the address: ZeroDivisionError"),
    ]:
        fleet(local, one_here(path), source)
        done = local.fab("deploy", "--yes")
        assert done.returncode == 1
        assert f"envfab: Fleet.wheel_source: {says}\n" in done.stderr
        assert "hunter2" not in done.stderr
    assert not (path / ".envfab" / "history.jsonl").exists()

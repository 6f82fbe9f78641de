"""Wheels by their digest on a host: stored whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import subprocesses
from envfab.agent import wheel_cache as cache_source
from envfab.config.host import Host
from envfab.errors import AgentError
from envfab.remote import agent_sources
from envfab.remote.agent_session import OperationFailed, start_agent
from envfab.remote.startup import Identity
from tests.agent.conftest import Starter, install, store, versions
from tests.remote.conftest import Connect
from tests.support.leftovers import files_of
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, sha256

agent_cache: Any = cache_source


@pytest.fixture
def cache() -> Path:
    """Where this machine's own agents keep wheels."""
    return Path(os.environ["HOME"]) / ".cache" / "envfab" / "wheels"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel for every interpreter."""
    return make_wheel(tmp_path, "cached", "1.0", tags=("py2-none-any", "py3-none-any"))


KIND = {"compile": False, "umask": 0o022}


def test_a_wheel_is_stored_under_its_digest_once(workbench: Path, deploying: Starter, cache: Path, wheel: Path) -> None:
    """What the cache lacks is told, and stored; then it lacks nothing."""
    session = deploying(workbench)
    session.ask("probe")
    digest = sha256(wheel)
    assert session.ask("missing", hashes=[digest, "0" * 64], **KIND)["lacking"] == [digest, "0" * 64]
    store(session, wheel)
    assert session.ask("missing", hashes=[digest, "0" * 64], **KIND)["lacking"] == ["0" * 64]
    assert [path.name for path in cache.iterdir()] == [digest]
    assert (cache / digest).read_bytes() == wheel.read_bytes()


OLDEST_AND_NEWEST = pytest.mark.parametrize("version", ["2.7", "3.13"], indirect=True)


@OLDEST_AND_NEWEST
def test_what_comes_damaged_leaves_nothing(workbench: Path, deploying: Starter, cache: Path, wheel: Path) -> None:
    """The digest is checked before the file gets its name; the next request tells, and the agent goes on."""
    session = deploying(workbench)
    data = wheel.read_bytes()[:-1] + b"!"
    session.tell_file("store", [wheel.read_bytes()], len(data), sha256="0" * 64, filename="other.whl")
    with pytest.raises(OperationFailed) as caught:
        session.settle()
    assert "the SHA-256 of other.whl does not match" in str(caught.value)
    session.tell_file("store", [data], len(data), sha256=sha256(wheel), filename=wheel.name)
    with pytest.raises(OperationFailed) as caught:
        session.ask("probe")
    assert str(caught.value) == f"{workbench}: the SHA-256 of {wheel.name} does not match: it was damaged on the way"
    assert list(cache.iterdir()) == []
    store(session, wheel)


@OLDEST_AND_NEWEST
def test_a_connection_that_ends_in_the_middle_leaves_nothing(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path
) -> None:
    """Half a wheel is no wheel."""
    session = deploying(workbench)
    session._write_frame("store", 1000, {"sha256": sha256(wheel), "filename": wheel.name, "path": str(workbench)})
    session._process.write(b"half of it")
    session.close()
    assert list(cache.iterdir()) == []


@OLDEST_AND_NEWEST
def test_two_may_store_the_same_at_once(workbench: Path, deploying: Starter, cache: Path, tmp_path: Path) -> None:
    """Virtualenvs of one owner share the cache."""
    big = make_wheel(tmp_path, "big", "1.0", files={"big.bin": os.urandom(400_000)})
    sessions = [deploying(workbench) for _ in range(4)]
    threads = [threading.Thread(target=store, args=(session, big)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in cache.iterdir()] == [sha256(big)]
    assert sha256(cache / sha256(big)) == sha256(big)


@OLDEST_AND_NEWEST
def test_what_a_killed_upload_left_is_swept_up_later(
    workbench: Path, deploying: Starter, cache: Path, wheel: Path
) -> None:
    """An hour later nobody writes to it any more; a fresh one is left alone."""
    cache.mkdir(parents=True)
    old, fresh = cache / ".old.1", cache / ".fresh.2"
    old.touch()
    fresh.touch()
    os.utime(old, (1, 1))
    store(deploying(workbench), wheel)
    assert {path.name for path in cache.iterdir()} == {".fresh.2", sha256(wheel)}


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system with hardly any room."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


@OLDEST_AND_NEWEST
def test_a_full_disk_is_one_clear_message(
    workbench: Path, deploying: Starter, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the folder, nothing is left there, and the agent goes on."""
    monkeypatch.setenv("HOME", str(tiny))
    session = deploying(workbench)
    big = make_wheel(tmp_path, "big", "1.0", files={"big.bin": os.urandom(400_000)})
    with pytest.raises(AgentError) as caught:
        store(session, big)
    place = tiny / ".cache" / "envfab" / "wheels"
    assert str(caught.value) == f"{workbench}: no space left on {place}"
    assert isinstance(caught.value, OperationFailed)
    assert caught.value.errno == errno.ENOSPC
    assert list(place.iterdir()) == []
    store(session, make_wheel(tmp_path, "small", "1.0"))


def test_an_owner_without_a_home_keeps_wheels_in_the_virtualenv(
    hosts: Hosts, connect: Connect, make_virtualenv: VirtualenvMaker, srv: Path, wheel: Path
) -> None:
    """And nowhere else; installing works from there."""
    path = make_virtualenv("3.11", srv / "venv", owner=hosts.users.homeless)
    before = files_of(hosts.users.uids, hosts.users.homes, apart_from=[hosts.srv])
    link = connect().link(Host("web1", user=hosts.users.admin))
    with start_agent(
        link.reserve(1),
        f"{path}/bin/python",
        str(path),
        where="target",
        identity=Identity(hosts.users.homeless),
        modules=agent_sources.PROBE,
    ) as session:
        session.load(agent_sources.DEPLOY)
        store(session, wheel)
        session.load(agent_sources.GENERATIONS)
        found = install(session, wheel)
    assert versions(found)["cached"] == "1.0"
    (tree,) = (path / ".envfab" / "cache" / "store").iterdir()
    assert tree.name.startswith(sha256(wheel))
    assert tree.owner() == hosts.users.homeless
    assert files_of(hosts.users.uids, hosts.users.homes, apart_from=[hosts.srv]) == before


@pytest.mark.parametrize("place", ["", ".cache", ".cache/envfab"])
@pytest.mark.parametrize("how", ["group", "world", "owner"])
def test_a_home_that_others_can_write_to_is_not_used(tmp_path: Path, place: str, how: str) -> None:
    """What is unpacked there gets run: others could put their own in its place. Nothing is made there."""
    folder = tmp_path / "home" / place
    folder.mkdir(parents=True)
    before = set((tmp_path / "home").rglob("*"))
    if how == "owner":
        if os.geteuid():
            pytest.skip("giving a folder away needs root")
        os.chown(folder, 54321, -1)
    else:
        folder.chmod(0o775 if how == "group" else 0o757)
    assert agent_cache.in_home(str(tmp_path / "home")) is None
    assert set((tmp_path / "home").rglob("*")) == before


def test_the_cache_in_a_home_is_closed_to_others(tmp_path: Path) -> None:
    """Whatever the umask is; one that was made before is as good, and so is one behind a link."""
    before = os.umask(0)
    try:
        place = agent_cache.in_home(str(tmp_path))
    finally:
        os.umask(before)
    assert place == str(tmp_path / ".cache" / "envfab" / "wheels")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")} == {0o700}
    (tmp_path / ".cache").rename(tmp_path / "elsewhere")
    (tmp_path / ".cache").symlink_to("elsewhere")
    (tmp_path / ".cache").chmod(0o755)
    assert agent_cache.in_home(str(tmp_path)) == place


def test_where_home_is_somebody_else_s_the_user_s_own_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And without one of them, the virtualenv: sudo and cron leave all kinds of things in HOME."""
    shared, own, virtualenv = (tmp_path / name for name in ("shared", "own", "v"))
    for folder in (shared, own, virtualenv):
        folder.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr(subprocesses, "account", lambda: ("me", str(own)))
    for home in (str(shared), str(tmp_path / "missing"), "", "relative"):
        monkeypatch.setenv("HOME", home)
        assert agent_cache.folder(str(virtualenv)) == str(own / ".cache" / "envfab" / "wheels")
    monkeypatch.delenv("HOME")
    assert agent_cache.folder(str(virtualenv)) == str(own / ".cache" / "envfab" / "wheels")
    own.chmod(0o775)
    assert agent_cache.folder(str(virtualenv)) == str(virtualenv / ".envfab" / "cache" / "wheels")
    assert list(shared.iterdir()) == []


def test_a_user_without_an_entry_has_a_number_and_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as anybody."""
    account: Any = subprocesses.account
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999_999)
    assert account() == ("3999999999", "/")


def test_an_owner_whose_home_others_can_write_to_keeps_wheels_in_the_virtualenv(
    hosts: Hosts, connect: Connect, make_virtualenv: VirtualenvMaker, srv: Path, wheel: Path
) -> None:
    """Over SSH and sudo, where HOME and the user's entry name the same home."""
    owner = hosts.users.blog
    path, home = make_virtualenv("3.11", srv / "venv", owner=owner), hosts.users.home(owner)
    mode = home.stat().st_mode & 0o777
    home.chmod(0o777)
    try:
        with start_agent(
            connect().link(Host("web1", user=hosts.users.admin)).reserve(1),
            f"{path}/bin/python",
            str(path),
            where="target",
            identity=Identity(owner),
            modules=agent_sources.PROBE,
        ) as session:
            session.load(agent_sources.DEPLOY)
            store(session, wheel)
    finally:
        home.chmod(mode)
    assert (path / ".envfab" / "cache" / "wheels" / sha256(wheel)).owner() == owner
    assert not (home / ".cache" / "envfab" / "wheels" / sha256(wheel)).exists()


def test_a_file_system_is_synced_at_once(tmp_path: Path) -> None:
    """By the kernel's own call, where there is one."""
    assert agent_cache.sync_file_system(str(tmp_path)) is True
    with pytest.raises(FileNotFoundError):
        agent_cache.sync_file_system(str(tmp_path / "gone"))

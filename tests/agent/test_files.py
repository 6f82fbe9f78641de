"""What lies in `.envfab` in a file's place: links, pipes, folders, files of others; and pipes among distributions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from envfab.remote import agent_sources
from envfab.remote.agent_session import OperationFailed, Session, start_agent
from envfab.remote.process import local_link
from envfab.remote.startup import Identity
from tests.agent.conftest import Starter, site_packages
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker

RECORD = {"deployment": "d", "ended": None}
FILES = ("lock", "journal.json", "history.jsonl")


@pytest.fixture(params=["2.7", "3.11"])
def place(request: pytest.FixtureRequest, make_virtualenv: VirtualenvMaker, tmp_path: Path) -> Path:
    """A virtualenv with a memory, of the oldest interpreters and one that is not."""
    path = make_virtualenv(request.param, tmp_path / "v")
    (path / ".envfab").mkdir()
    return path


def deploy(session: Session) -> None:
    """What a deployment asks of the files, one after another."""
    session.ask("probe")
    session.ask("lock", holder={"who": "ada"})
    session.ask("begin", record=RECORD, interrupted=None, limit=3)
    session.ask("step", record=RECORD)
    session.ask("close", record=RECORD, wheels=[], retain=[])
    session.ask("history", limit=10)


def link(file: Path, other: Path) -> None:
    """A symbolic link to a file of somebody else."""
    file.symlink_to(other)


def dangling(file: Path, other: Path) -> None:
    """A symbolic link to where no file is: to follow it would make one."""
    other.unlink()
    file.symlink_to(other)


def hard_link(file: Path, other: Path) -> None:
    """Another name of a file elsewhere."""
    file.hardlink_to(other)


def pipe(file: Path, _other: Path) -> None:
    """Whoever opens that waits for somebody who writes."""
    os.mkfifo(file)


WAYS: dict[Callable[[Path, Path], None], str] = {
    link: "is a symbolic link",
    dangling: "is a symbolic link",
    pipe: "is not a regular file",
}
WAYS[hard_link] = "has several hard links"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_file_of_the_owner_is_neither_followed_nor_waited_for(
    place: Path, deploying: Starter, tmp_path: Path, name: str, way: Callable[[Path, Path], None]
) -> None:
    """The file that it leads to is as it was, the message names what is in the way and what to do about it."""
    other = tmp_path / "precious"
    other.write_text('{"precious": true}\n')
    file = place / ".envfab" / name
    way(file, other)
    if way is hard_link and name == "journal.json":
        # it is replaced by another one, and only its name goes
        deploy(deploying(place))
    else:
        with pytest.raises(OperationFailed) as caught:
            deploy(deploying(place))
        assert caught.value.what == f"{file} {WAYS[way]}; move it away"
    assert way is dangling or other.read_text() == '{"precious": true}\n'
    assert way is not dangling or not other.exists()


def test_a_half_written_journal_that_is_a_link_is_not_followed(place: Path, deploying: Starter, tmp_path: Path) -> None:
    """Neither is what a killed agent may have left."""
    other = tmp_path / "precious"
    other.write_text("precious")
    (place / ".envfab" / "journal.json.new").symlink_to(other)
    deploy(deploying(place))
    assert other.read_text() == "precious"


def test_a_folder_of_memory_that_is_a_link_is_not_followed(place: Path, deploying: Starter, tmp_path: Path) -> None:
    """Nothing is written to somebody else's folder."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("precious")
    folder = place / ".envfab"
    shutil.rmtree(folder, ignore_errors=True)
    folder.symlink_to(other)
    with pytest.raises(OperationFailed) as caught:
        deploy(deploying(place))
    assert caught.value.what == f"{folder} is a symbolic link; move it away"
    assert [file.name for file in other.iterdir()] == ["precious"]


@pytest.mark.parametrize("name", ["wheels", "displaced"])
def test_what_is_tidied_away_is_not_followed(place: Path, deploying: Starter, tmp_path: Path, name: str) -> None:
    """A link in the place of a folder that goes: the link goes, and nothing of somebody else's folder."""
    other = tmp_path / "other"
    (other / "inner").mkdir(parents=True)
    (other / "inner").chmod(0o755)
    (place / ".envfab" / name).symlink_to(other)
    session = deploying(place)
    session.ask("probe")
    session.ask("tidy", previous=None, retain=[], days=None)
    assert not (place / ".envfab" / name).is_symlink()
    assert (other / "inner").stat().st_mode & 0o777 == 0o755


def test_a_memory_of_somebody_else_is_not_written_to(place: Path, deploying: Starter, hosts: Hosts) -> None:
    """Root, say, in the virtualenv of a user who could put links there: who owns it is told."""
    shutil.chown(place / ".envfab", hosts.users.shop)
    with pytest.raises(OperationFailed) as caught:
        deploying(place).ask("lock", holder={})
    assert f"{place}/.envfab belongs to {hosts.users.shop}, not to root: name its owner as `user`" in caught.value.what


def test_a_file_of_somebody_else_is_not_written_to(place: Path, deploying: Starter, hosts: Hosts) -> None:
    """Nor is one in one's own folder."""
    lock = place / ".envfab" / "lock"
    lock.write_text("theirs")
    shutil.chown(lock, hosts.users.shop)
    with pytest.raises(OperationFailed, match=rf"lock belongs to {hosts.users.shop}; move it away"):
        deploying(place).ask("lock", holder={})
    assert lock.read_text() == "theirs"


def test_others_may_look(place: Path, deploying: Starter, hosts: Hosts) -> None:
    """`fab register` by somebody else than the owner reads what the owner wrote."""
    (place / ".envfab" / "journal.json").write_text('{"format": 1}')
    for path in (place / ".envfab", place / ".envfab" / "journal.json"):
        shutil.chown(path, hosts.users.shop)
    assert deploying(place).ask("probe")["journal"] == {"format": 1}


@pytest.mark.parametrize("content", ["", "5", "{torn", "[" * 3_000, '{"a": %s}' % ("7" * 5_000), "\ufffe"])
def test_a_journal_that_is_no_json_is_not_none(place: Path, deploying: Starter, content: str) -> None:
    """It is told as something, so that nobody deploys over it."""
    (place / ".envfab" / "journal.json").write_text(content)
    assert deploying(place).ask("probe")["journal"] is not None


def test_files_of_any_size_take_bounded_memory(place: Path, deploying: Starter) -> None:
    """Of a history the end is told, of a lock the beginning; a journal is refused."""
    for name in FILES:
        with (place / ".envfab" / name).open("wb") as stream:
            stream.truncate(20 << 30)
    session = deploying(place)
    with pytest.raises(OperationFailed, match=r"journal\.json has more than 8388608 bytes; move it away"):
        session.ask("probe")
    assert session.ask("history", limit=10) == {"records": []}
    (place / ".envfab" / "journal.json").unlink()
    assert session.ask("probe")["last"] is None
    session.ask("lock", holder={})


@pytest.mark.parametrize("name", ["METADATA", "RECORD", "direct_url.json"])
def test_a_pipe_among_distributions_is_not_waited_for(place: Path, name: str) -> None:
    """What describes a distribution is a file, or is not there."""
    folder = site_packages(place) / "odd-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: odd\nVersion: 1.0\n")
    (folder / "RECORD").touch()
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with start_agent(
        local_link(),
        f"{place}/bin/python",
        str(place),
        where="t",
        identity=Identity(),
        modules=agent_sources.PROBE,
        timeout=20,
    ) as session:
        found = session.ask("probe")
        assert found["damaged"] == (["odd-1.0.dist-info"] if name == "METADATA" else [])
        session.load(agent_sources.DEPLOY)
        session.ask("verify", names=["odd"], number=None)


def test_a_record_begins_on_a_line_of_its_own(place: Path, deploying: Starter) -> None:
    """After a line without end, be it longer than what is read of it: the record would be lost with that."""
    (place / ".envfab" / "history.jsonl").write_bytes(b"\0" * (2 << 20))
    session = deploying(place)
    session.ask("lock", holder={"who": "ada"})
    for deployment in ("first", "second"):
        record = {"deployment": deployment, "ended": "2026-11-26T15:06:03+00:00"}
        session.ask("close", record=record, wheels=[], retain=[])
    found = session.ask("history", limit=10)["records"]
    assert [record["deployment"] for record in found] == ["first", "second"]

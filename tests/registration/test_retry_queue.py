"""What is remembered until a server takes it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from envfab.registration import retry_queue
from envfab.registration.difio.protocol import Registration
from envfab.registration.difio.server import Difio
from envfab.registration.registry import KINDS, Kind
from envfab.registration.retry_queue import Missed, Pending
from envfab.util.state_folder import state_folder

URL = "https://inventory.example.org/register/"


def missed(uuid: str = "u-1", version: str = "1", *, url: str = URL, age: int = 0, packages: int = 1) -> Missed:
    """A registration that did not arrive."""
    listed = tuple((f"package-{number}", version) for number in range(packages))
    made = Registration(7, uuid, "shop", "http://web1", "python-3.11.7", listed)
    return Missed(url, f"shop@web1:/srv/{uuid}", Difio.retry_key, made, int(time.time()) - age)


def queue(folder: Path | None, *kinds: Kind) -> Pending:
    """The retry file in a folder, for these kinds (default: those of the registry)."""
    return Pending(folder, kinds or KINDS)


def test_what_is_remembered_is_read_by_the_next_run(tmp_path: Path) -> None:
    """Everything about a registration comes back, in order."""
    both = (missed("u-1"), missed("u-2"))
    assert queue(tmp_path / "state").remember(both)
    assert queue(tmp_path / "state").read() == both


def test_a_newer_registration_takes_the_place_of_an_older(tmp_path: Path) -> None:
    """An application is remembered once a server."""
    state = queue(tmp_path)
    elsewhere = missed("u-1", url="http://other/")
    state.remember([missed("u-1", "1"), elsewhere])
    state.remember([missed("u-1", "2")])
    assert list(state.read()) == [elsewhere, missed("u-1", "2")]


def test_what_arrived_is_forgotten_and_the_file_goes_with_the_last(tmp_path: Path) -> None:
    """Nothing is left behind but the lock."""
    state = queue(tmp_path)
    first, second = missed("u-1"), missed("u-2")
    state.remember([first, second])
    state.forget([first])
    assert state.read() == (second,)
    state.forget([second])
    assert state.read() == ()
    assert not (tmp_path / "registrations.json").exists()


def test_what_came_meanwhile_is_not_forgotten(tmp_path: Path) -> None:
    """Another run's newer registration stays when an older one arrived."""
    state = queue(tmp_path)
    old, new = missed("u-1", "1"), missed("u-1", "2")
    state.remember([new])
    state.forget([old])
    assert state.read() == (new,)


def test_nothing_is_written_where_nothing_is_missed(tmp_path: Path) -> None:
    """Forgetting what was never remembered makes no file and no folder."""
    assert queue(tmp_path / "state").forget([missed()])
    assert queue(tmp_path / "state").remember([])
    assert not (tmp_path / "state").exists()


def test_the_file_is_the_users_alone(tmp_path: Path) -> None:
    """Nobody else reads which packages run where."""
    queue(tmp_path / "state").remember([missed()])
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "registrations.json").stat().st_mode & 0o777 == 0o600


def test_the_oldest_go_where_they_are_too_many(tmp_path: Path) -> None:
    """Never more than the bound."""
    state = queue(tmp_path)
    state.remember([missed(f"u-{number}") for number in range(retry_queue.MAX_MISSED + 3)])
    kept = [one.payload.key for one in state.read()]
    assert len(kept) == retry_queue.MAX_MISSED
    assert (kept[0], kept[-1]) == ("u-3", f"u-{retry_queue.MAX_MISSED + 2}")


def test_the_oldest_go_where_they_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays small however long the lists are."""
    monkeypatch.setattr(retry_queue, "MAX_BYTES", 20_000)
    state = queue(tmp_path)
    state.remember([missed(f"u-{number}", packages=100) for number in range(10)])
    assert (tmp_path / "registrations.json").stat().st_size <= 20_000
    assert state.read()[-1].payload.key == "u-9"
    assert 1 < len(state.read()) < 10


def test_what_is_too_old_is_not_sent_any_more(tmp_path: Path) -> None:
    """After a month nobody wants to know."""
    state = queue(tmp_path)
    state.remember([missed("u-1", age=retry_queue.MAX_AGE + 10), missed("u-2", age=retry_queue.MAX_AGE - 1000)])
    assert [one.payload.key for one in state.read()] == ["u-2"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff", b'{"format": 1, "missed": 3}'])
def test_a_damaged_file_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    """It is read as nothing, and written anew."""
    (tmp_path / "registrations.json").write_bytes(content)
    state = queue(tmp_path)
    assert state.read() == ()
    assert state.remember([missed()])
    assert len(state.read()) == 1


def test_a_damaged_entry_costs_only_itself(tmp_path: Path) -> None:
    """The others are kept."""
    state = queue(tmp_path)
    state.remember([missed("u-1"), missed("u-2"), missed("u-3")])
    file = tmp_path / "registrations.json"
    document = json.loads(file.read_text())
    document["missed"][0]["form"] = "json_data=nonsense"
    document["missed"][1] = None
    file.write_text(json.dumps(document))
    assert [one.payload.key for one in state.read()] == ["u-3"]


def test_an_entry_of_another_fabfiles_kind_stays_as_it_is(tmp_path: Path) -> None:
    """It is not read, is kept when others come and go, and goes when it is too old."""
    now = int(time.time())
    file = tmp_path / "registrations.json"
    others = [
        {"url": URL, "target": "t", "at": at, "inventory": {"n": [1]}} for at in (now, now - retry_queue.MAX_AGE - 9)
    ]
    file.write_text(json.dumps({"format": retry_queue.FORMAT, "missed": others}))
    state = queue(tmp_path)
    entry = missed("u-1")
    state.remember([entry])
    assert state.read() == (entry,)
    state.forget([entry])
    assert json.loads(file.read_text())["missed"] == others[:1]


def test_an_entry_that_says_nothing_is_dropped(tmp_path: Path) -> None:
    """Without a payload of any kind there is nothing to keep."""
    file = tmp_path / "registrations.json"
    file.write_text(json.dumps({"format": 1, "missed": [{"url": URL, "target": "t", "at": int(time.time())}]}))
    queue(tmp_path).remember([missed("u-1")])
    assert [entry["target"] for entry in json.loads(file.read_text())["missed"]] == ["shop@web1:/srv/u-1"]


def test_a_file_of_a_newer_envfab_is_left_alone(tmp_path: Path) -> None:
    """Nothing is read from it, and nothing written into it."""
    file = tmp_path / "registrations.json"
    text = f'{{"format": {retry_queue.FORMAT + 1}, "missed": []}}'
    file.write_text(text)
    state = queue(tmp_path)
    assert state.read() == ()
    assert not state.remember([missed()])
    assert file.read_text() == text


def test_without_a_folder_nothing_is_remembered(tmp_path: Path) -> None:
    """No home, or a file in its place: no error."""
    (tmp_path / "file").write_text("")
    assert not queue(None).remember([missed()])
    assert not queue(tmp_path / "file" / "state").remember([missed()])
    assert queue(tmp_path / "file" / "state").read() == ()


def test_a_lock_that_somebody_holds_delays_for_a_moment_only(tmp_path: Path) -> None:
    """Rather than wait it is not remembered."""
    descriptor = os.open(tmp_path / "registrations.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    began = time.monotonic()
    assert not queue(tmp_path).remember([missed()])
    assert time.monotonic() - began < 1.5
    os.close(descriptor)


def test_the_state_folder_is_the_users_own() -> None:
    """`XDG_STATE_HOME` counts where it is a full path, else the home; without either there is none."""
    assert state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/envfab")
    assert state_folder({"XDG_STATE_HOME": "s", "HOME": "/h"}) == Path("/h/.local/state/envfab")
    assert state_folder({}) is None

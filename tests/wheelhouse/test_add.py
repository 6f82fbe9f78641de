"""Wheels that come into the house: once, whole, and never another under the same name."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from envfab.errors import HouseError, WheelError
from envfab.wheelhouse.add import ABANDONED_AFTER, Outcome, UnknownHash
from envfab.wheelhouse.wheelhouse import House
from tests.support.wheels import make_wheel, sha256

SHOP = canonicalize_name("shop")
FILE = "shop-1.0-py3-none-any.whl"


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A house that does not exist yet, in a folder that does not either."""
    return House(tmp_path / "house" / "wheels", tmp_path / "house" / "release_log", cache=tmp_path / "cache")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel of the project `Shop`, outside the house."""
    return make_wheel(tmp_path / "dist", "Shop", "1.0")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A different wheel under the same name."""
    return make_wheel(tmp_path / "other", "Shop", "1.0", files={"shop.py": "EVIL = True\n"})


def lines(house: House) -> list[str]:
    """The lines of the release log."""
    return house.log.read_text(encoding="utf-8").splitlines()


def test_the_first_wheel_makes_the_house(house: House, wheel: Path) -> None:
    """The wheel is copied, logged with its hash and its name as published, and nothing else lies there."""
    added = house.add(wheel)
    assert added.outcome is Outcome.ADDED
    assert added.wheel.sha256 == sha256(wheel)
    assert os.listdir(house.wheels) == [FILE]
    assert (house.wheels / FILE).read_bytes() == wheel.read_bytes()
    (line,) = lines(house)
    assert re.fullmatch(
        rf"release: Shop==1\.0 {re.escape(FILE)} at \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 sha256={sha256(wheel)}",
        line,
    )
    assert [release.wheel for release in house.releases(SHOP)] == [added.wheel]


def test_the_same_file_twice_changes_nothing(house: House, wheel: Path) -> None:
    """Adding it again, from outside or in place, is no error, writes no line and touches no file."""
    house.add(wheel)
    before = (lines(house), (house.wheels / FILE).stat().st_ctime_ns)
    assert house.add(wheel).outcome is Outcome.PRESENT
    assert house.add(house.wheels / FILE).outcome is Outcome.PRESENT
    assert (lines(house), (house.wheels / FILE).stat().st_ctime_ns) == before
    assert os.listdir(house.wheels) == [FILE]


def test_a_different_file_under_a_logged_name_is_refused(house: House, wheel: Path, other: Path) -> None:
    """What was released never changes: the message says when it was, and what to do."""
    house.add(wheel)
    before = lines(house)
    with pytest.raises(HouseError) as caught:
        house.add(other)
    assert re.fullmatch(
        rf"{FILE}: a different file was logged under this name on \d{{4}}-\d\d-\d\d\n"
        "  what was released never changes: give this one a new version or build number",
        str(caught.value),
    )
    shutil.copy(other, house.wheels / FILE)
    with pytest.raises(HouseError, match="a different file was logged"):
        house.add(house.wheels / FILE)
    assert lines(house) == before
    assert os.listdir(house.wheels) == [FILE]


def test_a_file_that_lies_in_the_house_is_logged_in_place(house: House, wheel: Path) -> None:
    """A wheel without a line gets one, also where the same file is added from elsewhere."""
    for source in (house.wheels / FILE, wheel):
        house.wheels.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel, house.wheels)
        assert house.add(source).outcome is Outcome.LOGGED
        assert len(lines(house)) == 1
        assert house.releases(SHOP)
        shutil.rmtree(house.wheels.parent)


def test_an_unlogged_file_does_not_make_way_for_another(house: House, wheel: Path, other: Path) -> None:
    """Where the log cannot tell which of two files is right, the one that lies there stays."""
    house.wheels.mkdir(parents=True)
    shutil.copy(wheel, house.wheels)
    with pytest.raises(HouseError, match="another file of this name lies in the house\n  add that one, or remove it"):
        house.add(other)
    assert sha256(house.wheels / FILE) == sha256(wheel)
    assert lines(house) == []


def test_a_logged_wheel_that_is_lost_or_changed_is_put_back(house: House, wheel: Path) -> None:
    """The file that the log means restores the house, without another line."""
    house.add(wheel)
    (house.wheels / FILE).unlink()
    assert house.add(wheel).outcome is Outcome.RESTORED
    (house.wheels / FILE).write_bytes(b"evil")
    assert house.add(wheel).outcome is Outcome.RESTORED
    assert sha256(house.wheels / FILE) == sha256(wheel)
    assert len(lines(house)) == 1


def test_an_old_line_gets_its_hash_and_a_withdrawn_wheel_stays_withdrawn(house: House, wheel: Path) -> None:
    """Adding what an older tool logged writes the hash; it neither changes its date nor takes a yank back."""
    house.wheels.mkdir(parents=True)
    shutil.copy(wheel, house.wheels)
    old = f"Shop==1.0 {FILE} at 2014-03"
    house.log.write_text(f"release: {old}-01T12:30:00\nyank: {old}-02T12:30:00 reason=loses orders\n", encoding="utf-8")
    with pytest.raises(UnknownHash, match="logged on 2014-03-01 without a SHA-256: nothing tells whether"):
        house.add(house.wheels / FILE)
    added = house.add(house.wheels / FILE, trust=True)
    assert (added.outcome, added.yanked_reason, added.hash_is_new) == (Outcome.LOGGED, "loses orders", True)
    (release,) = house.releases(SHOP)
    assert release.wheel.sha256 == sha256(wheel)
    assert release.added is not None
    assert release.added.year == 2014
    assert release.yanked_reason == "loses orders"
    assert house.add(wheel).yanked_reason == "loses orders"


def test_a_refused_file_leaves_nothing_behind(house: House, wheel: Path) -> None:
    """An unsound wheel makes no house, and in a house that is there no file and no line."""
    wheel.write_bytes(wheel.read_bytes()[:-30])
    with pytest.raises(WheelError):
        house.add(wheel)
    assert not house.wheels.parent.exists()
    house.add(make_wheel(wheel.parent, "store", "1.0"))
    with pytest.raises(WheelError):
        house.add(wheel)
    assert os.listdir(house.wheels) == ["store-1.0-py3-none-any.whl"]
    assert len(lines(house)) == 1


def test_a_team_shares_what_is_added(house: House, wheel: Path) -> None:
    """Modes follow the umask, whatever the mode of the file that is added."""
    wheel.chmod(0o600)
    before = os.umask(0o002)
    try:
        house.add(wheel)
    finally:
        os.umask(before)
    assert stat.S_IMODE((house.wheels / FILE).stat().st_mode) == 0o664
    assert stat.S_IMODE(house.wheels.stat().st_mode) == 0o775
    assert stat.S_IMODE(house.log.stat().st_mode) == 0o664


def test_a_house_that_cannot_be_written_is_one_clear_error(tmp_path: Path, wheel: Path) -> None:
    """A file in the way of the folder is an error that says where, and who must be allowed what."""
    (tmp_path / "wheels").touch()
    with pytest.raises(HouseError) as caught:
        House(tmp_path / "wheels", tmp_path / "release_log").add(wheel)
    assert str(caught.value).startswith(f"{tmp_path / 'wheels'}: cannot take in {FILE}: File exists\n  whoever adds")


def test_copies_that_killed_processes_left_are_cleared_away(house: House, wheel: Path) -> None:
    """A hidden copy of yesterday goes at the next add; a fresh one may be somebody's work and stays."""
    house.wheels.mkdir(parents=True)
    old, fresh = house.wheels / ".0123.adding", house.wheels / ".4567.adding"
    for copy in (old, fresh):
        copy.touch()
    yesterday = time.time() - ABANDONED_AFTER - 60
    os.utime(old, (yesterday, yesterday))
    house.add(wheel)
    assert sorted(os.listdir(house.wheels)) == [".4567.adding", FILE]


def test_a_file_that_changes_while_it_is_added_is_logged_as_it_was_copied_or_refused(
    tmp_path: Path, wheel: Path, other: Path
) -> None:
    """Whatever takes the file's place meanwhile, hash, copy and inspection are of one content."""
    versions = [path.read_bytes() for path in (wheel, other)]
    stop = threading.Event()

    def swap() -> None:
        for content in itertools.cycle(versions):
            beside = wheel.with_suffix(".tmp")
            beside.write_bytes(content)
            beside.replace(wheel)
            if stop.is_set():
                return

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for number in range(100):
            house = House(tmp_path / str(number) / "wheels", tmp_path / str(number) / "log", cache=tmp_path / "cache")
            with contextlib.suppress(WheelError):
                house.verify_unchanged([house.add(wheel).wheel])
    finally:
        stop.set()
        swapping.join()


def add_all(root: Path, wheels: list[Path]) -> None:
    """Add wheels one by one, as a process of its own; another's file under a name that is taken is passed over."""
    house = House(root / "wheels", root / "release_log", cache=root / "cache")
    for wheel in wheels:
        try:
            house.add(wheel)
        except HouseError as error:
            if "different file" not in error.what:
                raise


def test_two_processes_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    """Their own wheels are all in, the same wheel is logged once, and of two files with one name one wins whole."""
    both = [make_wheel(tmp_path / "both", f"both-{n}", "1.0") for n in range(15)]
    mine: list[list[Path]] = [[], []]
    for who, files in enumerate(mine):
        for n in range(15):
            files.append(make_wheel(tmp_path / str(who), f"own-{who}-{n}", "1.0"))
            files.append(both[n])
            files.append(make_wheel(tmp_path / str(who), f"contested-{n}", "1.0", files={"it.py": f"WHO = {who}\n"}))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=add_all, args=(tmp_path / "house", files)) for files in mine]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    house = House(tmp_path / "house" / "wheels", tmp_path / "house" / "release_log", cache=tmp_path / "cache")
    assert house.problems() == ()
    assert len(lines(house)) == len(house.projects()) == 60
    assert list(house.examine()) == []
    assert len(os.listdir(house.wheels)) == 60


ADD = """
import sys
from pathlib import Path
from envfab.wheelhouse.wheelhouse import House
house = House(Path(sys.argv[1]), Path(sys.argv[2]), cache=Path(sys.argv[3]))
print("ready", flush=True)
house.add(Path(sys.argv[4]))
"""


def adding(house: House, wheel: Path, cache: Path) -> subprocess.Popen[bytes]:
    """A process that is about to add a wheel."""
    process = subprocess.Popen(
        [sys.executable, "-c", ADD, str(house.wheels), str(house.log), str(cache), str(wheel)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A wheel that takes a while to read and to copy."""
    return make_wheel(tmp_path / "dist", "Shop", "1.0", files={"shop.bin": os.urandom(8 << 20)})


def test_a_wheel_is_never_seen_half(tmp_path: Path, house: House, big: Path) -> None:
    """While it is copied it has a hidden name; under its own it is whole from the first moment on."""
    house.wheels.mkdir(parents=True)
    process = adding(house, big, tmp_path / "cache")
    seen = set()
    while process.poll() is None:
        for entry in os.scandir(house.wheels):
            # The hidden copy may be gone before it is looked at.
            with contextlib.suppress(FileNotFoundError):
                seen.add((entry.name == FILE, entry.stat().st_size))
    assert process.returncode == 0
    assert [size for visible, size in seen if visible] in ([], [big.stat().st_size])


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.04, 0.05, 0.06, 0.08])
def test_killed_at_any_moment_nothing_is_half_there(tmp_path: Path, house: House, big: Path, delay: float) -> None:
    """Killed, the wheel is a candidate and whole, or none; adding it again always succeeds."""
    process = adding(house, big, tmp_path / "cache")
    time.sleep(delay)
    process.kill()
    process.wait()
    releases = house.releases(SHOP)
    house.verify_unchanged([release.wheel for release in releases])
    assert house.problems() == ()
    assert all(sha256(house.path_of(one.wheel)) == sha256(big) for one in house.list())
    house.add(big)
    assert [release.wheel.sha256 for release in house.releases(SHOP)] == [sha256(big)]


def test_killed_while_copying_the_hidden_copy_is_nothing(tmp_path: Path, house: House, big: Path) -> None:
    """A copy that nobody finished is no wheel of the house, and is not in the way."""
    for _ in range(20):
        house.wheels.mkdir(parents=True)
        process = adding(house, big, tmp_path / "cache")
        while not os.listdir(house.wheels):
            assert process.poll() is None
        process.kill()
        process.wait()
        if FILE not in os.listdir(house.wheels):
            break
        # On a busy machine it was done before it could be killed.
        shutil.rmtree(house.wheels.parent)
    (copy,) = os.listdir(house.wheels)
    assert copy.startswith(".")
    assert house.list() == ()
    assert house.add(big).outcome is Outcome.ADDED

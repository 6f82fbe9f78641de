"""Wheels that come into the wheelhouse: once, whole, and never another under the same name."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
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

from envfab.errors import WheelError, WheelhouseError
from envfab.wheelhouse.add import ABANDONED_AFTER, AddOutcome, UnknownHash
from envfab.wheelhouse.release_log.storage import HeldLog
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.provenances import provenance
from tests.support.wheels import make_wheel, sha256

SHOP = canonicalize_name("shop")
FILE = "shop-1.0-py3-none-any.whl"


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Wheelhouse:
    """A wheelhouse that does not exist yet, in a folder that does not either."""
    return Wheelhouse(
        tmp_path / "wheelhouse" / "wheels", tmp_path / "wheelhouse" / "release_log", cache=tmp_path / "cache"
    )


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel of the project `Shop`, outside the wheelhouse."""
    return make_wheel(tmp_path / "dist", "Shop", "1.0")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A different wheel under the same name."""
    return make_wheel(tmp_path / "other", "Shop", "1.0", files={"shop.py": "EVIL = True\n"})


def lines(wheelhouse: Wheelhouse) -> list[str]:
    """The lines of the release log."""
    return wheelhouse.log.read_text(encoding="utf-8").splitlines()


def test_the_first_wheel_makes_the_wheelhouse(wheelhouse: Wheelhouse, wheel: Path) -> None:
    """The wheel is copied, logged with its hash and its name as published, and nothing else lies there."""
    added = wheelhouse.add(wheel)
    assert added.outcome is AddOutcome.ADDED
    assert added.wheel.sha256 == sha256(wheel)
    assert os.listdir(wheelhouse.wheels) == [FILE]
    assert (wheelhouse.wheels / FILE).read_bytes() == wheel.read_bytes()
    (line,) = lines(wheelhouse)
    assert re.fullmatch(
        rf"release: Shop==1\.0 {re.escape(FILE)} at \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 sha256={sha256(wheel)}",
        line,
    )
    assert [release.wheel for release in wheelhouse.releases(SHOP)] == [added.wheel]


def test_the_same_file_twice_changes_nothing(wheelhouse: Wheelhouse, wheel: Path) -> None:
    """Adding it again, from outside or in place, is no error, writes no line and touches no file."""
    wheelhouse.add(wheel)
    before = (lines(wheelhouse), (wheelhouse.wheels / FILE).stat().st_ctime_ns)
    assert wheelhouse.add(wheel).outcome is AddOutcome.PRESENT
    assert wheelhouse.add(wheelhouse.wheels / FILE).outcome is AddOutcome.PRESENT
    assert (lines(wheelhouse), (wheelhouse.wheels / FILE).stat().st_ctime_ns) == before
    assert os.listdir(wheelhouse.wheels) == [FILE]


def test_a_different_file_under_a_logged_name_is_refused(wheelhouse: Wheelhouse, wheel: Path, other: Path) -> None:
    """What was released never changes: the message says when it was, and what to do."""
    wheelhouse.add(wheel)
    before = lines(wheelhouse)
    with pytest.raises(WheelhouseError) as caught:
        wheelhouse.add(other)
    assert re.fullmatch(
        rf"{FILE}: a different file was logged under this name on \d{{4}}-\d\d-\d\d\n"
        "  a released wheel never changes: give this one a new version or build number",
        str(caught.value),
    )
    shutil.copy(other, wheelhouse.wheels / FILE)
    with pytest.raises(WheelhouseError, match="a different file was logged"):
        wheelhouse.add(wheelhouse.wheels / FILE)
    assert lines(wheelhouse) == before
    assert os.listdir(wheelhouse.wheels) == [FILE]


def test_a_file_that_lies_in_the_wheelhouse_is_logged_in_place(wheelhouse: Wheelhouse, wheel: Path) -> None:
    """A wheel without a line gets one, also where the same file is added from elsewhere."""
    for source in (wheelhouse.wheels / FILE, wheel):
        wheelhouse.wheels.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel, wheelhouse.wheels)
        assert wheelhouse.add(source).outcome is AddOutcome.LOGGED
        assert len(lines(wheelhouse)) == 1
        assert wheelhouse.releases(SHOP)
        shutil.rmtree(wheelhouse.wheels.parent)


def test_an_unlogged_file_does_not_make_way_for_another(wheelhouse: Wheelhouse, wheel: Path, other: Path) -> None:
    """Where the log cannot tell which of two files is right, the one that lies there stays."""
    wheelhouse.wheels.mkdir(parents=True)
    shutil.copy(wheel, wheelhouse.wheels)
    with pytest.raises(
        WheelhouseError, match="the wheelhouse has another file of this name\n  add that one, or remove it"
    ):
        wheelhouse.add(other)
    assert sha256(wheelhouse.wheels / FILE) == sha256(wheel)
    assert lines(wheelhouse) == []


def test_a_logged_wheel_that_is_lost_or_changed_is_put_back(wheelhouse: Wheelhouse, wheel: Path) -> None:
    """The file that the log means restores the wheelhouse, without another line."""
    wheelhouse.add(wheel)
    (wheelhouse.wheels / FILE).unlink()
    assert wheelhouse.add(wheel).outcome is AddOutcome.RESTORED
    (wheelhouse.wheels / FILE).write_bytes(b"evil")
    assert wheelhouse.add(wheel).outcome is AddOutcome.RESTORED
    assert sha256(wheelhouse.wheels / FILE) == sha256(wheel)
    assert len(lines(wheelhouse)) == 1


def test_an_old_line_gets_its_hash_and_a_withdrawn_wheel_stays_withdrawn(wheelhouse: Wheelhouse, wheel: Path) -> None:
    """Adding what an older tool logged writes the hash; it neither changes its date nor takes a yank back."""
    wheelhouse.wheels.mkdir(parents=True)
    shutil.copy(wheel, wheelhouse.wheels)
    old = f"Shop==1.0 {FILE} at 2014-03"
    wheelhouse.log.write_text(
        f"release: {old}-01T12:30:00\nyank: {old}-02T12:30:00 reason=loses orders\n", encoding="utf-8"
    )
    with pytest.raises(UnknownHash, match="logged on 2014-03-01 without a SHA-256, so this file cannot be compared"):
        wheelhouse.add(wheelhouse.wheels / FILE)
    added = wheelhouse.add(wheelhouse.wheels / FILE, trust=True)
    assert (added.outcome, added.yanked_reason, added.hash_is_new) == (AddOutcome.LOGGED, "loses orders", True)
    (release,) = wheelhouse.releases(SHOP)
    assert release.wheel.sha256 == sha256(wheel)
    assert release.added is not None
    assert release.added.year == 2014
    assert release.yanked_reason == "loses orders"
    assert wheelhouse.add(wheel).yanked_reason == "loses orders"


def test_a_refused_file_leaves_nothing_behind(wheelhouse: Wheelhouse, wheel: Path) -> None:
    """An unsound wheel makes no wheelhouse, and in a wheelhouse that is there no file and no line."""
    wheel.write_bytes(wheel.read_bytes()[:-30])
    with pytest.raises(WheelError):
        wheelhouse.add(wheel)
    assert not wheelhouse.wheels.parent.exists()
    wheelhouse.add(make_wheel(wheel.parent, "store", "1.0"))
    with pytest.raises(WheelError):
        wheelhouse.add(wheel)
    assert os.listdir(wheelhouse.wheels) == ["store-1.0-py3-none-any.whl"]
    assert len(lines(wheelhouse)) == 1


@pytest.fixture
def attested(wheel: Path) -> Path:
    """The wheel with a provenance beside it."""
    wheel.with_name(f"{wheel.name}.provenance").write_text(json.dumps(provenance(sha256(wheel))))
    return wheel


def test_a_provenance_comes_in_with_its_wheel(wheelhouse: Wheelhouse, attested: Path) -> None:
    """What lies beside a wheel and is about it; a second time it is there, and another file's is refused."""
    wheelhouse.add(attested)
    assert sorted(os.listdir(wheelhouse.wheels)) == [attested.name, f"{attested.name}.provenance"]
    assert wheelhouse.add(attested).outcome is AddOutcome.PRESENT
    attested.with_name(f"{attested.name}.provenance").write_text(json.dumps(provenance("b" * 64)))
    with pytest.raises(WheelError, match="it is about another file"):
        wheelhouse.add(attested)


def test_a_provenance_goes_with_a_wheel_that_cannot_be_logged(
    wheelhouse: Wheelhouse, attested: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of the two is left."""

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(HeldLog, "append", full)
    with pytest.raises(WheelhouseError, match="No space left on device"):
        wheelhouse.add(attested)
    assert os.listdir(wheelhouse.wheels) == []


def test_a_team_shares_what_is_added(wheelhouse: Wheelhouse, wheel: Path) -> None:
    """Modes follow the umask, whatever the mode of the file that is added."""
    wheel.chmod(0o600)
    before = os.umask(0o002)
    try:
        wheelhouse.add(wheel)
    finally:
        os.umask(before)
    assert stat.S_IMODE((wheelhouse.wheels / FILE).stat().st_mode) == 0o664
    assert stat.S_IMODE(wheelhouse.wheels.stat().st_mode) == 0o775
    assert stat.S_IMODE(wheelhouse.log.stat().st_mode) == 0o664


def test_a_wheelhouse_that_cannot_be_written_is_one_clear_error(tmp_path: Path, wheel: Path) -> None:
    """A file in the way of the folder is an error that says where, and who must be allowed what."""
    (tmp_path / "wheels").touch()
    with pytest.raises(WheelhouseError) as caught:
        Wheelhouse(tmp_path / "wheels", tmp_path / "release_log").add(wheel)
    assert str(caught.value).startswith(f"{tmp_path / 'wheels'}: cannot add {FILE}: File exists\n  you need write")


def test_copies_that_killed_processes_left_are_cleared_away(wheelhouse: Wheelhouse, wheel: Path) -> None:
    """A hidden copy of yesterday goes at the next add; a fresh one may be somebody's work and stays."""
    wheelhouse.wheels.mkdir(parents=True)
    old, fresh = wheelhouse.wheels / ".0123.adding", wheelhouse.wheels / ".4567.adding"
    for copy in (old, fresh):
        copy.touch()
    yesterday = time.time() - ABANDONED_AFTER - 60
    os.utime(old, (yesterday, yesterday))
    wheelhouse.add(wheel)
    assert sorted(os.listdir(wheelhouse.wheels)) == [".4567.adding", FILE]


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
            wheelhouse = Wheelhouse(
                tmp_path / str(number) / "wheels", tmp_path / str(number) / "log", cache=tmp_path / "cache"
            )
            with contextlib.suppress(WheelError):
                wheelhouse.verify_unchanged([wheelhouse.add(wheel).wheel])
    finally:
        stop.set()
        swapping.join()


def add_all(root: Path, wheels: list[Path]) -> None:
    """Add wheels one by one, as a process of its own; another's file under a name that is taken is passed over."""
    wheelhouse = Wheelhouse(root / "wheels", root / "release_log", cache=root / "cache")
    for wheel in wheels:
        try:
            wheelhouse.add(wheel)
        except WheelhouseError as error:
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
    processes = [context.Process(target=add_all, args=(tmp_path / "wheelhouse", files)) for files in mine]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    wheelhouse = Wheelhouse(
        tmp_path / "wheelhouse" / "wheels", tmp_path / "wheelhouse" / "release_log", cache=tmp_path / "cache"
    )
    assert wheelhouse.problems() == ()
    assert len(lines(wheelhouse)) == len(wheelhouse.projects()) == 60
    assert list(wheelhouse.examine()) == []
    assert len(os.listdir(wheelhouse.wheels)) == 60


ADD = """
import sys
from pathlib import Path
from envfab.wheelhouse.release_log.storage import HeldLog
from envfab.wheelhouse.wheelhouse import Wheelhouse
wheelhouse = Wheelhouse(Path(sys.argv[1]), Path(sys.argv[2]), cache=Path(sys.argv[3]))
print("ready", flush=True)
wheelhouse.add(Path(sys.argv[4]))
"""


def adding(wheelhouse: Wheelhouse, wheel: Path, cache: Path) -> subprocess.Popen[bytes]:
    """A process that is about to add a wheel."""
    process = subprocess.Popen(
        [sys.executable, "-c", ADD, str(wheelhouse.wheels), str(wheelhouse.log), str(cache), str(wheel)],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A wheel that takes a while to read and to copy."""
    return make_wheel(tmp_path / "dist", "Shop", "1.0", files={"shop.bin": os.urandom(8 << 20)})


def test_a_wheel_is_never_seen_half(tmp_path: Path, wheelhouse: Wheelhouse, big: Path) -> None:
    """While it is copied it has a hidden name; under its own it is whole from the first moment on."""
    wheelhouse.wheels.mkdir(parents=True)
    process = adding(wheelhouse, big, tmp_path / "cache")
    seen = set()
    while process.poll() is None:
        for entry in os.scandir(wheelhouse.wheels):
            # The hidden copy may be gone before it is looked at.
            with contextlib.suppress(FileNotFoundError):
                seen.add((entry.name == FILE, entry.stat().st_size))
    assert process.returncode == 0
    assert [size for visible, size in seen if visible] in ([], [big.stat().st_size])


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.04, 0.05, 0.06, 0.08])
def test_killed_at_any_moment_nothing_is_half_there(
    tmp_path: Path, wheelhouse: Wheelhouse, big: Path, delay: float
) -> None:
    """Killed, the wheel is a candidate and whole, or none; adding it again always succeeds."""
    process = adding(wheelhouse, big, tmp_path / "cache")
    time.sleep(delay)
    process.kill()
    process.wait()
    releases = wheelhouse.releases(SHOP)
    wheelhouse.verify_unchanged([release.wheel for release in releases])
    assert wheelhouse.problems() == ()
    assert all(sha256(wheelhouse.path_of(one.wheel)) == sha256(big) for one in wheelhouse.list())
    wheelhouse.add(big)
    assert [release.wheel.sha256 for release in wheelhouse.releases(SHOP)] == [sha256(big)]


def test_killed_while_copying_the_hidden_copy_is_nothing(tmp_path: Path, wheelhouse: Wheelhouse, big: Path) -> None:
    """A copy that nobody finished is no wheel of the wheelhouse, and is not in the way."""
    for _ in range(20):
        wheelhouse.wheels.mkdir(parents=True)
        process = adding(wheelhouse, big, tmp_path / "cache")
        while not os.listdir(wheelhouse.wheels):
            assert process.poll() is None
        process.kill()
        process.wait()
        if FILE not in os.listdir(wheelhouse.wheels):
            break
        # On a busy machine it was done before it could be killed.
        shutil.rmtree(wheelhouse.wheels.parent)
    (copy,) = os.listdir(wheelhouse.wheels)
    assert copy.startswith(".")
    assert wheelhouse.list() == ()
    assert wheelhouse.add(big).outcome is AddOutcome.ADDED

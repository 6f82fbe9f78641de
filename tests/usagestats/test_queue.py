"""Reports on disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envfab.usagestats.queue import MAX_BYTES, MAX_REPORTS, Queue, write_atomically
from envfab.usagestats.report import MAX_REPORT

SECOND = 10**9  # nanoseconds


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    """An empty queue whose folder is not there yet."""
    return Queue(tmp_path / "queue")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system without a free block."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs the rights of root")
    try:
        with open(folder / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(b"x" * 4096)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_oldest_first(queue: Queue) -> None:
    """Reports are listed by their time, also where milliseconds lack leading zeros, as the original library wrote them."""
    newest = queue.add(b"3", 2000 * SECOND)
    for name in ("report_1999_950.txt", "report_1999_42.txt", "report_1999_5.txt"):
        (queue.folder / name).write_bytes(b"old")
    assert queue.names() == ["report_1999_5.txt", "report_1999_42.txt", "report_1999_950.txt", newest]


def test_names_sort_as_text(queue: Queue) -> None:
    """The names of new reports sort as text, too."""
    names = [queue.add(b"x", 1_700_000_000 * SECOND + part) for part in (5, 1200, 5 * 10**6, 42 * 10**6)]
    assert sorted(filter(None, names)) == names == queue.names()


def test_two_at_the_same_moment(queue: Queue) -> None:
    """Reports of the same moment do not overwrite each other."""
    queue.add(b"1", 5)
    queue.add(b"2", 5)
    assert sorted(filter(None, map(queue.read, queue.names()))) == [b"1", b"2"]


def test_bounded_in_number(queue: Queue) -> None:
    """Of too many reports the oldest are dropped."""
    for number in range(MAX_REPORTS + 5):
        queue.add(b"%d" % number, number)
    assert [queue.read(name) for name in queue.names()] == [b"%d" % n for n in range(5, MAX_REPORTS + 5)]


def test_bounded_in_bytes(queue: Queue) -> None:
    """Of too large reports the oldest are dropped."""
    for number in range(12):
        queue.add(bytes([number]) * MAX_REPORT, number)
    kept = [data[0] for data in map(queue.read, queue.names()) if data]
    assert kept == list(range(12 - MAX_BYTES // MAX_REPORT, 12))


def test_what_cannot_be_read(queue: Queue) -> None:
    """A folder, a link, a pipe and a missing file read as None; none of them blocks, or stays open."""
    name = queue.add(b"x", 5)
    assert name is not None
    (queue.folder / "report_1_folder").mkdir()
    (queue.folder / "report_2_link").symlink_to(queue.folder / name)
    os.mkfifo(queue.folder / "report_3_pipe")
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    assert [queue.read(f"report_{name}") for name in ("1_folder", "2_link", "3_pipe", "4_missing")] == [None] * 4
    assert not before or len(os.listdir("/proc/self/fd")) == len(before)


def test_no_more_than_allowed_is_read(queue: Queue) -> None:
    """Of a huge file only so much is read that its size shows."""
    write_atomically(queue.folder / "report_1_1.txt", b"x" * (MAX_REPORT + 100))
    assert len(queue.read("report_1_1.txt") or b"") == MAX_REPORT + 1


def test_one_lock(queue: Queue) -> None:
    """Only one holds the lock, others are told at once; after it the next one gets it."""
    queue.add(b"x", 1)
    with queue.lock() as first, queue.lock() as second:
        assert (first, second) == (True, False)
    with queue.lock() as third:
        assert third


def test_a_forked_child_does_not_keep_the_lock(queue: Queue) -> None:
    """A child that was forked while the lock was held does not hold it after its end."""
    queue.add(b"x", 1)
    code = (
        "import os, pathlib, signal, sys\n"
        "from envfab.usagestats.queue import Queue\n"
        "queue = Queue(pathlib.Path(sys.argv[1]))\n"
        "with queue.lock():\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        signal.pause()\n"
        "with queue.lock() as locked:\n"
        "    os.kill(child, signal.SIGKILL)\n"
        "    print(locked)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, queue.folder], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_killed_holder_frees_the_lock(queue: Queue) -> None:
    """The kernel frees the lock of a process that was killed."""
    queue.add(b"x", 1)
    code = (
        "import os, pathlib, signal, sys\n"
        "from envfab.usagestats.queue import Queue\n"
        "with Queue(pathlib.Path(sys.argv[1])).lock():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, queue.folder], check=False)
    with queue.lock() as locked:
        assert locked


def test_under_a_file(tmp_path: Path) -> None:
    """Where no folder can be made, nothing is kept, listed or locked, and nothing raises."""
    (tmp_path / "file").write_bytes(b"")
    queue = Queue(tmp_path / "file" / "queue")
    assert queue.add(b"x", 1) is None
    assert queue.names() == []
    with queue.lock() as locked:
        assert not locked


def test_on_a_full_disk(full_disk: Path) -> None:
    """A report that does not fit leaves nothing behind, not even half of itself."""
    queue = Queue(full_disk)
    assert queue.add(b"x" * 8192, 1) is None
    assert os.listdir(full_disk) == ["ballast"]


def test_old_leftovers_are_removed(queue: Queue) -> None:
    """What a writer that was killed left behind goes away after a while; a write under way stays."""
    queue.add(b"x", 1)
    old, new = queue.folder / ".report_1.0.tmp", queue.folder / ".report_2.0.tmp"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (1, 1))
    queue.add(b"y", 2)
    assert not old.exists()
    assert new.exists()


def test_no_replacing(tmp_path: Path) -> None:
    """Without `replace` the first writer wins."""
    assert write_atomically(tmp_path / "a", b"1", replace=False)
    assert not write_atomically(tmp_path / "a", b"2", replace=False)
    assert (tmp_path / "a").read_bytes() == b"1"
    assert os.listdir(tmp_path) == ["a"]

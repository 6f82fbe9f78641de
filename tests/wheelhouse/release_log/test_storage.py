"""The release log on disk, and several writers at once."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import stat
import threading
import time
from datetime import datetime, timezone
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from envfab.errors import WheelhouseError
from envfab.wheelhouse.release_log.records import ErrorRecord, Record, ReleaseRecord, format_line
from envfab.wheelhouse.release_log.storage import LogFile

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
RECORD = ReleaseRecord("Django", "5.2.1", "django-5.2.1-py3-none-any.whl", NOON)


def read(path: Path) -> list[Record]:
    """All records of the log at a path."""
    return list(LogFile(path).read().records())


def test_a_log_that_does_not_exist_is_empty_and_made_by_the_first_line(tmp_path: Path) -> None:
    """Reading makes nothing; the first append makes the log and its folder."""
    log = LogFile(tmp_path / "new" / "release_log")
    assert list(log.read().records()) == []
    assert not log.path.parent.exists()
    log.append(RECORD)
    assert log.path.read_text(encoding="utf-8") == f"{format_line(RECORD)}\n"


def test_a_new_log_has_the_mode_that_the_umask_says(tmp_path: Path) -> None:
    """Under a team's umask the log is writable for the group."""
    before = os.umask(0o002)
    try:
        LogFile(tmp_path / "release_log").append(RECORD)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "release_log").stat().st_mode) == 0o664


def test_a_torn_line_is_kept_and_the_next_begins_anew(tmp_path: Path) -> None:
    """What a crash tore stays in the file, and does not swallow the next record."""
    path = tmp_path / "release_log"
    torn = format_line(RECORD)[:40]
    path.write_text(torn, encoding="utf-8")
    LogFile(path).append(RECORD)
    assert path.read_text(encoding="utf-8") == f"{torn}\n{format_line(RECORD)}\n"
    assert read(path) == [RECORD]


def test_bytes_that_are_no_utf8_spoil_only_their_own_line(tmp_path: Path) -> None:
    """A line in another encoding is reported; its neighbours are read."""
    path = tmp_path / "release_log"
    path.write_bytes(b"caf\xe9\n" + format_line(RECORD).encode() + b"\n")
    assert read(path) == [RECORD]
    assert [problem.number for problem in LogFile(path).read().problems()] == [1]


def write_errors(path: Path, who: str, count: int) -> None:
    """Append records one by one, as a process of its own."""
    for number in range(count):
        LogFile(path).append(ErrorRecord(f"{who}@web1:/srv", f"{number} {'x' * 5000}"))


def test_processes_and_threads_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    """Every record of every writer is there, whole, and in its writer's order."""
    path = tmp_path / "release_log"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_errors, args=(path, f"p{n}", 40)) for n in range(2)]
    threads = [threading.Thread(target=write_errors, args=(path, f"t{n}", 40)) for n in range(2)]
    writers: list[BaseProcess | threading.Thread] = [*processes, *threads]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = [record for record in read(path) if isinstance(record, ErrorRecord)]
    assert LogFile(path).read().problems() == ()
    for who in ("p0", "p1", "t0", "t1"):
        mine = [record.message.split()[0] for record in found if record.target.startswith(f"{who}@")]
        assert mine == [str(number) for number in range(40)]


def test_a_log_that_was_replaced_while_waiting_gets_the_line(tmp_path: Path) -> None:
    """Who waited for the lock of a file that git has put another in place of writes to the other."""
    path = tmp_path / "release_log"
    log = LogFile(path)
    log.append(RECORD)
    with log.locked():
        waiting = threading.Thread(target=log.append, args=(ErrorRecord("a@b:/c", "late"),))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        merged = tmp_path / "merged"
        merged.write_text(f"{format_line(RECORD)}\n", encoding="utf-8")
        merged.replace(path)
    waiting.join()
    assert read(path) == [RECORD, ErrorRecord("a@b:/c", "late")]


def fill_the_disk(path: Path) -> None:
    """Append until the process may write no more; ends well only where that is a WheelhouseError and leaves no half line."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with pytest.raises(WheelhouseError, match="cannot write the release log: File too large"):
        LogFile(path).append(ErrorRecord("a@b:/c", "x" * 2000))


def test_a_full_disk_leaves_no_half_record(tmp_path: Path) -> None:
    """Where there is no room for a record the log stays as it was, and the error says so."""
    path = tmp_path / "release_log"
    LogFile(path).append(RECORD)
    before = path.read_bytes()
    process = multiprocessing.get_context("spawn").Process(target=fill_the_disk, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert path.read_bytes() == before


def test_a_log_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    """A folder in the log's place is an error that names it, for readers and writers."""
    log = LogFile(tmp_path)
    with pytest.raises(WheelhouseError, match=f"{tmp_path}: cannot read the release log: Is a directory"):
        log.read()
    with pytest.raises(WheelhouseError, match=f"{tmp_path}: cannot write the release log: Is a directory"):
        log.append(RECORD)


def test_a_log_is_read_again_only_where_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred wheels that come in read a long log once; a line of somebody else's is seen all the same."""
    reads: list[int] = []
    pread = os.pread

    def counting(descriptor: int, size: int, at: int) -> bytes:
        reads.append(size)
        return pread(descriptor, size, at)

    monkeypatch.setattr(os, "pread", counting)
    log = LogFile(tmp_path / "release_log")
    log.append(*[RECORD] * 1000)
    long = log.path.stat().st_size
    for _ in range(100):
        log.read()
        with log.locked() as held:
            held.read()
            held.append(RECORD)
    assert len(list(log.read().records())) == 1100
    assert sum(size > 1 for size in reads) == 1
    LogFile(log.path).append(RECORD)
    assert len(list(log.read().records())) == 1101
    os.truncate(log.path, long)
    assert len(list(log.read().records())) == 1000


def test_a_log_that_was_written_over_is_read_again(tmp_path: Path) -> None:
    """Also by as many bytes, under the same name or in the same file."""
    log = LogFile(tmp_path / "release_log")
    log.append(RECORD)
    assert log.read().wheels(canonicalize_name("Django"))
    text = log.path.read_text(encoding="utf-8").replace("Django", "Flasky")
    time.sleep(0.02)
    log.path.write_text(text, encoding="utf-8")
    assert not log.read().wheels(canonicalize_name("Django"))
    beside = tmp_path / "beside"
    beside.write_text(text.replace("Flasky", "Django"), encoding="utf-8")
    beside.replace(log.path)
    assert log.read().wheels(canonicalize_name("Django"))


def test_a_pipe_in_the_place_of_a_log_is_not_waited_for(tmp_path: Path) -> None:
    """Reading says that it cannot be read."""
    os.mkfifo(tmp_path / "release_log")
    with pytest.raises(WheelhouseError, match="cannot read the release log: "):
        LogFile(tmp_path / "release_log").read()

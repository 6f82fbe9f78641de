"""Where logs of rollouts lie, and which of them go."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from envfab.deployment.rollout_log.places import HEADER, LOG, MEGABYTE, Logs, logs_folder


def rollout(number: int) -> str:
    """An id; those of later rollouts sort behind those of earlier ones."""
    return f"20261120-{number:06}-9f3a"


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """A folder for logs that does not exist yet."""
    return Logs(tmp_path / "state" / "rollouts")


def ended(logs: Logs, number: int, size: int = 0) -> str:
    """A log of about some size, which no program writes any more."""
    descriptor = logs.make(rollout(number), "{}")
    os.write(descriptor, bytes(size))
    os.close(descriptor)
    return rollout(number)


def test_a_log_is_for_its_owner_alone(logs: Logs) -> None:
    """Whatever the umask says."""
    before = os.umask(0)
    try:
        ended(logs, 1)
    finally:
        os.umask(before)
    modes = {path.relative_to(logs.folder).as_posix(): path.stat().st_mode & 0o777 for path in logs.folder.rglob("*")}
    assert modes == {rollout(1): 0o700, f"{rollout(1)}/{LOG}": 0o600, f"{rollout(1)}/{HEADER}": 0o600}
    assert logs.folder.stat().st_mode & 0o777 == 0o700


def test_the_newest_are_kept_by_number(logs: Logs) -> None:
    """What else lies in the folder stays."""
    for number in range(5):
        ended(logs, number)
    (logs.folder / "notes").mkdir()
    logs.prune(2, 10, rollout(9))
    assert logs.ids() == [rollout(4), rollout(3)]
    assert (logs.folder / "notes").is_dir()


def test_the_one_that_begins_counts_as_the_newest(logs: Logs) -> None:
    """Another one of the same second may have an id that sorts behind it."""
    for number in range(3):
        ended(logs, number)
    logs.prune(2, 10, rollout(0))
    assert logs.ids() == [rollout(2), rollout(0)]


def test_the_newest_are_kept_by_size(logs: Logs) -> None:
    """Those that fit, and none that is older than one that does not."""
    for number, size in enumerate((1, MEGABYTE, MEGABYTE // 2 - 10, MEGABYTE // 2 - 10)):
        ended(logs, number, size)
    logs.prune(50, 1, rollout(9))
    assert logs.ids() == [rollout(3), rollout(2)]


def test_a_log_that_is_written_stays(logs: Logs) -> None:
    """However many newer ones there are; once its program has ended, it goes."""
    descriptor = logs.make(rollout(0), "{}")
    for number in range(1, 4):
        ended(logs, number)
    logs.prune(2, 10, rollout(9))
    assert logs.ids() == [rollout(3), rollout(2), rollout(0)]
    os.close(descriptor)
    logs.prune(2, 10, rollout(9))
    assert logs.ids() == [rollout(3), rollout(2)]


def test_several_programs_remove_logs_at_once(logs: Logs) -> None:
    """None fails, none removes too much, and nothing is left half removed."""
    for number in range(30):
        ended(logs, number, 1000)
    failures: list[BaseException] = []

    def prune() -> None:
        try:
            logs.prune(5, 10, rollout(29))
        except BaseException as error:  # noqa: BLE001 - the test tells of it
            failures.append(error)

    threads = [threading.Thread(target=prune) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert logs.ids() == [rollout(number) for number in range(29, 24, -1)]
    assert [path.name for path in logs.folder.iterdir() if path.name.startswith(".")] == [".lock"]


def test_what_a_killed_program_left_goes(logs: Logs) -> None:
    """A log that was being removed at once, one that was being made after a day; a log without its file, too."""
    ended(logs, 9)
    for name, age in ((".old-x", 0), (".new-young", 60), (".new-old", 90_000), (rollout(0), 0)):
        (logs.folder / name).mkdir()
        at = (logs.folder / name).stat().st_mtime - age
        os.utime(logs.folder / name, (at, at))
    logs.prune(1, 10, rollout(9))
    assert {path.name for path in logs.folder.iterdir()} == {".lock", ".new-young", rollout(9)}


def test_a_link_that_is_named_as_a_log_does_not_lead_out(logs: Logs, tmp_path: Path) -> None:
    """What it leads to stays."""
    ended(logs, 9)
    other = tmp_path / "other"
    other.mkdir()
    (other / LOG).touch()
    (logs.folder / rollout(0)).symlink_to(other)
    logs.prune(1, 10, rollout(9))
    assert (other / LOG).exists()


def test_logs_lie_in_the_users_state_folder() -> None:
    """As the XDG Base Directory Specification has it; a user without a home has none."""
    assert logs_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/envfab/rollouts")
    assert logs_folder({"HOME": "/h"}) == Path("/h/.local/state/envfab/rollouts")
    assert logs_folder({}) is None


def test_a_log_that_cannot_be_made_leaves_nothing(logs: Logs) -> None:
    """Here because its rollout has one already."""
    ended(logs, 1)
    with pytest.raises(OSError, match="not empty"):
        logs.make(rollout(1), "{}")
    assert [path.name for path in logs.folder.iterdir()] == [rollout(1)]

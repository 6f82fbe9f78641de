"""Documents that could not be delivered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envfab.deployment.rollout_report import unsent as module
from envfab.deployment.rollout_report.unsent import MAX_ROLLOUTS, UnsentRollouts, collector_key, unsent_folder

KEY, OTHER = collector_key("address", "https://a"), collector_key("address", "https://b")


def rollout(number: int) -> str:
    """An id; those of later rollouts sort behind those of earlier ones."""
    return f"20261120-{number:06}-9f3a"


@pytest.fixture
def unsent(tmp_path: Path) -> UnsentRollouts:
    """A folder that does not exist yet."""
    return UnsentRollouts(tmp_path / "state" / "unsent-rollouts")


def test_what_is_kept_waits_for_its_collector(unsent: UnsentRollouts) -> None:
    """The oldest first, until it is forgotten; a later document of a rollout takes the place of an earlier one."""
    assert unsent.waiting([KEY]) == []
    for number, key, body in ((2, KEY, b"2"), (1, KEY, b"1"), (1, OTHER, b"o"), (1, KEY, b"1.2")):
        unsent.keep(rollout(number), key, body)
    assert unsent.waiting([KEY]) == [(rollout(1), KEY), (rollout(2), KEY)]
    assert (unsent.read(rollout(1), KEY), unsent.read(rollout(1), OTHER)) == (b"1.2", b"o")
    unsent.forget(rollout(1), KEY)
    assert unsent.waiting([KEY, OTHER]) == [(rollout(1), OTHER), (rollout(2), KEY)]
    assert unsent.read(rollout(1), KEY) is None


def test_it_is_for_its_owner_alone(unsent: UnsentRollouts, tmp_path: Path) -> None:
    """Whatever the umask says."""
    before = os.umask(0)
    try:
        unsent.keep(rollout(1), KEY, b"{}")
    finally:
        os.umask(before)
    folder = tmp_path / "state" / "unsent-rollouts"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


def test_the_oldest_rollouts_go(unsent: UnsentRollouts) -> None:
    """Those of all collectors; a rollout counts once."""
    for number in range(MAX_ROLLOUTS + 3):
        unsent.keep(rollout(number), KEY, b"{}")
    unsent.keep(rollout(MAX_ROLLOUTS), OTHER, b"{}")
    kept = unsent.waiting([KEY])
    assert (len(kept), kept[0][0]) == (MAX_ROLLOUTS, rollout(3))


def test_the_oldest_go_where_they_are_large(unsent: UnsentRollouts, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept last stays."""
    monkeypatch.setattr(module, "MAX_BYTES", 250)
    for number in range(4):
        unsent.keep(rollout(number), KEY, bytes(100))
    assert unsent.waiting([KEY]) == [(rollout(2), KEY), (rollout(3), KEY)]


def test_what_a_killed_program_left_goes_after_a_day(unsent: UnsentRollouts, tmp_path: Path) -> None:
    """What else lies there stays, and is not sent."""
    unsent.keep(rollout(1), KEY, b"{}")
    folder = tmp_path / "state" / "unsent-rollouts"
    for name in (".old.tmp", ".young.tmp", "notes.json", f"{rollout(1)}.json"):
        (folder / name).touch()
    os.utime(folder / ".old.tmp", (1, 1))
    unsent.keep(rollout(2), KEY, b"{}")
    assert {path.name for path in folder.iterdir()} == {
        ".young.tmp", "notes.json", f"{rollout(1)}.json", f"{rollout(1)}.{KEY}.json", f"{rollout(2)}.{KEY}.json",
    }  # fmt: skip
    assert unsent.waiting([KEY]) == [(rollout(1), KEY), (rollout(2), KEY)]


def test_it_lies_in_the_users_state_folder() -> None:
    """As the XDG Base Directory Specification has it; a user without a home has none."""
    assert unsent_folder({"HOME": "/h"}) == Path("/h/.local/state/envfab/unsent-rollouts")
    assert unsent_folder({}) is None

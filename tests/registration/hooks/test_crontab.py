"""The crontab, by way of a program that keeps it in a file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from envfab.errors import RegistrationError, UsageError
from envfab.registration.hooks import crontab
from envfab.registration.hooks.activation import Call
from tests.support.crontab import FakeCrontab

CALL = Call("/srv/our fleet", ["/opt/it's/fab", "register"])
OTHER = Call("/srv/other", ["/usr/bin/fab", "register"])


@pytest.fixture
def cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCrontab:
    """A `crontab` on the path."""
    fake = FakeCrontab(tmp_path / "cron")
    monkeypatch.setenv("PATH", f"{fake.folder}:{os.environ['PATH']}")
    return fake


def test_the_line_registers_the_fleet(cron: FakeCrontab) -> None:
    """Every day, in the fabfile's folder; success is not mailed."""
    assert crontab.install(CALL, crontab.DAILY)
    assert cron.text == (
        "37 4 * * * cd '/srv/our fleet' && '/opt/it'\"'\"'s/fab' register >/dev/null"
        " # envfab register_hook: register in /srv/our fleet\n"
    )


def test_twice_changes_nothing(cron: FakeCrontab) -> None:
    """The second time the crontab is not written."""
    crontab.install(CALL, crontab.DAILY)
    written = cron.writes
    assert not crontab.install(CALL, crontab.DAILY)
    assert cron.writes == written == 1


def test_another_schedule_takes_the_lines_place(cron: FakeCrontab) -> None:
    """There is one line a fleet, where it was."""
    cron.text = "# first\n"
    crontab.install(CALL, crontab.DAILY)
    cron.text += "@daily last\n"
    assert crontab.install(CALL, "@hourly")
    first, ours, last = cron.text.splitlines()
    assert (first, last) == ("# first", "@daily last")
    assert ours.startswith("@hourly cd ")


def test_fleets_do_not_meet(cron: FakeCrontab) -> None:
    """Each fabfile has its own line, and removes its own."""
    crontab.install(CALL, crontab.DAILY)
    crontab.install(OTHER, crontab.DAILY)
    assert crontab.remove(CALL)
    assert cron.text.count("\n") == 1
    assert "/srv/other" in cron.text


@pytest.mark.parametrize("before", ["MAILTO=me\n\n# mine\n0 1 * * * /bin/true % input\n", "x # \xe4\x0c\u2028\n"])
def test_removing_leaves_what_was_there(cron: FakeCrontab, before: str) -> None:
    """All other lines are the very same."""
    cron.text = before
    crontab.install(CALL, crontab.DAILY)
    assert cron.text.startswith(before)
    assert crontab.remove(CALL)
    assert cron.text == before
    assert not crontab.remove(CALL)


def test_the_last_line_takes_the_crontab_with_it(cron: FakeCrontab) -> None:
    """Who had no crontab has none again."""
    crontab.install(CALL, crontab.DAILY)
    assert crontab.remove(CALL)
    assert not cron.exists


def test_the_line_does_what_it_says(tmp_path: Path) -> None:
    """A shell given the line, percent signs unescaped as cron does, calls the program in the folder."""
    folder = tmp_path / "100% $(touch owned) it's"
    folder.mkdir()
    program = folder / "fab"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$PWD" "$DIFIO_USER_ID" "$@" > called\necho success\n')
    program.chmod(0o755)
    line = crontab.entry(
        Call(str(folder), [str(program), "-c", "it's 5%", "register"], {"DIFIO_USER_ID": "7"}), "@daily"
    )
    assert "%" not in line.replace(r"\%", "")
    command = line.removeprefix("@daily ").replace(r"\%", "%")
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (folder / "called").read_text().splitlines() == [str(folder), "7", "-c", "it's 5%", "register"]
    assert (done.stdout, done.stderr) == ("", "")
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize("schedule", ["@daily", "*/5 0-6 1,15 * mon-fri", "0  4 * * *"])
def test_schedules_of_cron_are_taken(schedule: str) -> None:
    """Five fields, or a word."""
    assert crontab.entry(CALL, schedule).startswith(f"{schedule} cd ")


@pytest.mark.parametrize("schedule", ["", "daily", "* * * *", "* * * * * *", "@daily\n* * * * * evil", "% * * * *"])
def test_other_schedules_are_refused(schedule: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(UsageError, match=r"is not a schedule of crontab\(5\)\n  say '37 4"):
        crontab.entry(CALL, schedule)


def test_a_line_that_cron_would_cut_is_refused() -> None:
    """It reads a thousand characters."""
    with pytest.raises(UsageError, match="longer than cron reads"):
        crontab.entry(Call("/" + "x" * 500, ["fab", "register"]), "@daily")


def test_a_crontab_that_cannot_be_read_is_not_replaced(cron: FakeCrontab) -> None:
    """Only an absent one counts as empty."""
    cron.fail("crontab: you are not allowed to use this program")
    with pytest.raises(RegistrationError) as caught:
        crontab.install(CALL, crontab.DAILY)
    assert str(caught.value) == "the crontab cannot be read: crontab: you are not allowed to use this program"
    assert cron.writes == 0


def test_a_machine_without_cron_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is no crontab program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RegistrationError, match="the crontab program is not installed"):
        crontab.install(CALL, crontab.DAILY)

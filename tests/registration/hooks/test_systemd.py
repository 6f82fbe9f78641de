"""systemd timers: units that systemd itself finds right, and a `systemctl` that writes down what it is asked for."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from envfab.errors import UsageError
from envfab.registration.hooks import systemd
from envfab.registration.hooks.activation import Call
from envfab.registration.hooks.systemd import Timer, TimerError
from tests.support.systemd import FakeSystemd

VARIABLES = {"DIFIO_URL": "https://e.org/?a=%20b", "DIFIO_APP_NAME": 'it\'s "our" shop\\x $HOME'}


@pytest.fixture
def service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    """A user with a service manager of their own."""
    fake = FakeSystemd(tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{fake.folder}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    return fake


@pytest.fixture
def odd(tmp_path: Path) -> Timer:
    """A timer of which every part has what systemd could take for something else."""
    folder = tmp_path / 'our 100% $HOME "fleet"'
    folder.mkdir()
    program = folder / "fab \\n it's"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return Timer(
        "plan", Call(str(folder), [str(program), "plan", "--check", "$PATH %h ${x} ;"], VARIABLES), "timer:plan"
    )


def test_a_user_gets_units_of_their_own(service_manager: FakeSystemd, tmp_path: Path, odd: Timer) -> None:
    """A service and a timer in the user's folder, which is started and enabled; a second time nothing is written."""
    folder = tmp_path / "config" / "systemd" / "user"
    assert systemd.install(odd, systemd.DAILY) == [folder / f"{odd.unit}.service", folder / f"{odd.unit}.timer"]
    assert service_manager.asked == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now --quiet {odd.unit}.timer",
    ]
    assert systemd.install(odd, systemd.DAILY) == []
    assert systemd.install(odd, "hourly") == [folder / f"{odd.unit}.timer"]
    assert "OnCalendar=hourly\n" in (folder / f"{odd.unit}.timer").read_text()


def test_root_gets_units_of_the_system(
    service_manager: FakeSystemd, tmp_path: Path, odd: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the system's folder, by the system's service manager."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(systemd, "SYSTEM_UNITS", tmp_path / "system")
    assert [path.parent for path in systemd.install(odd, "daily")] == [tmp_path / "system"] * 2
    assert service_manager.asked[0] == "systemctl daemon-reload"


@pytest.mark.usefixtures("service_manager")
def test_systemd_reads_the_units_as_they_are_meant(odd: Timer) -> None:
    """`systemd-analyze verify` finds nothing to say, whatever characters folder, command and variables have."""
    paths = systemd.install(odd, systemd.DAILY)
    done = subprocess.run(
        ["systemd-analyze", "verify", *paths], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.usefixtures("service_manager")
def test_the_service_starts_the_command_as_it_was_given(odd: Timer) -> None:
    """Every word arrives whole: the line is read as systemd does, and run."""
    (odd_line,) = [line for line in systemd.install(odd, "daily")[0].read_text().splitlines() if "ExecStart" in line]
    # in quotes, systemd.syntax(7) knows the escapes of shlex and C; `%%` and `$$` are `%` and `$`
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(odd_line.partition("=")[2])]
    program = Path(odd.call.command[0])
    program.write_text('#!/bin/sh\nprintf \'%s\\n\' "$0" "$@"\n')
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == list(odd.call.command)


def test_what_is_removed_leaves_nothing(service_manager: FakeSystemd, odd: Timer) -> None:
    """The timer is stopped first; a second time there is nothing to remove."""
    paths = systemd.install(odd, systemd.DAILY)
    before = len(service_manager.asked)
    assert sorted(systemd.remove(odd)) == paths
    assert service_manager.asked[before:] == [
        f"systemctl --user disable --now --quiet {odd.unit}.timer",
        "systemctl --user daemon-reload",
    ]
    assert not any(path.exists() for path in paths)
    assert systemd.remove(odd) == []


def test_a_refusal_leaves_no_unit_behind(service_manager: FakeSystemd, tmp_path: Path, odd: Timer) -> None:
    """The message has systemctl's last words, and says how cron does what this timer would do."""
    service_manager.fail("Failed to connect to bus: No medium found\n")
    with pytest.raises(TimerError) as caught:
        systemd.install(odd, systemd.DAILY)
    assert str(caught.value) == (
        "systemctl --user daemon-reload: Failed to connect to bus: No medium found\n"
        "  if systemd does not run here, use cron: add fab plan --check by crontab -e"
    )
    assert list((tmp_path / "config" / "systemd" / "user").iterdir()) == []


@pytest.mark.parametrize("schedule", ["nonsense", "", "37 4 * * *", "daily\nUnit=other.service", "daily\0"])
def test_a_schedule_that_systemd_does_not_take_is_refused(
    service_manager: FakeSystemd, odd: Timer, schedule: str
) -> None:
    """Before anything is written; the message says what would do."""
    with pytest.raises(UsageError, match=r"is not a schedule of systemd\n  say '\*-\*-\* 04:37:00', hourly or daily"):
        systemd.install(odd, schedule)
    assert service_manager.asked == []


def test_without_systemd_the_message_says_so(tmp_path: Path, odd: Timer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And names cron."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TimerError, match=r"^systemd-analyze is not installed\n  use cron: add fab plan --check by"):
        systemd.install(odd, systemd.DAILY)
    with pytest.raises(TimerError, match=r"\n  use cron: fab register_hook --cron$"):
        systemd.install(replace(odd, name="register"), systemd.DAILY)


def test_timers_of_two_fabfiles_have_two_names() -> None:
    """And so have those of two tasks, and of two virtualenvs."""
    calls = [Call("/a", ["fab", "plan"]), Call("/b", ["fab", "plan"]), Call("/a", ["fab", "register"])]
    calls += [Call("/a", ["fab", "plan"], of="/srv/v")]
    assert len({Timer("plan", call, "timer").unit for call in calls}) == 4

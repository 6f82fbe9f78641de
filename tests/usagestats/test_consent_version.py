"""Consent has a version: who agreed to another one is asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envfab.usagestats import Prompt, Stats
from envfab.usagestats.consent import agree, has_agreed
from envfab.usagestats.delivery import wait_for_couriers
from tests.usagestats.conftest import PROMPT, Make
from tests.usagestats.server import Server

CHANGED = "\nWhat is collected has changed since you agreed to it, so nothing is uploaded now.\n"


def submit(stats: Stats, what: str) -> None:
    """Submit a report, and wait for its delivery."""
    stats.submit({"what": what})
    wait_for_couriers()


def test_who_said_yes_is_asked_again(make: Make, server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """Under a new version reports are kept, none is sent, and the prompt says why it is shown."""
    submit(make(enabled=True), "old")
    stats = make(consent="2")
    assert (stats.status, stats.outdated, stats.sending, stats.enableable) == (Stats.UNSET, True, False, True)
    submit(stats, "new")
    assert stats.flush() == 1
    assert server.what == ["old"]
    assert capfd.readouterr().err == CHANGED + PROMPT.prompt


def test_saying_yes_again(make: Make, server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """After agreeing to the new version all that was kept is sent, and the user is not asked any more."""
    make(enabled=True)
    submit(make(consent="2"), "kept")
    capfd.readouterr()
    assert make(consent="2").enable_reporting()
    stats = make(consent="2")
    assert (stats.status, stats.outdated) == (Stats.ENABLED, False)
    submit(stats, "new")
    assert sorted(server.what) == ["kept", "new"]
    assert capfd.readouterr().err == ""


def test_no_stays_no(make: Make, server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """Who opted out is not asked, whatever the version."""
    make().disable_reporting()
    stats = make(consent="2")
    submit(stats, "new")
    assert (stats.status, stats.outdated, stats.pending(), server.what) == (Stats.DISABLED, False, (), [])
    assert capfd.readouterr().err == ""


def test_two_versions_of_a_program(make: Make, server: Server) -> None:
    """A user who agreed to both versions uses both, side by side."""
    make(enabled=True)
    make(consent="2").enable_reporting()
    submit(make(), "old")
    submit(make(consent="2"), "new")
    assert sorted(server.what) == ["new", "old"]


def test_an_older_version_asks_too(make: Make) -> None:
    """Who agreed to the newer version alone did not agree to the older one."""
    make(consent="2").enable_reporting()
    assert make().outdated


def test_opting_out_takes_all_back(make: Make, location: Path) -> None:
    """After opting out and in again, only the version that was asked for is agreed to."""
    make(enabled=True)
    make(consent="2").enable_reporting()
    make(consent="2").disable_reporting()
    assert not (location / "consent").exists()
    make(consent="2").enable_reporting()
    assert not make(consent="2").outdated
    assert make().outdated


def test_without_versions_nothing_is_kept_of_them(make: Make, location: Path) -> None:
    """A program that names no version writes the files of before."""
    make(enabled=True)
    assert [path.name for path in location.iterdir()] == ["status"]


def test_while_the_program_runs(make: Make, server: Server) -> None:
    """Agreeing in another process counts for a program that runs already."""
    make(enabled=True)
    stats = make(consent="2")
    make(consent="2").enable_reporting()
    submit(stats, "new")
    assert server.what == ["new"]
    assert not stats.outdated


def test_nothing_is_sent_where_the_answer_cannot_be_kept(
    make: Make, location: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yes to the new version that cannot be written is told, and is not taken for one."""
    make(enabled=True)
    monkeypatch.setattr("envfab.usagestats.consent.write_atomically", lambda *_, **__: False)
    stats = make(consent="2")
    assert not stats.enable_reporting()
    submit(stats, "new")
    assert server.what == []
    assert not (location / "consent").exists()


def test_a_configuration_of_ones_own(location: Path, server: Server) -> None:
    """Where a program keeps the choice itself, the version lies in the folder all the same."""
    choice = [Stats.ENABLED]

    class OwnStats(Stats):
        def read_config(self) -> None:
            self.status = choice[0]

        def write_config(self, enabled: int) -> None:
            choice[0] = enabled

    def own(**more: Any) -> OwnStats:
        return OwnStats(location, Prompt("ask\n"), server.url, "1.0", **more)

    assert own().sending
    assert own(consent="2").outdated
    assert own(consent="2").enable_reporting()
    assert own(consent="2").sending


def test_many_versions(tmp_path: Path) -> None:
    """The file keeps the latest 20 versions."""
    (tmp_path / "status").write_text("ENABLED")
    for number in range(30):
        assert agree(tmp_path, str(number))
    assert [number for number in range(30) if has_agreed(tmp_path, str(number))] == list(range(10, 30))


def test_a_spoilt_file(make: Make, location: Path) -> None:
    """A file that says nothing understandable is no consent."""
    make(enabled=True)
    (location / "consent").write_bytes(b"\xff\x00" * 100_000)
    assert make().outdated

"""What a program and its user see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envfab.usagestats import OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME, Prompt, Stats, consent
from envfab.usagestats.delivery import wait_for_couriers
from envfab.usagestats.queue import MAX_REPORTS
from envfab.usagestats.report import parse_report
from envfab.usagestats.stats import MAX_ENTRIES
from tests.usagestats.conftest import PROMPT, Make
from tests.usagestats.server import Server

PROMPT_LINES = """
Uploading usage statistics is currently DISABLED
Please help us by providing anonymous usage statistics; you can enable this
by running:
    cool_program --enable-stats
If you do not want to see this message again, you can run:
    cool_program --disable-stats
Nothing will be uploaded before you opt in.
"""
Output = pytest.CaptureFixture[str]


def reports_in(location: Path) -> list[str]:
    """The names of the reports that wait."""
    return sorted(name for name in os.listdir(location) if name.startswith("report_"))


def submit(stats: Stats, what: str = "ran") -> None:
    """Submit, and wait as a program's end does."""
    stats.submit({"what": what})
    wait_for_couriers()


class TestPrompt:
    """`Prompt(prompt)` or `Prompt(enable=, disable=)`."""

    def test_the_text(self) -> None:
        """The commands stand in the text that the design fixes."""
        assert PROMPT.prompt == PROMPT_LINES

    def test_a_text_of_ones_own(self) -> None:
        """A text is taken as it is."""
        assert Prompt("Please!").prompt == "Please!"

    @pytest.mark.parametrize("arguments", [{}, {"enable": "x"}, {"disable": "x"}, {"prompt": "x", "enable": "y"}])
    def test_half_of_it(self, arguments: dict[str, str]) -> None:
        """Anything between the two is a TypeError, as it is in the original library."""
        with pytest.raises(TypeError, match="either a text, or both enable= and disable="):
            Prompt(**arguments)

    def test_of_stats(self, make: Make) -> None:
        """`Stats` takes a Prompt or a string, and nothing else."""
        assert make(prompt="Please!").prompt.prompt == "Please!"
        with pytest.raises(TypeError, match="Prompt or a string"):
            make(prompt=None)


class TestBeforeOptIn:
    """The user has not chosen yet."""

    def test_reports_are_kept_and_the_user_is_asked(
        self, make: Make, location: Path, server: Server, capfd: Output
    ) -> None:
        """A report is stored, nothing is sent, and the prompt goes to stderr."""
        stats = make()
        assert (stats.status, stats.enabled, stats.recording, stats.sending) == (Stats.UNSET, True, True, False)
        assert (stats.enableable, stats.disableable) == (True, True)
        submit(stats)
        assert capfd.readouterr() == ("", PROMPT_LINES)
        assert len(reports_in(location)) == 1
        assert server.bodies == []

    def test_earlier_reports_go_out_after_opting_in(self, make: Make, location: Path, server: Server) -> None:
        """After opting in all that waited is sent, oldest first, then the new report."""
        for what in ("one", "two"):
            submit(make(), what)
        submit(make(enabled=True), "three")
        assert server.what == ["one", "two", "three"]
        assert reports_in(location) == []

    def test_the_queue_is_bounded(self, make: Make, location: Path) -> None:
        """A user who never answers does not fill the disk."""
        for _ in range(MAX_REPORTS + 3):
            make().submit({})
        assert len(reports_in(location)) == MAX_REPORTS


class TestEnabled:
    """The user has opted in."""

    def test_what_is_sent(self, make: Make, server: Server) -> None:
        """A report has its date, the user's id, the version, notes and info in their order, twice where noted twice."""
        stats = make(enabled=True, unique_user_id=True)
        stats.note({"mode": "fast"})
        stats.note([("mode", "slow")])
        before = time.time()
        submit(stats)
        report = parse_report(server.bodies[0])
        assert report.entries == (("version", "1.0"), ("mode", "fast"), ("mode", "slow"), ("what", "ran"))
        assert report.user == stats.user_id
        assert abs(report.date / 1000 - before) < 5

    def test_the_next_run_sends_too(self, make: Make, server: Server, capfd: Output) -> None:
        """The choice is kept, and nothing is printed any more."""
        submit(make(enabled=True))
        stats = make()
        assert stats.enable_reporting()
        assert (stats.status, stats.sending) == (Stats.ENABLED, True)
        assert (stats.enableable, stats.disableable) == (False, True)
        submit(stats)
        assert len(server.bodies) == 2
        assert capfd.readouterr() == ("", "")

    def test_only_the_first_submit_counts(self, make: Make, server: Server) -> None:
        """After `submit()` further notes and submits do nothing."""
        stats = make(enabled=True)
        submit(stats, "first")
        stats.note({"what": "late"})
        submit(stats, "second")
        assert server.what == ["first"]

    def test_enabling_what_was_disabled(self, make: Make, server: Server) -> None:
        """A user may change their mind; the version is in the report even so."""
        make().disable_reporting()
        stats = make()
        assert stats.enable_reporting()
        submit(stats)
        assert parse_report(server.bodies[0]).entries == (("version", "1.0"), ("what", "ran"))


class TestDisabled:
    """The user has opted out."""

    def test_waiting_reports_are_deleted(self, make: Make, location: Path, server: Server, capfd: Output) -> None:
        """Opting out deletes what waited; from then on nothing is recorded, sent or asked."""
        submit(make())
        capfd.readouterr()
        assert make().disable_reporting()
        stats = make()
        assert (stats.status, stats.recording, stats.disableable, stats.enableable) == (
            Stats.DISABLED,
            False,
            False,
            True,
        )
        submit(stats)
        assert reports_in(location) == []
        assert server.bodies == []
        assert capfd.readouterr() == ("", "")
        assert stats.preview({"a": 1}) == b""

    def test_opting_out_in_another_process(self, make: Make, location: Path, server: Server) -> None:
        """A program that has run since before the user opted out elsewhere records and sends nothing more."""
        stats = make(enabled=True)
        make().disable_reporting()
        submit(stats)
        assert stats.status == Stats.DISABLED
        assert (reports_in(location), server.bodies) == ([], [])

    def test_opting_in_in_another_process(self, make: Make, server: Server) -> None:
        """A program that has run since before the user opted in elsewhere sends."""
        stats = make()
        make(enabled=True)
        submit(stats)
        assert server.what == ["ran"]

    def test_opting_out_at_the_last_moment(self, make: Make, location: Path, server: Server) -> None:
        """A report that is being made while the user opts out elsewhere is not left behind."""

        def opt_out(*_: object) -> None:
            make().disable_reporting()

        make(enabled=True).submit({}, opt_out)
        wait_for_couriers()
        assert (reports_in(location), server.bodies) == ([], [])

    def test_opting_out_stops_a_delivery(self, make: Make, location: Path, server: Server) -> None:
        """While reports are being sent, opting out keeps the rest from being sent."""
        for what in ("one", "two", "three"):
            submit(make(), what)

        def opt_out(_: bytes) -> tuple[int, dict[str, str]]:
            make().disable_reporting()
            return 200, {}

        server.answer = opt_out
        submit(make(enabled=True), "four")
        assert server.what == ["one"]
        assert reports_in(location) == []


class TestWithdrawal:
    """Consent that goes away while reports are being sent."""

    def test_by_the_environment(self, make: Make, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program that sets DO_NOT_TRACK for itself sends no further report; what waits is kept."""
        for what in ("one", "two", "three"):
            submit(make(), what)

        def forbid(_: bytes) -> tuple[int, dict[str, str]]:
            monkeypatch.setenv("DO_NOT_TRACK", "1")
            return 200, {}

        server.answer = forbid
        assert make(enabled=True).flush() == 2
        assert server.what == ["one"]

    def test_on_a_full_disk(self, make: Make, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        """A no that cannot be written is reported; the next run has no earlier yes either, and asks again."""
        stats = make(enabled=True)
        with monkeypatch.context() as patch:
            patch.setattr(consent, "write_atomically", lambda *_, **__: False)
            assert not stats.disable_reporting()
        again = make()
        submit(again)
        assert again.status == Stats.UNSET
        assert server.bodies == []

    def test_by_the_program(self, make: Make, server: Server) -> None:
        """A program that sets the status itself sends no further report either."""
        for what in ("one", "two"):
            submit(make(), what)
        stats = make(enabled=True)

        def forbid(_: bytes) -> tuple[int, dict[str, str]]:
            stats.status = Stats.DISABLED
            return 200, {}

        server.answer = forbid
        assert stats.flush() == 1
        assert server.what == ["one"]


class TestEnvironment:
    """PYTHON_USAGE_STATS, DO_NOT_TRACK and CI services."""

    @pytest.mark.parametrize("value", ["0", "off", "no", "false", "disabled", "anything", " "])
    def test_the_variable_says_no(self, make: Make, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        """Any value but a yes switches statistics off."""
        monkeypatch.setenv("PYTHON_USAGE_STATS", value)
        stats = make()
        assert (stats.status, stats.enabled, stats.enableable) == (Stats.DISABLED_ENV, False, True)

    @pytest.mark.parametrize("value", ["", "1", "on", "ON", "enabled", "yes", "true"])
    def test_the_variable_says_yes(self, make: Make, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        """A yes leaves the user's choice as it is."""
        monkeypatch.setenv("PYTHON_USAGE_STATS", value)
        assert make().status == Stats.UNSET

    def test_a_variable_of_ones_own(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program may name its own variable."""
        monkeypatch.setenv("SHOP_STATS", "off")
        assert make(env_var="SHOP_STATS").status == Stats.DISABLED_ENV
        assert make().status == Stats.UNSET

    @pytest.mark.parametrize(
        ("value", "status"), [("1", 1), ("true", 1), ("yes please", 1), ("0", 3), ("false", 3), ("", 3)]
    )
    def test_do_not_track(self, make: Make, monkeypatch: pytest.MonkeyPatch, value: str, status: int) -> None:
        """DO_NOT_TRACK is honoured, whatever else is set."""
        monkeypatch.setenv("DO_NOT_TRACK", value)
        monkeypatch.setenv("PYTHON_USAGE_STATS", "1")
        assert make().status == status

    @pytest.mark.parametrize("variable", ["PYTHON_USAGE_STATS", "DO_NOT_TRACK"])
    @pytest.mark.parametrize("enabled", [True, False])
    def test_at_every_submit(
        self, make: Make, location: Path, server: Server, capfd: Output,
        monkeypatch: pytest.MonkeyPatch, variable: str, enabled: bool,
    ) -> None:  # fmt: skip
        """A variable set after the start counts at `submit()`: nothing is recorded, sent or asked."""
        stats = make(enabled=enabled)
        monkeypatch.setenv(variable, "1" if variable == "DO_NOT_TRACK" else "0")
        submit(stats)
        assert stats.status == Stats.DISABLED_ENV
        assert (reports_in(location), server.bodies) == ([], [])
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("variable", ["CI", "JENKINS_URL", "TF_BUILD"])
    def test_ci(self, make: Make, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
        """With `skip_ci` a CI service switches statistics off; without it nothing changes for a program."""
        monkeypatch.setenv(variable, "true")
        assert make(skip_ci=True).status == Stats.DISABLED_ENV
        assert make().status == Stats.UNSET

    def test_opting_out_under_the_variable(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        """The choice can be made, and is kept, while the environment switches statistics off."""
        monkeypatch.setenv("PYTHON_USAGE_STATS", "0")
        assert make().disable_reporting()
        monkeypatch.delenv("PYTHON_USAGE_STATS")
        assert make().status == Stats.DISABLED


class TestUser:
    """The random id that stands for a user."""

    def test_it_is_kept(self, make: Make, location: Path) -> None:
        """The id is the same in every run, random, and in the file `user_id`."""
        first = make(unique_user_id=True).user_id
        assert first == make(unique_user_id=True).user_id == (location / "user_id").read_text()
        assert first != make(unique_user_id=True, location=location / "other").user_id

    def test_none_unless_asked_for(self, make: Make, location: Path) -> None:
        """A program that wants no ids gets none."""
        assert make().user_id is None
        assert not (location / "user_id").exists()

    @pytest.mark.parametrize("spoilt", [b"", b"\n", b"x" * 5000, b"two\nlines", b"\x00"])
    def test_a_spoilt_file(self, make: Make, location: Path, spoilt: bytes) -> None:
        """A file that holds no id is replaced."""
        location.mkdir()
        (location / "user_id").write_bytes(spoilt)
        fresh = make(unique_user_id=True).user_id
        assert fresh == (location / "user_id").read_text()
        assert fresh is not None
        assert len(fresh) == 36

    def test_forgetting(self, make: Make, location: Path, server: Server) -> None:
        """The id can be forgotten, with the waiting reports that carry it; the next report has a new one."""
        stats = make(unique_user_id=True)
        submit(stats)
        first = stats.user_id
        stats = make(unique_user_id=True)
        stats.preview()
        assert stats.forget_user()
        assert reports_in(location) == []
        assert not (location / "user_id").exists()
        stats.enable_reporting()
        submit(stats)
        assert parse_report(server.bodies[0]).user not in (first, None)


class TestPreview:
    """Showing what would be sent."""

    def test_the_very_bytes(self, make: Make, server: Server) -> None:
        """What was shown is what is sent, to the last digit of its times."""
        stats = make(enabled=True, unique_user_id=True)
        arguments: tuple[Any, ...] = ({"what": "ran"}, OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME)
        shown = stats.preview(*arguments)
        time.sleep(0.01)
        stats.submit(*arguments)
        wait_for_couriers()
        assert server.bodies == [shown]

    def test_it_sends_nothing(self, make: Make, location: Path, server: Server, capfd: Output) -> None:
        """Showing neither stores nor sends nor asks."""
        assert make(enabled=True).preview({"a": 1}).endswith(b"\nversion:1.0\na:1\n")
        wait_for_couriers()
        assert (reports_in(location), server.bodies, capfd.readouterr()) == ([], [], ("", ""))

    def test_what_is_noted_later(self, make: Make) -> None:
        """A note after a preview is in the next one."""
        stats = make()
        stats.preview()
        stats.note({"late": 1})
        assert b"late:1\n" in stats.preview()

    def test_waiting_reports(self, make: Make, server: Server) -> None:
        """`pending()` gives the bytes of the reports that wait."""
        for what in ("one", "two"):
            submit(make(), what)
        stats = make(enabled=True)
        waiting = stats.pending()
        assert stats.flush() == 0
        assert tuple(server.bodies) == waiting
        assert server.what == ["one", "two"]


class TestFlags:
    """What flags add."""

    def entries(self, make: Make, *flags: Any) -> dict[str, str]:
        """The entries of a report with these flags."""
        return dict(parse_report(make().preview({}, *flags)).entries)

    def test_operating_system(self, make: Make) -> None:
        """Architecture, distribution and system, each as the original library writes it."""
        entries = self.entries(make, OPERATING_SYSTEM)
        assert list(entries) == ["version", "architecture", "distribution", "system"]
        assert entries["system"].count(";") == entries["distribution"].count(";") == 1
        assert entries["architecture"] == os.uname().machine.lower()

    def test_python_version(self, make: Make) -> None:
        """The parts of the version, then the whole of it."""
        parts = self.entries(make, PYTHON_VERSION)["python"].split(";", 5)
        assert parts[:5] == [str(part) for part in sys.version_info]
        assert parts[5].startswith(sys.version.split()[0])

    def test_session_time(self, make: Make) -> None:
        """Seconds, and three digits of milliseconds, zeros in front."""
        stats = make()
        stats.started_time -= 2.0
        time_of = dict(parse_report(stats.preview({}, SESSION_TIME)).entries)["session_time"]
        seconds, _, milliseconds = time_of.partition(".")
        assert (seconds, len(milliseconds)) == ("2", 3)

    def test_a_clock_set_back(self, make: Make) -> None:
        """A clock that was set back gives no negative time."""
        stats = make()
        stats.started_time += 1000
        assert b"session_time:0.000\n" in stats.preview({}, SESSION_TIME)

    def test_a_flag_of_ones_own(self, make: Make) -> None:
        """Any callable of the object and the entries is a flag; one that raises takes nothing else with it."""

        def own(stats: Stats, info: list[tuple[Any, Any]]) -> None:
            info.append(("own", stats.version))

        class Broken:
            def __call__(self, *_: object) -> None:
                raise RuntimeError("broken")

            def __repr__(self) -> str:
                raise RuntimeError("no name")

        assert self.entries(make, Broken(), own) == {"version": "1.0", "own": "1.0"}


class TestOverriding:
    """A program that keeps the choice in its own configuration."""

    def test_a_configuration_of_ones_own(self, location: Path, tmp_path: Path, server: Server) -> None:
        """`read_config` and `write_config` may keep the choice and the folder elsewhere."""
        saved: dict[str, int] = {}

        class OwnStats(Stats):
            def read_config(self) -> None:
                self.status = saved.get("stats", Stats.UNSET)
                self.location = str(tmp_path / "elsewhere")

            def write_config(self, enabled: int) -> None:
                saved["stats"] = enabled

        def own() -> OwnStats:
            return OwnStats(location, PROMPT, server.url, "1.0")

        submit(own(), "one")
        assert len(reports_in(tmp_path / "elsewhere")) == 1
        assert own().enable_reporting()
        submit(own(), "two")
        assert own().disable_reporting()
        submit(own(), "three")
        assert saved == {"stats": Stats.DISABLED}
        assert server.what == ["one", "two"]
        assert not location.exists()

    def test_overrides_that_raise(self, location: Path, server: Server) -> None:
        """An override that raises switches statistics off, or says that the choice was not kept."""

        class Broken(Stats):
            def read_config(self) -> None:
                raise RuntimeError("no configuration")

            def write_config(self, enabled: int) -> None:
                raise RuntimeError(f"cannot keep {enabled}")

        stats = Broken(location, PROMPT, server.url, "1.0")
        assert (stats.status, stats.enableable, stats.disableable) == (Stats.ERRORED, False, False)
        assert not stats.enable_reporting()
        stats.status = Stats.UNSET
        assert not stats.disable_reporting()
        assert stats.status == Stats.DISABLED

    def test_write_config(self, make: Make) -> None:
        """The default keeps either choice, forgets it, and refuses what is none."""
        stats = make(enabled=True)
        stats.write_config(Stats.UNSET)
        assert make().status == Stats.UNSET
        with pytest.raises(ValueError, match=r"must be Stats\.ENABLED, Stats\.DISABLED or Stats\.UNSET, not 99"):
            stats.write_config(99)


class Evil:
    """An object that raises wherever it can."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __iter__(self) -> Any:
        raise RuntimeError("no items")


class TestNothingIsRaised:
    """Whatever a program passes in, and wherever it runs."""

    @pytest.mark.parametrize("info", [None, 5, "text", [1, 2], [("a",)], Evil(), {Evil(): Evil()}, [None], b"x"])
    def test_odd_information(self, make: Make, server: Server, info: Any) -> None:
        """Odd arguments lose at most themselves: the report goes out."""
        stats = make(enabled=True)
        stats.note(info)
        stats.submit(info, None, 5)  # type: ignore[arg-type]  # flags that are none
        wait_for_couriers()
        assert parse_report(server.bodies[0]).entries[0] == ("version", "1.0")

    def test_endless_notes(self, make: Make) -> None:
        """A program that notes for ever does not fill its memory."""
        stats = make()
        for _ in range(3):
            stats.note([("k", "v")] * MAX_ENTRIES)
        assert stats.notes is not None
        assert len(stats.notes) == MAX_ENTRIES

    @pytest.mark.parametrize("drop_point", ["", "nonsense", "file:///etc/hostname", "http://", "http://[::1", None, 5])
    def test_odd_drop_points(self, make: Make, location: Path, capfd: Output, drop_point: Any) -> None:
        """An address that is none sends nothing, prints nothing, and keeps the report."""
        submit(make(enabled=True, drop_point=drop_point))
        assert len(reports_in(location)) == 1
        assert capfd.readouterr() == ("", "")

    def test_under_a_file(self, make: Make, tmp_path: Path, server: Server, capfd: Output) -> None:
        """A location that cannot be made switches statistics off without a word."""
        (tmp_path / "file").write_bytes(b"")
        stats = make(location=tmp_path / "file" / "stats", unique_user_id=True)
        assert (stats.status, stats.enableable, stats.disableable) == (Stats.ERRORED, False, False)
        stats.note({"a": 1})
        submit(stats)
        assert not stats.enable_reporting()
        assert not stats.disable_reporting()
        assert stats.flush() == 0
        assert stats.forget_user() is False
        assert capfd.readouterr() == ("", "")
        assert server.bodies == []

    def test_a_location_that_goes_away(self, make: Make, location: Path) -> None:
        """A folder that was deleted while the program ran is made anew; the user is asked again."""
        stats = make()
        shutil.rmtree(location)
        submit(stats)
        assert len(reports_in(location)) == 1

    def test_no_stderr(self, make: Make, location: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program without a stderr keeps its report even so."""
        monkeypatch.setattr(sys, "stderr", None)
        submit(make())
        assert len(reports_in(location)) == 1

    def test_a_changed_working_directory(self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative location means the same folder after the program went elsewhere."""
        monkeypatch.chdir(tmp_path)
        stats = make(location="relative")
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path / "sub")
        submit(stats)
        assert len(reports_in(tmp_path / "relative")) == 1

    def test_a_working_directory_that_is_gone(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A relative location in a folder that was deleted switches statistics off."""
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        stats = make(location="relative")
        submit(stats)
        assert stats.status == Stats.ERRORED

    def test_a_home_directory(self, make: Make, clean_environment: Path) -> None:
        """A tilde is the user's home."""
        assert make(location="~/.myprog/usage_stats").location == str(clean_environment / ".myprog/usage_stats")


@pytest.fixture
def mounted_read_only(location: Path) -> Any:
    """Makes `location` a read-only mount, which holds for root, too."""
    mounted = []

    def mount() -> None:
        bind = subprocess.run(["mount", "--bind", str(location), str(location)], capture_output=True, check=False)
        if bind.returncode:
            pytest.skip("a read-only mount needs the rights of root")
        mounted.append(location)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(location)], check=True)

    if shutil.which("mount") is None:
        pytest.skip("there is no mount program")
    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


class TestReadOnly:
    """A home directory in which nothing can be written."""

    def test_enabled(self, make: Make, server: Server, mounted_read_only: Callable[[], None], capfd: Output) -> None:
        """The report is sent straight away; those that wait are left, since they could not be removed."""
        submit(make(), "waits")
        stats = make(unique_user_id=True)
        stats.enable_reporting()
        capfd.readouterr()
        mounted_read_only()
        submit(make(unique_user_id=True), "straight")
        assert server.what == ["straight"]
        assert parse_report(server.bodies[0]).user == stats.user_id
        assert capfd.readouterr() == ("", "")

    def test_not_chosen(self, make: Make, server: Server, mounted_read_only: Callable[[], None], capfd: Output) -> None:
        """Without a choice the user is asked, nothing is kept, and a new id is not made up each time."""
        make()
        mounted_read_only()
        stats = make(unique_user_id=True)
        assert stats.user_id is None
        submit(stats)
        assert capfd.readouterr() == ("", PROMPT_LINES)
        assert not stats.disable_reporting()
        assert server.bodies == []

    def test_opting_out_for_this_run(self, make: Make, server: Server, mounted_read_only: Callable[[], None]) -> None:
        """A choice that cannot be kept is reported, and holds for this run."""
        make(enabled=True)
        mounted_read_only()
        stats = make()
        assert not stats.disable_reporting()
        submit(stats)
        assert server.bodies == []


def test_imports() -> None:
    """Importing the library loads neither Fabric nor rich, nor an HTTP client."""
    code = (
        "import json, sys\nbefore = set(sys.modules)\nfrom envfab import usagestats\n"
        "print(json.dumps([name for name in set(sys.modules) - before if '.' not in name]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "envfab" in loaded
    assert loaded & {"fabric", "invoke", "paramiko", "rich", "requests", "urllib3", "ssl", "http", "uuid"} == set()

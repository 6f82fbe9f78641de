"""A program written for `usagestats` 1.0.1, and the folder that it left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from envfab.usagestats import Stats
from envfab.usagestats.delivery import wait_for_couriers
from envfab.usagestats.report import parse_report
from tests.usagestats.conftest import PROMPT, Make
from tests.usagestats.server import Server

# Written by the original library, version 1.0.1: before a choice, after opting in with a server that
# was down, and after opting out.
ORIGINAL = Path(__file__).parent / "original_locations"

PROGRAM = """
{import_line}
import os
import sys


optin_prompt = usagestats.Prompt(enable='cool_program --enable-stats',
                                 disable='cool_program --disable-stats')

stats = usagestats.Stats('~/.myprog/usage_stats',
                         optin_prompt,
                         os.environ['DROP_POINT'],
                         unique_user_id=True,
                         version='0.1')


def main():
    if len(sys.argv) < 2:
        pass
    elif sys.argv[1] == '--enable-stats':
        stats.enable_reporting()
        sys.exit(0)
    elif sys.argv[1] == '--disable-stats':
        stats.disable_reporting()
        sys.exit(0)

    stats.note({{'mode': 'compatibility'}})

    stats.submit(
        {{'what': 'Ran the program'}},
        usagestats.OPERATING_SYSTEM,
        usagestats.PYTHON_VERSION,
        usagestats.SESSION_TIME,
    )


if __name__ == '__main__':
    main()
"""


@pytest.fixture
def old(location: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a folder that the original library wrote."""
    shutil.copytree(ORIGINAL / request.param, location)
    return location


def reports(folder: Path) -> dict[str, bytes]:
    """The reports in a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("report_*")}


@pytest.mark.parametrize("old", ["unset"], indirect=True)
def test_a_location_without_a_choice(make: Make, old: Path, server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """The user goes on being asked; after opting in the old reports go out in their order, byte for byte."""
    user = (old / "user_id").read_text()
    waiting = reports(old)
    stats = make(unique_user_id=True)
    assert (stats.status, stats.user_id) == (Stats.UNSET, user)
    stats.submit({"what": "fourth"})
    assert capfd.readouterr().err == PROMPT.prompt
    assert waiting.items() < reports(old).items()
    stats = make(enabled=True, unique_user_id=True)
    stats.submit({"what": "fifth"})
    wait_for_couriers()
    assert server.what == ["first", "second", "third", "fourth", "fifth"]
    assert server.bodies[:3] == [waiting[name] for name in sorted(waiting, key=lambda name: int(name[18:-4]))]
    assert {parse_report(body).user for body in server.bodies} == {user}


@pytest.mark.parametrize("old", ["enabled"], indirect=True)
def test_an_enabled_location(make: Make, old: Path, server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """The user's yes holds, and what the server had missed goes out."""
    assert len(reports(old)) == 2
    stats = make(unique_user_id=True)
    assert stats.status == Stats.ENABLED
    stats.submit({"what": "new"})
    wait_for_couriers()
    assert server.what == ["before opting in", "server was down", "new"]
    assert reports(old) == {}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("old", ["disabled"], indirect=True)
def test_a_disabled_location(make: Make, old: Path, server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """The user's no holds: nothing is recorded, asked or sent, and no file is touched."""
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    stats = make(unique_user_id=True)
    assert stats.status == Stats.DISABLED
    stats.submit({"what": "new"})
    wait_for_couriers()
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    assert server.bodies == []
    assert capfd.readouterr() == ("", "")


def test_the_program_of_the_readme(clean_environment: Path, server: Server, tmp_path: Path) -> None:
    """A program written for the original runs with nothing but its import line replaced."""
    script = tmp_path / "cool_program.py"
    script.write_text(PROGRAM.format(import_line="from envfab import usagestats"))
    environment = dict(os.environ, DROP_POINT=server.url)

    def cool_program(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)

    asked = cool_program()
    assert (asked.stdout, asked.stderr) == ("", PROMPT.prompt)
    assert cool_program("--enable-stats").stderr == ""
    assert server.bodies == []
    assert cool_program().stderr == ""
    folder = clean_environment / ".myprog/usage_stats"
    assert (folder / "status").read_text() == "ENABLED"
    assert reports(folder) == {}
    for body in server.bodies:
        report = parse_report(body)
        keys = ["version", "mode", "what", "architecture", "distribution", "system", "python", "session_time"]
        assert [key for key, _ in report.entries] == keys
        assert report.user == (folder / "user_id").read_text()
    assert server.what == ["Ran the program"] * 2
    assert cool_program("--disable-stats").stderr == ""
    assert cool_program().stderr == ""
    assert len(server.bodies) == 2

"""`fab wheels`, by the real program."""

from __future__ import annotations

import re

from tests.support.fab import run_fab
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace


def test_times_are_those_of_the_users_clock(workplace: Workplace) -> None:
    """A date of the log, in whatever zone it was written, is shown in that of the user, which is named."""
    workplace.add_made("shop", "1.0")
    log = workplace.folder / "release_log"
    log.write_text(re.sub(r" at \S+", " at 2026-01-20T23:30:00+00:00", log.read_text()))
    for zone, shown in (("Europe/Vienna", "2026-01-21 00:30 CET"), ("UTC", "2026-01-20 23:30 UTC")):
        assert shown in run_fab(workplace.folder, "wheels", env={"TZ": zone}).stdout


def test_lists_what_is_there_and_what_is_odd(workplace: Workplace) -> None:
    """The list has name, version, tags, date, size; files without a log line and lines without a file say so."""
    workplace.add_made("shop", "1.0", tags=["cp311-cp311-manylinux_2_17_x86_64"])
    gone = workplace.add_made("basket", "2.0")
    (workplace.folder / "wheels" / gone.name).unlink()
    make_wheel(workplace.folder / "wheels", "stray", "0.1")
    lines = workplace.fab("wheels").stdout.splitlines()
    assert lines[0] == "wheelhouse  wheels · 1 wheel of 1 project, 1 not logged"
    assert lines[1].split()[:2] == ["basket", "2.0"]
    assert lines[1].endswith("the file is missing")
    assert lines[2].split()[:3] == ["shop", "1.0", "cp311-cp311-manylinux_2_17_x86_64"]
    assert lines[3].endswith("not logged: add it with fab add_wheel")


def test_tells_of_lines_that_nobody_can_read(workplace: Workplace) -> None:
    """Foreign lines of the log are counted and shown, and stop nothing."""
    workplace.add_made("shop", "1.0")
    with (workplace.folder / "release_log").open("a") as log:
        log.write("<<<<<<< HEAD\n")
    done = workplace.fab("wheels")
    assert done.returncode == 0
    assert "1 line of the log skipped" in done.stdout
    assert "warning: release_log: line 2: not a line of a release log: '<<<<<<< HEAD'" in done.stderr


def test_an_empty_wheelhouse_says_how_to_begin(workplace: Workplace) -> None:
    """A wheelhouse that does not exist yet is an empty one."""
    done = workplace.fab("wheels")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "no wheels yet: fab add_wheel:FILE"

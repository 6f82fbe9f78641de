"""The log of a rollout as it is shown: text out of what was read, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from envfab.deployment.rollout_log.reader import LoggedCommand, LoggedRollout, LoggedStep, LoggedVirtualenv
from envfab.tasks.output.rollout_log import show_output, show_rollout

ASKED = {
    "rollout": "20261120-214900-9f3a", "task": "deploy", "who": "anna", "origin": "laptop", "slice": "3/8",
    "began": "2026-11-20T21:49:00+00:00", "command": "fab deploy", "fabfile": "/f/fabfile.py", "settings": {"keep": 5},
}  # fmt: skip
CHANGE = {"action": "upgrade", "name": "Django", "installed": "5.1", "version": "5.2"}


def virtualenv(number: int, status: str, **outcome: Any) -> LoggedVirtualenv:
    """A virtualenv that ended so."""
    one = LoggedVirtualenv({"target": f"shop@web{number}:/v", "actions": [CHANGE]}, f"r.{number}")
    one.outcome = {"status": status, "seconds": float(number), **outcome}
    one.done = [LoggedStep("compose", float(number), False)]
    return one


def shown(*virtualenvs: LoggedVirtualenv, **asked: str) -> list[str]:
    """What is shown of a rollout."""
    log = LoggedRollout(Path("/logs"), ASKED | asked, virtualenvs, 12.34, False)
    return str(show_rollout(log, virtualenvs)).splitlines()


def test_alike_virtualenvs_are_shown_once() -> None:
    """Those that went well by a few names, those that failed by all; with how long they and their steps took."""
    well = [virtualenv(number, "deployed") for number in range(1, 8)]
    failed = [virtualenv(number, "failed", error="the disk is full") for number in range(11, 17)]
    assert shown(*well, *failed)[1:] == [
        "  fab deploy",
        "  /f/fabfile.py   keep: 5",
        "shop@web1:/v   deployed   1.0 to 7.0 s",
        "  ↑ Django   5.1 → 5.2",
        "    the same for 6 more: shop@web2:/v … shop@web7:/v",
        "shop@web11:/v   failed   11.0 to 16.0 s",
        "  ↑ Django   5.1 → 5.2",
        "    the disk is full",
        f"    the same for 5 more: {', '.join(f'shop@web{number}:/v' for number in range(12, 17))}",
        "  compose     16.000 s at shop@web16:/v; median 7.000 s",
        "7 deployed, 6 failed; 12.3 s",
    ]


def test_what_a_deployment_left_is_shown() -> None:
    """Migrations, and processes that still run the previous generation."""
    left = virtualenv(1, "failed", migrated=["a.1"], uncertain=["a.2"], unapplied=["a.3"],
                      lingering=[{"pid": 7, "name": "gunicorn"}])  # fmt: skip
    assert shown(left)[5:9] == [
        "    migrated a.1",
        "    migrations that may or may not have run: a.2",
        "    migrations that failed or were never begun: a.3",
        "    1 process still runs the previous generation: gunicorn[7]",
    ]


def test_hosts_that_may_be_out_of_service_are_named() -> None:
    """And why, where that is known; they may need a hand."""
    one = virtualenv(1, "deployed")
    out: list[dict[str, Any]] = [{"host": "web1", "why": "lb1: no answer"}, {"host": "web2", "why": None}]
    log = LoggedRollout(Path("/logs"), ASKED, [one], 12.34, False, out)
    assert str(show_rollout(log, [one])).splitlines()[-3:] == [
        "web1 may still be out of service: lb1: no answer",
        "web2 may still be out of service",
        "1 deployed; 12.3 s",
    ]


def test_a_rollback_is_told_as_one() -> None:
    """`rolled back` is what went well."""
    lines = shown(virtualenv(1, "deployed"), virtualenv(2, "rolled-back"), task="rollback")
    assert lines[-1] == "1 rolled back, 1 failed (as it was before); 12.3 s"


def test_what_a_host_printed_steers_no_terminal() -> None:
    """Neither in the summary nor in the output, and lines stay lines."""
    one = virtualenv(1, "failed", error="bad \x1b[2J")
    one.done.append(LoggedCommand("check", "true", None, 1, 0.5, "one\n\x1b[2Jtwo\n", True))
    one.output = "one\n\x1b[2Jtwo\n"
    assert "\x1b" not in "".join(shown(one))
    assert str(show_output(one, "deploy")).splitlines()[2:] == [
        "  check: true   status 1, 0.500 s",
        "    (only the end was kept)",
        "    | one",
        "    | \ufffd[2Jtwo",
    ]

"""What each task notes where a fleet configures usage statistics, by the real program."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from envfab.errors import EnvfabError, SelectorError
from envfab.tasks.shared.usage_recording import ending
from envfab.tasks.shared.usage_reports import is_anothers
from tests.support.fab import FAB, clean_environment
from tests.support.terminal import Terminal
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.tasks.statistics_place import NESTED, PLAIN, Place, entries, host
from tests.usagestats.server import running_server

PROMPT = """
Uploading usage statistics is currently DISABLED
Please help us by providing anonymous usage statistics; you can enable this
by running:
    fab {0}stats_enable
If you do not want to see this message again, you can run:
    fab {0}stats_disable
Nothing will be uploaded before you opt in.
"""
LOADED = "import atexit, sys\natexit.register(lambda: print('envfab.usagestats' in sys.modules))\n"


def test_nothing_is_recorded_where_the_fleet_does_not_say_so(place: Place) -> None:
    """Without `usage_stats` no task loads the library or keeps anything."""
    place.fabfile(host(place.folder / "venv"), end=LOADED + PLAIN, usage="None")
    for task in ("targets", "wheels"):
        assert place.fab(task, prepared=False).stdout.splitlines()[-1] == "False"
    assert not (place.folder / ".home" / ".local").exists()


def test_listing_the_tasks_does_not_load_the_library(place: Place) -> None:
    """`fab --list` costs the same where statistics are configured; a task loads the library."""
    place.fabfile(end=LOADED + PLAIN)
    assert place.fab("--list", prepared=False).stdout.splitlines()[-1] == "False"
    assert place.fab("wheels", prepared=False).stdout.splitlines()[-1] == "True"


def test_before_the_choice_reports_are_kept_and_nothing_is_sent(place: Place) -> None:
    """Each task leaves one report; nothing reaches the server, and nobody is asked without a terminal."""
    place.fabfile(host(place.folder / "a", place.folder / "b", packages="['Shop']"))
    for _ in range(2):
        assert place.fab("targets").stderr == ""
    assert place.server.bodies == []
    first, second = place.waiting()
    assert {key: first[key] for key in ("task", "targets", "ended", "exit_status")} == {
        "task": "targets", "targets": "2", "ended": "done", "exit_status": "0",
    }  # fmt: skip
    assert list(first) == [
        "date", "user", "version", "task", "targets", "ended", "exit_status",
        "architecture", "distribution", "system", "python", "session_time", "erasure",
    ]  # fmt: skip
    assert first["user"] == second["user"]
    assert re.fullmatch(r"[0-9a-f-]{36}", first["user"])
    assert 0 < float(first["session_time"]) < 30


def test_the_number_of_targets_is_that_of_those_chosen(place: Place) -> None:
    """Selectors count, `-H` too and once; a task that chooses none tells no number."""
    hosts = [host(place.folder / "a", place.folder / "b", name=f"web{number}") for number in range(3)]
    place.fabfile(", ".join(hosts))
    place.fab("targets:web1")
    place.fab("-H", "web0,web2", "targets")
    place.fab("wheels")
    assert [report.get("targets") for report in place.waiting()] == ["2", "4", None]


def test_how_a_task_failed_is_recorded(place: Place) -> None:
    """An error by its kind, a failure and a finding by their exit status; their messages reach the terminal as ever."""
    place.fabfile(host(place.folder / "venv", python="'no-such-python'"))
    assert "'nowhere' matches no virtualenv" in place.fab("targets:nowhere", status=1).stderr
    place.fab("create_virtualenv", status=1)
    (place.folder / "wheels").mkdir()
    make_wheel(place.folder / "wheels", "stray", "1")
    place.fab("verify_wheels", status=2)
    told = [(report["task"], report["ended"], report["exit_status"]) for report in place.waiting()]
    assert told == [
        ("targets", "SelectorError", "1"), ("create_virtualenv", "failed", "1"), ("verify_wheels", "found", "2"),
    ]  # fmt: skip


def test_the_time_is_the_tasks_own(place: Place) -> None:
    """`session_time` is what the task took, from its beginning."""
    python = place.folder / "slow-python"
    python.write_text("#!/bin/sh\nsleep 0.5\nexit 1\n")
    python.chmod(0o755)
    place.fabfile(host(place.folder / "venv", python=repr(str(python))))
    place.fab("create_virtualenv", status=1)
    (told,) = place.waiting()
    assert 0.5 <= float(told["session_time"]) < 30


class ShopError(SelectorError):
    """An error of somebody's fabfile."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, ("done", 0)),
        (Exit(code=0), ("done", 0)),
        (Exit("no", code=1), ("failed", 1)),
        (Exit(code=2), ("found", 2)),
        (Exit(code=77), ("failed", 77)),
        (EnvfabError("no"), ("EnvfabError", 1)),
        (ShopError("no"), ("SelectorError", 1)),
        (KeyboardInterrupt(), ("interrupted", 1)),
        (ZeroDivisionError(), ("crashed", 1)),
    ],
)
def test_endings(error: BaseException | None, told: tuple[str, int]) -> None:
    """Only envfab's own errors are told by name: others may be called after anything."""
    assert ending(error) == told


def test_no_name_of_anything_arrives(place: Place, make_virtualenv: VirtualenvMaker) -> None:
    """Reports of real work, good and bad, hold no host, user, path, package or file, nor the fabfile's own words."""
    venv = make_virtualenv(f"{sys.version_info[0]}.{sys.version_info[1]}", place.folder / "quokkaenv")
    wheel = make_wheel(place.folder / "made", "Wombatkit", "4.7.11")
    (place.folder / "numbats.txt").write_text("wombatkit==4.7.11\n")
    config = place.folder / "ssh_config"
    config.write_text("Host zebrahost\n  HostName 127.0.0.1\n  Port 9\n  User gnuuser\n")
    place.fabfile(
        f"{host(venv, requirements=repr('numbats.txt'))}, {host(venv, name='zebrahost', user=repr('emuowner'))}",
        end=NESTED,
    )
    place.fab("our_env.stats_enable")
    ssh = ("-S", str(config))
    place.fab("our_env.add_wheel", str(wheel))
    place.fab(*ssh, "our_env.plan", status=1)
    place.fab(*ssh, "our_env.deploy:localhost,yes=true")
    place.fab(*ssh, "our_env.history:yakname", status=1)
    place.fab("our_env.stats_submit")
    sent = b"".join(place.server.bodies).replace(b"GNU/Linux", b"GNU")
    told = [(one["task"], one.get("targets"), one["ended"]) for one in map(entries, place.server.bodies)]
    assert told == [
        ("add_wheel", None, "done"), ("plan", "2", "failed"), ("deploy", "1", "done"), ("history", None, "SelectorError"),
    ]  # fmt: skip
    names = ["zebrahost", "localhost", os.uname().nodename, "gnuuser", "emuowner", "root@", "/", "quokkaenv", "wombat",
             "4.7.11", "numbats", "fabfile", "whl", "our_env", "yakname", "no-such"]  # fmt: skip
    names += [str(Path.home()), str(place.folder)]
    assert [name for name in names if name.lower().encode() in sent.lower()] == []


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "CI", "PYTHON_USAGE_STATS"])
def test_the_environment_switches_it_off(place: Place, variable: str) -> None:
    """Nothing is recorded or sent whatever was chosen; the status, and opting in, name the variable."""
    env = {variable: "off" if variable == "PYTHON_USAGE_STATS" else "1"}
    assert f"nothing is recorded or sent while {variable} is set" in place.fab("stats_enable", env=env).stderr
    place.fab("wheels", env=env)
    found = place.status(env)
    assert (found["status"], found["forbidden_by"], found["recorded"]) == ("enabled", [variable], False)
    assert f"switched off by {variable}: nothing is recorded or sent" in place.fab("stats_status", env=env).stdout
    said = f"envfab: switched off by {variable}: nothing is recorded or sent\n"
    assert place.fab("stats_submit", status=1, env=env).stderr == said
    assert (place.server.bodies, place.waiting()) == ([], [])
    place.fab("wheels")
    assert len(place.server.bodies) == 1


def test_consent_is_for_one_server(place: Place) -> None:
    """Whoever opted in for one server has not opted in for another."""
    place.fab("stats_enable")
    with running_server() as other:
        place.fabfile(usage=f"UsageStats({other.url!r})")
        place.fab("wheels")
        assert place.status()["status"] == "unset"
        assert other.bodies == []


@pytest.mark.parametrize(("end", "namespace"), [(PLAIN, ""), (NESTED, "our_env.")])
def test_the_prompt_at_a_terminal(place: Place, end: str, namespace: str) -> None:
    """It comes once a day, after the result, and names the commands as this fabfile has them."""
    place.fabfile(end=end)
    task = f"{namespace}wheels"
    shown = place.at_a_terminal(task)
    assert "wheelhouse " in shown
    assert shown.endswith(PROMPT.format(namespace))
    assert "Uploading" not in place.at_a_terminal(task)
    (asked,) = place.folder.glob(".home/.local/state/envfab/usage_stats/*/asked")
    yesterday = time.time() - 86_500
    os.utime(asked, (yesterday, yesterday))
    assert place.at_a_terminal(task).endswith(PROMPT.format(namespace))
    place.fab(f"{namespace}stats_disable")
    os.utime(asked, (yesterday, yesterday))
    assert "Uploading" not in place.at_a_terminal(task)


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["wheels", "--json"], {}),
        (["targets:nowhere"], {}),
        (["stats_status"], {}),
        (["--list"], {}),
        (["wheels"], {"CI": "true"}),
        (["wheels"], {"DO_NOT_TRACK": "1"}),
    ],
)
def test_who_is_not_asked_at_a_terminal(place: Place, arguments: list[str], env: dict[str, str]) -> None:
    """Who reads JSON, whose task failed, who looks at statistics anyway, CI; and it does not count as asked."""
    assert "Uploading" not in place.at_a_terminal(*arguments, env=env)
    assert "Uploading" in place.at_a_terminal("wheels")


def test_the_prompt_needs_all_of_a_terminal(place: Place) -> None:
    """Where the result goes to a pipe or a file nobody is asked."""
    home = place.folder / ".home"
    home.mkdir()
    for command in (f"{FAB} wheels | cat", f"{FAB} wheels < /dev/null", f"{FAB} wheels 2> /dev/null"):
        with Terminal(["/bin/sh", "-c", command], place.folder, clean_environment(home)) as terminal:
            assert terminal.finish() == 0
            assert "Uploading" not in terminal.shown
    assert place.status()["waiting"] == 3
    assert "asked" not in place.kept


def test_json_stays_json(place: Place) -> None:
    """Standard output is the one document, with reports under way, too."""
    place.fab("stats_enable")
    done = place.fab("wheels", "--json")
    assert json.loads(done.stdout) == {"format": 1, "wheels": []}
    assert len(place.server.bodies) == 1


def test_a_folder_that_cannot_be_written_harms_no_task(place: Place) -> None:
    """Tasks work without a word, also at a terminal; opting in or out says what is wrong."""
    (place.folder / ".home").mkdir()
    (place.folder / ".home" / ".local").write_text("in the way")
    done = place.fab("wheels")
    assert (done.stderr, "no wheels yet" in done.stdout) == ("", True)
    assert "Uploading" not in place.at_a_terminal("wheels")
    for task in ("stats_enable", "stats_disable"):
        said = place.fab(task, status=1).stderr
        assert "cannot save your choice\n  make it writable, or set PYTHON_USAGE_STATS=off" in said
    assert place.status()["status"] == "unreadable"


def test_a_folder_that_cannot_be_harms_no_task(place: Place) -> None:
    """A name that no file system takes is as good as a folder that cannot be written."""
    env = {"XDG_STATE_HOME": "/" + "x" * 300}
    assert place.fab("wheels", env=env).stderr == ""
    assert place.status(env)["status"] == "unreadable"
    assert place.fab("stats_show", env=env).stdout == ""


def test_without_a_home_nothing_is_recorded(place: Place) -> None:
    """Tasks work; status says why; nothing appears in the working directory."""
    place.fab("wheels", env={"HOME": ""})
    assert "you have no home folder" in place.fab("stats_status", env={"HOME": ""}).stdout
    assert "set HOME or XDG_STATE_HOME" in place.fab("stats_enable", status=1, env={"HOME": ""}).stderr
    assert {path.name for path in place.folder.iterdir()} <= {"fabfile.py", "__pycache__", ".home"}


def test_root_leaves_nothing_in_another_users_home(tmp_path: Path) -> None:
    """Under `sudo fab` with the caller's HOME a folder of root's would be in the caller's way."""
    if os.geteuid() == 0:
        assert not is_anothers(tmp_path / "home" / ".local", 0)
        os.chown(tmp_path, 54321, -1)
    assert is_anothers(tmp_path / "home" / ".local", 0)
    assert not is_anothers(tmp_path / "home" / ".local", 54321)


def test_each_task_of_a_command_line_leaves_its_own_report(place: Place) -> None:
    """What one chose is not told of the next."""
    place.fabfile(host(place.folder / "venv"))
    place.fab("targets", "wheels")
    assert [(one["task"], one.get("targets")) for one in place.waiting()] == [("targets", "1"), ("wheels", None)]


def test_a_server_that_is_down_costs_a_task_nothing(place: Place) -> None:
    """The report waits; the task ends well and says nothing; `stats_submit` says that it was not taken."""
    place.fabfile(usage="UsageStats('http://127.0.0.1:9/')")
    place.fab("stats_enable")
    done = place.fab("wheels")
    assert (done.stderr, place.status()["waiting"]) == ("", 1)
    done = place.fab("stats_submit", status=1)
    assert "http://127.0.0.1:9/: 1 report not accepted (no answer, or an error of the server); kept" in done.stderr


def test_a_server_that_is_silent_holds_a_task_up_two_seconds_once(place: Place) -> None:
    """The first task waits at its end, no longer; the next does not even try."""
    place.server.answer = lambda _: (time.sleep(20), (200, {}))[1]  # type: ignore[func-returns-value]
    place.fab("stats_enable")
    began = time.monotonic()
    place.fab("wheels")
    assert time.monotonic() - began < 7
    place.fab("wheels")
    assert len(place.server.bodies) == 1
    assert place.status()["waiting"] == 2

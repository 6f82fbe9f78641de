"""`fab stats_…`, and what every other task notes where a fleet configures usage statistics, by the real program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import Exit

from envfab.errors import EnvfabError, SelectorError
from envfab.tasks.usage_recording import ending, is_anothers
from tests.support.fab import FAB, clean_environment, run_fab
from tests.support.terminal import Terminal
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.usagestats.server import Server, running_server

PLAIN = "ns = collection(fleet)\n"
NESTED = "import invoke\nns = invoke.Collection()\nns.add_collection(collection(fleet), name='our_env')\n"
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


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a fabfile, and a server that takes reports."""

    folder: Path
    server: Server

    def fabfile(self, hosts: str = "", end: str = PLAIN, usage: str = "") -> None:
        """Write a fabfile whose fleet configures usage statistics; `usage` says otherwise."""
        usage = usage or f"UsageStats({self.server.url!r} + 'reports/envfab/')"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "fabfile.py").write_text(
            f"from envfab import *\nfleet = Fleet(hosts=[{hosts}], usage_stats={usage})\n{end}"
        )

    def fab(
        self, *arguments: str, status: int = 0, env: Mapping[str, str] | None = None, prepared: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `fab`, which must end with `status`."""
        done = run_fab(self.folder, *arguments, env=env, prepared=prepared)
        assert done.returncode == status, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done

    def at_a_terminal(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """What `fab` shows at a terminal."""
        home = self.folder / ".home"
        home.mkdir(exist_ok=True)
        command = [FAB, *arguments]
        with Terminal(command, self.folder, clean_environment(home) | dict(env or {})) as terminal:
            terminal.finish()
            return terminal.shown

    def status(self, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What `stats_status --json` tells."""
        found: dict[str, Any] = json.loads(self.fab("stats_status", "--json", env=env).stdout)
        return found

    def waiting(self) -> list[dict[str, str]]:
        """The reports that wait, as their entries."""
        return [entries(text.encode()) for text in json.loads(self.fab("stats_show", "--json").stdout)["reports"]]

    @property
    def kept(self) -> list[str]:
        """The names of the files in the folder of the statistics."""
        folders = self.folder.glob(".home/.local/state/envfab/usage_stats/*")
        return sorted(path.name for folder in folders for path in folder.iterdir())


def entries(report: bytes) -> dict[str, str]:
    """A report's lines, none of which comes twice."""
    pairs = [line.partition(":")[::2] for line in report.decode().splitlines()]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder with a fabfile of no hosts, and a server."""
    with running_server() as server:
        made = Place(tmp_path / "work", server)
        made.fabfile()
        yield made


def host(*paths: Path, name: str = "localhost", **arguments: str) -> str:
    """A host with these virtualenvs, for a fabfile."""
    more = "".join(f", {key}={value}" for key, value in arguments.items())
    return f"Host({name!r}, virtualenvs=[{', '.join(f'Virtualenv({str(path)!r}{more})' for path in paths)}])"


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


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (["stats_enable"], None),
        (["stats_disable"], None),
        (["stats_show", "--json"], None),
        (["stats_submit"], None),
        (
            ["stats_status"],
            "the fleet has no usage statistics: say Fleet(usage_stats=UsageStats(URL)) in the fabfile\n",
        ),
    ],
)
def test_a_fleet_without_statistics_is_told_how_to_have_them(place: Place, task: list[str], line: str | None) -> None:
    """Status says it and ends well; what cannot be done fails, and says the same."""
    place.fabfile(usage="None")
    if line is not None:
        assert place.fab(*task).stdout == line
    else:
        done = place.fab(*task, status=1)
        said = "envfab: the fleet has no usage statistics\n  say Fleet(usage_stats=UsageStats(URL)) in the fabfile\n"
        assert (done.stdout, done.stderr) == ("", said)


def test_status_without_statistics_for_programs(place: Place) -> None:
    """`--json` says that they are not configured."""
    place.fabfile(usage="None")
    assert place.status() == {"format": 1, "configured": False}


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
        "architecture", "distribution", "system", "python", "session_time",
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


def test_what_is_shown_is_what_arrives(place: Place) -> None:
    """`stats_show` prints, byte for byte, what `stats_submit` sends; neither adds a report of its own."""
    place.fabfile(host(place.folder / "venv"))
    place.fab("targets")
    place.fab("wheels")
    shown = place.fab("stats_show")
    place.fab("stats_enable")
    assert place.server.bodies == []
    assert place.fab("stats_submit").stdout == "2 reports sent\n"
    assert shown.stdout.encode() == b"\n".join(place.server.bodies)
    assert place.server.paths == ["/reports/envfab/"] * 2
    assert "2 reports for" in shown.stderr
    assert "not chosen yet" in shown.stderr
    assert place.fab("stats_submit").stdout == "no report waits\n"
    assert json.loads(place.fab("stats_submit", "--json").stdout) == {"format": 1, "sent": 0, "waiting": 0}
    assert len(place.server.bodies) == 2


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, "the server refused them"), (503, "no answer came, or one that tells of trouble at the server")],
)
def test_what_is_not_taken_says_why(place: Place, status: int, why: str) -> None:
    """A refusal, which only whoever configured the server can mend, is told apart from trouble that passes."""
    place.fab("targets")
    place.fab("wheels")
    place.fab("stats_enable")
    place.server.answer = lambda _body: (status, {})
    done = place.fab("stats_submit", status=1)
    assert done.stdout == "0 reports sent\n"
    assert done.stderr == (
        f"envfab: {place.server.url}reports/envfab/: 2 reports not taken ({why}); kept for another time\n"
    )
    place.server.answer = lambda _body: (200, {})
    assert place.fab("stats_submit").stdout == "2 reports sent\n"


def test_where_nothing_waits_an_example_is_shown(place: Place) -> None:
    """It is a whole report, apart from the result; showing it makes none."""
    done = place.fab("stats_show")
    assert done.stdout == ""
    assert "task:stats_show\nended:done\nexit_status:0\n" in done.stderr
    document = json.loads(place.fab("stats_show", "--json").stdout)
    assert document["reports"] == []
    assert entries(document["example"].encode())["task"] == "stats_show"
    assert place.status()["waiting"] == 0


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


def test_opting_in_sends_what_was_kept_with_the_next_report(place: Place) -> None:
    """The oldest first, and without a word."""
    place.fab("wheels")
    done = place.fab("stats_enable")
    assert done.stdout == (
        f"enabled: reports go to {place.server.url}reports/envfab/\n"
        "1 report kept so far: sent with the next one, or now by fab stats_submit\n"
    )
    done = place.fab("targets")
    assert done.stderr == ""
    assert [entries(body)["task"] for body in place.server.bodies] == ["wheels", "targets"]
    assert place.status()["status"] == "enabled"


def test_opting_out_deletes_what_was_kept(place: Place) -> None:
    """Reports and id are gone, nothing is recorded or sent any more; opting in again begins with a new id."""
    place.fab("wheels")
    (before,) = place.waiting()
    assert place.fab("stats_disable").stdout.startswith("disabled: nothing is recorded or sent")
    assert [name for name in place.kept if name.startswith("report_") or name == "user_id"] == []
    place.fab("wheels")
    assert place.waiting() == []
    assert place.status()["status"] == "disabled"
    assert "disabled" in place.fab("stats_submit", status=1).stderr
    assert place.server.bodies == []
    place.fab("stats_enable")
    place.fab("wheels")
    (body,) = place.server.bodies
    assert entries(body)["user"] != before["user"]


def test_nothing_is_submitted_before_opting_in(place: Place) -> None:
    """`stats_submit` says what to run, by the name that the task has in this fabfile."""
    place.fabfile(end=NESTED)
    place.fab("our_env.wheels")
    done = place.fab("our_env.stats_submit", status=1)
    assert done.stderr.endswith("and nothing is sent\n  opt in with fab our_env.stats_enable\n")
    assert place.server.bodies == []


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "CI", "PYTHON_USAGE_STATS"])
def test_the_environment_switches_it_off(place: Place, variable: str) -> None:
    """Nothing is recorded or sent whatever was chosen; the status, and opting in, name the variable."""
    env = {variable: "off" if variable == "PYTHON_USAGE_STATS" else "1"}
    assert f"as long as {variable} is set, nothing is recorded or sent" in place.fab("stats_enable", env=env).stderr
    place.fab("wheels", env=env)
    found = place.status(env)
    assert (found["status"], found["forbidden_by"], found["recorded"]) == ("enabled", [variable], False)
    assert f"switched off by {variable}: nothing is recorded or sent" in place.fab("stats_status", env=env).stdout
    said = f"envfab: switched off by {variable}: nothing is recorded or sent\n"
    assert place.fab("stats_submit", status=1, env=env).stderr == said
    assert (place.server.bodies, place.waiting()) == ([], [])
    place.fab("wheels")
    assert len(place.server.bodies) == 1


def test_status_tells_all(place: Place) -> None:
    """Server without its password, folder, number of reports; asking for it writes nothing."""
    place.fabfile(usage=f"UsageStats({place.server.url.replace('//', '//me:secret@')!r})")
    found = place.status()
    folder = found.pop("folder")
    assert found == {
        "format": 1, "configured": True, "status": "unset", "recorded": True,
        "server": place.server.url, "waiting": 0, "forbidden_by": [],
    }  # fmt: skip
    assert not Path(folder).exists()
    assert Path(folder).parent == place.folder / ".home/.local/state/envfab/usage_stats"
    place.fab("wheels")
    done = place.fab("stats_status")
    assert done.stdout == (
        f"status   not chosen yet: reports are kept, and nothing is sent\nserver   {place.server.url}\n"
        f"kept in  {folder}\nwaiting  1 report\n"
    )
    elsewhere = place.folder / "state"
    assert place.status({"XDG_STATE_HOME": str(elsewhere)})["folder"].startswith(f"{elsewhere}/envfab/usage_stats/")


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
        assert "your choice cannot be kept there\n  make it writable, or set PYTHON_USAGE_STATS=off" in said
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
    assert "there is no home folder" in place.fab("stats_status", env={"HOME": ""}).stdout
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
    assert (
        "http://127.0.0.1:9/: 1 report not taken (no answer came, or one that tells of trouble at the server); kept"
        in done.stderr
    )


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

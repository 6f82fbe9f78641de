"""The log that a rollout leaves on the machine that runs `fab`, by the real program on this machine."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.fab import run_fab
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze, wait_for


@dataclass(frozen=True)
class Done:
    """A rollout with one virtualenv that was deployed to, one that failed, and one that is blocked."""

    place: Workplace
    paths: dict[str, Path]
    plan: dict[str, Any]
    summary: dict[str, Any]
    shown: str

    @property
    def id(self) -> str:
        """The rollout's id."""
        return str(self.summary["rollout"])

    def history(self, *arguments: str, status: int = 0) -> str:
        """What `fab history --rollout` prints."""
        done = self.place.fab("history", "--rollout", self.id, *arguments)
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout + done.stderr


def logs_of(place: Workplace) -> Path:
    """The folder of a workplace's logs."""
    return place.folder / ".home" / ".local" / "state" / "envfab" / "rollouts"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, make_virtualenv: VirtualenvMaker) -> Done:
    """One run, for all tests that only read."""
    place = Workplace(tmp_path_factory.mktemp("log") / "work")
    paths = {name: make_virtualenv("3.11", place.folder / name) for name in ("good", "bad", "odd")}
    place.fabfile(
        "Host('localhost', virtualenvs=["
        f"Virtualenv({str(paths['good'])!r}, packages=['shop'], before='echo stopping the shop',"
        " reload=['echo reloading', Command('echo reloading', user='root')], check='echo healthy'),"
        f"Virtualenv({str(paths['bad'])!r}, packages=['shop'], reload='echo reloading',"
        " check='for n in $(seq 30); do echo line $n; done; exit 3'),"
        f"Virtualenv({str(paths['odd'])!r}, packages=['nosuch'])])",
        "'check_retries': 0",
    )
    place.add_made("shop", "1.0")
    plan = place.json("plan", status=1)
    ran = place.fab("deploy", "--yes", "--json")
    assert ran.returncode == 1, ran.stderr
    return Done(place, paths, plan, json.loads(ran.stdout), ran.stderr)


def test_the_log_has_plan_and_summary_as_json_prints_them(done: Done) -> None:
    """And the command line, the settings and where it lies."""
    document = done.place.json("history", "--rollout", done.id)
    assert document["plan"]["virtualenvs"] == done.plan["virtualenvs"]
    assert document["summary"]["virtualenvs"] == done.summary["virtualenvs"]
    assert document["asked"]["command"].endswith("deploy --yes --json")
    assert document["asked"]["fabfile"] == str(done.place.folder / "fabfile.py")
    assert document["asked"]["settings"]["check_retries"] == 0
    assert document["log"] == done.summary["log"] == str(logs_of(done.place) / done.id)


def test_the_log_has_each_step_and_each_command_in_order(done: Done) -> None:
    """Also of those that ended well; with the user, the status, and how long it took."""
    good, bad, odd = done.place.json("history", "--rollout", done.id)["virtualenvs"]
    kinds = [one.get("of") or one["step"] for one in good["done"]]
    assert kinds == [
        "lock", "upload", "begin", "compose", "verify", "before", "before", "switch", "reload", "reload", "reload",
        "check", "check", "finish",
    ]  # fmt: skip
    commands = [(one["command"], one["user"], one["status"], one["output"]) for one in good["done"] if "of" in one]
    assert commands == [
        ("echo stopping the shop", None, 0, "stopping the shop\n"),
        ("echo reloading", None, 0, "reloading\n"),
        ("echo reloading", "root", 0, "reloading\n"),
        ("echo healthy", None, 0, "healthy\n"),
    ]
    assert all(0 < one["seconds"] < 60 for one in good["done"])
    # the recovery reloads again
    assert [one.get("of") or one["step"] for one in bad["done"]][-4:] == ["check", "check", "reload", "recovery"]
    assert [one["failed"] for one in bad["done"] if one.get("step") == "check"] == [True]
    assert (odd["status"], odd["done"]) == ("blocked", [])


def test_the_log_is_shown_to_people(done: Done) -> None:
    """What was asked, planned and done, the slowest of each step, and where the log lies."""
    shown = done.history()
    assert f"{done.id}   deploy   " in shown
    assert "deploy --yes --json" in shown
    assert f"{done.paths['good']}   deployed   " in shown
    assert "  + shop   - → 1.0" in shown
    assert f"{done.paths['bad']}   failed (as it was before)   " in shown
    assert "    nosuch: the wheelhouse has no wheel of it\n" in shown
    assert "check_retries: 0\n" in shown
    assert "the check 'for n in $(seq 30); do echo line $n; done; exit 3' ended with status 3" in shown
    assert "    | line 30\n" in shown
    assert "    | line 18\n" not in shown
    assert " at " in next(line for line in shown.splitlines() if line.startswith("  compose "))
    assert "1 deployed, 1 failed (as it was before), 1 blocked; " in shown
    assert f"log: {logs_of(done.place) / done.id}" in shown


def test_one_virtualenv_is_chosen_by_name(done: Done) -> None:
    """As on any command line; one that the log does not have is an error that names those that it has."""
    assert "line 30" not in done.history("--name", f"localhost:{done.paths['good']}")
    wrong = done.history("--name", "web9", status=1)
    assert "'web9' matches no virtualenv\n" in wrong
    assert str(done.paths["bad"]) in wrong


def test_output_has_all_that_a_virtualenv_printed(done: Done) -> None:
    """Beginning with the first line, of commands that ended well, too."""
    shown = done.history("--output", f":{done.paths['bad']}")
    assert "reload: echo reloading   status 0, " in shown
    assert "".join(f"    | line {number}\n" for number in range(1, 31)) in shown
    assert "   status 3, " in shown
    assert "stopping the shop" not in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--output", "localhost"], "--output: 'localhost' matches 3 virtualenvs: "),
        (["--output", "localhost", "--name", "localhost"], "--output names the virtualenv, so --name cannot be given"),
    ],
)
def test_output_of_several_is_refused(done: Done, arguments: list[str], says: str) -> None:
    """It is not clear which is meant."""
    assert says in done.history(*arguments, status=1)


def test_output_without_a_rollout_is_refused(done: Done) -> None:
    """The hosts' histories have no output."""
    refused = done.place.fab("history", "--output", "localhost")
    assert (refused.returncode, refused.stderr) == (
        1, "envfab: --output needs --rollout ID\n  fab history shows the ids\n",
    )  # fmt: skip


def test_a_rollout_without_a_log_names_those_that_have_one(done: Done) -> None:
    """Whatever the id looks like."""
    refused = done.place.fab("history", "--rollout", "20200101-000000-0000")
    assert (refused.returncode, refused.stderr) == (
        1,
        "envfab: --rollout: rollout '20200101-000000-0000' has no log on this machine\n"
        f"  there are: {done.id}; logs are kept where fab ran, and only the newest ones\n",
    )


def test_the_log_is_for_its_owner_alone(done: Done) -> None:
    """Folders have the mode 0700, files 0600."""
    log = logs_of(done.place)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [log, *log.rglob("*")]}
    files = ("rollout.json", "plans.jsonl", "log.jsonl", ".lock")
    assert modes == {"rollouts": 0o700, done.id: 0o700, **dict.fromkeys(files, 0o600)}


def test_the_summary_names_the_log_of_what_failed(done: Done) -> None:
    """By the command that shows it; so does the history, of rollouts that have a log here."""
    asked = f"fab history --rollout {done.id}"
    assert f"all that was done: {asked}\n" in done.shown
    assert done.place.fab("history").stderr == f"the log of a rollout: {asked}\n"


@pytest.fixture
def alpha(local: Workplace, make_virtualenv: VirtualenvMaker) -> Path:
    """A virtualenv to which alpha is to be deployed."""
    path = make_virtualenv("3.11", local.folder / "v")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'])])")
    local.add_made("alpha", "1.0")
    return path


@pytest.mark.usefixtures("alpha")
def test_a_rollout_in_which_nothing_begins_has_no_log(local: Workplace) -> None:
    """It says so in JSON; one that deploys has a log, of which nothing is printed if all went well."""
    done = local.fab("deploy", "--yes")
    assert done.returncode == 0
    assert "history --rollout" not in done.stdout + done.stderr
    (first,) = logs_of(local).glob("2*")
    assert local.json("deploy", "--yes")["log"] is None
    assert list(logs_of(local).glob("2*")) == [first]


@pytest.mark.parametrize("state", ["/dev/null/state", "/proc/state"])
def test_a_state_folder_that_cannot_be_written_is_a_warning(local: Workplace, alpha: Path, state: str) -> None:
    """The rollout goes on without a log."""
    done = run_fab(local.folder, "deploy", "--yes", "--json", env={"XDG_STATE_HOME": state})
    assert done.returncode == 0, done.stderr
    assert freeze(alpha) == {"alpha": "1.0"}
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert warning.startswith(f"warning: this rollout has no log: {state}")
    assert "  set XDG_STATE_HOME to a folder that can be written; the setting log_rollouts: 0" in done.stderr
    assert json.loads(done.stdout)["log"] is None


@pytest.mark.usefixtures("alpha")
def test_the_settings_say_how_many_logs_are_kept(local: Workplace) -> None:
    """With 0 there are none, and nothing is told of it."""
    for kept in ("1", "1", "0"):
        variables = {"FABRIC_ENVFAB_LOG_ROLLOUTS": kept}
        done = run_fab(local.folder, "deploy", "--yes", "--reinstall", "alpha", env=variables)
        assert (done.returncode, "log" in done.stderr) == (0, False)
        ids = {path.name for path in logs_of(local).glob("2*")}
        assert len(ids) == 1


def test_a_reload_of_the_host_is_in_the_log_of_each_of_its_virtualenvs(
    local: Workplace, make_virtualenv: VirtualenvMaker
) -> None:
    """It runs once for all of them."""
    paths = [make_virtualenv("3.11", local.folder / name) for name in ("v1", "v2")]
    virtualenvs = ", ".join(f"Virtualenv({str(path)!r}, packages=['alpha'])" for path in paths)
    local.fabfile(f"Host('localhost', reload='echo reloading', reload_once=True, virtualenvs=[{virtualenvs}])")
    local.add_made("alpha", "1.0")
    rollout = local.json("deploy", "--yes")["rollout"]
    document = local.json("history", "--rollout", rollout)
    outputs = [[done["output"] for done in one["done"] if "of" in done] for one in document["virtualenvs"]]
    assert outputs == [["reloading\n"], ["reloading\n"]]


def test_what_a_command_printed_that_was_given_up_is_shown(local: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """In the summary and in the log: it may say what it waits for."""
    path = make_virtualenv("3.11", local.folder / "v")
    local.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'],"
        " before='echo waiting for the mail server; sleep 60')])",
        "'command_timeout': '0.3'",
    )
    local.add_made("alpha", "1.0")
    done = local.fab("deploy", "--yes")
    assert "failed: the command did not end within 0.3 s\n    | waiting for the mail server\n" in done.stdout
    (log,) = logs_of(local).glob("2*")
    shown = local.fab("history", "--rollout", log.name, "--output", "localhost").stdout
    assert re.search(r"sleep 60   did not end, 0\.\d+ s\n    \| waiting for the mail server\n", shown)


def test_a_rollout_that_is_killed_leaves_what_there_was(local: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """Its output until then, and the last that is known."""
    path = make_virtualenv("3.11", local.folder / "v")
    there = local.folder / "there"
    local.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'],"
        f" before=['echo the first', 'touch {there}; sleep 60'])])"
    )
    local.add_made("alpha", "1.0")
    with local.start("deploy", "--yes") as run:
        wait_for(there)
        run.send_signal(signal.SIGKILL)
    (log,) = logs_of(local).glob("2*")
    done = local.fab("history", "--rollout", log.name)
    assert done.returncode == 0, done.stderr
    assert "1 not known; the rollout has not ended, or was killed" in done.stdout
    assert "the last that is known: before echo the first" in done.stdout
    assert "| the first" in local.fab("history", "--rollout", log.name, "--output", "localhost").stdout

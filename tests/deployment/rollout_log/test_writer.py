"""The log of a rollout: what is written while things happen, and what is read back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from envfab.config.host import Host
from envfab.config.project import Project
from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.observers import (
    CommandEnded,
    DeploymentBegan,
    DeploymentEnded,
    LockAwaited,
    RolloutBegan,
    RolloutEnded,
    StepEnded,
)
from envfab.deployment.proposal import Proposal, proposal_json
from envfab.deployment.proposal_work import NOTHING_REQUIRED
from envfab.deployment.result import Deployment, Ending, outcome_json
from envfab.deployment.rollout_log.masking import Masking, secrets_of_url
from envfab.deployment.rollout_log.places import LOG, Logs
from envfab.deployment.rollout_log.reader import LoggedCommand, LoggedStep, find_log, read_log
from envfab.deployment.rollout_log.writer import Asked, RolloutLog
from envfab.errors import DeploymentError, FormatError, UsageError
from envfab.planning.plan import Action, ActionKind, Plan, Status
from envfab.util.progress import Silent

ID = "20261120-214900-9f3a"
SETTINGS = Settings(log_rollouts=5, log_megabytes=1)
ASKED = Asked(ID, "deploy", "anna", "laptop", "2026-11-20T21:49:00+00:00", "fab deploy --yes", "/f.py", "3/8", {}, "1")


class Warnings(Silent):
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def warning(self, message: str) -> None:
        """Keep it."""
        self.found.append(message)


def proposal(number: int, env: dict[str, str] | None = None) -> Proposal:
    """A virtualenv that loses a package."""
    target = Target("shop", f"web{number}", "/srv/venv")
    virtualenv = Virtualenv("/srv/venv", projects=[Project("shop.settings", env=env or {})])
    removed = Action(ActionKind.REMOVE, canonicalize_name("old"), "Old", "1.0", None, "not required")
    plan = Plan(target, Status.CHANGES, "3.11.7", (removed,), fingerprint=f"f{number}")
    member = Member(target, Host(f"web{number}", virtualenvs=[virtualenv]), virtualenv, "shop")
    return Proposal(member, NOTHING_REQUIRED, plan, commands=(("reload", "true"),))


def ended(one: Proposal, number: int, ending: Ending = Ending.DEPLOYED) -> Deployment:
    """How its deployment ended."""
    return Deployment(f"{ID}.{number}", one.plan.target, one.plan, ending, done=("lock",), seconds=1.5)


def command(one: Proposal, number: int, output: str, status: int | None = 0) -> CommandEnded:
    """A command that printed something."""
    return CommandEnded(f"{ID}.{number}", one.plan.target, "reload", "true", None, status, output, 0.25)


def began(tmp_path: Path, masking: Masking | None = None, settings: Settings = SETTINGS) -> tuple[RolloutLog, Warnings]:
    """A log that is written, and what is told of it."""
    told = Warnings()
    log = RolloutLog(Logs(tmp_path / "rollouts"), ASKED, masking or Masking(), told, settings)
    assert log.begin()
    return log, told


def written(log: RolloutLog) -> None:
    """Wait until all that was heard is written."""
    log.close(time.monotonic() + 20)


def hear_all(log: RolloutLog, proposals: Sequence[Proposal], output: str = "reloaded\n") -> list[Deployment]:
    """A rollout that ends well."""
    log.hear(RolloutBegan(proposals, proposals))
    results = []
    for number, one in enumerate(proposals, 1):
        log.hear(DeploymentBegan(f"{ID}.{number}", one.plan.target))
        log.hear(StepEnded(f"{ID}.{number}", one.plan.target, "lock", 0.125))
        log.hear(command(one, number, output))
        results.append(ended(one, number))
        log.hear(DeploymentEnded(results[-1]))
    log.hear(RolloutEnded(results, 2.5, True, False, {"web1": DeploymentError("no answer", where="lb1"), "web2": None}))
    return results


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """What was asked, each plan, what was done in its order, and each end."""
    proposals = [proposal(1), proposal(2)]
    log, told = began(tmp_path)
    results = hear_all(log, proposals)
    written(log)
    read = read_log(Logs(tmp_path / "rollouts"), ID)
    assert dict(read.asked) == {"format": 1, **asdict(ASKED), "approved_by": []}
    assert [one.plan for one in read.virtualenvs] == [proposal_json(one) for one in proposals]
    assert [one.outcome for one in read.virtualenvs] == [outcome_json(one) for one in results]
    assert read.virtualenvs[1].done == [
        LoggedStep("lock", 0.125, False),
        LoggedCommand("reload", "true", None, 0, 0.25, "reloaded\n", False),
    ]
    assert (read.seconds, read.given_up, told.found) == (2.5, False, [])
    assert list(read.out_of_service) == [{"host": "web1", "why": "lb1: no answer"}, {"host": "web2", "why": None}]


def test_each_line_is_on_disk_when_it_happens(tmp_path: Path) -> None:
    """What a killed run had done until then can be read; it is not known how it ends."""
    one = proposal(1)
    log, _ = began(tmp_path)
    log.hear(RolloutBegan([one], [one]))
    log.hear(DeploymentBegan(f"{ID}.1", one.plan.target))
    log.hear(LockAwaited(f"{ID}.1", one.plan.target, "anna deploys"))
    log.hear(command(one, 1, "half way\n", None))
    deadline = time.monotonic() + 20
    while "half way" not in (log.folder / LOG).read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    read = read_log(Logs(tmp_path / "rollouts"), ID)
    (found,) = read.virtualenvs
    assert (found.waited, found.commands[0].output, found.outcome, read.seconds) == (
        ["anna deploys"], "half way\n", None, None,
    )  # fmt: skip
    written(log)


def test_a_line_that_is_cut_off_or_damaged_is_skipped(tmp_path: Path) -> None:
    """The others are read."""
    log, _ = began(tmp_path)
    hear_all(log, [proposal(1)])
    written(log)
    with (log.folder / LOG).open("a") as file:
        file.write(
            '{"event": "ended", "virtualenv": "nobody@nowhere:/"}\n[1]\n{"event": "step", "deployment": 5}\n{"eve'
        )
    read = read_log(Logs(tmp_path / "rollouts"), ID)
    assert [one.outcome and one.outcome["status"] for one in read.virtualenvs] == ["deployed"]


def test_what_many_virtualenvs_have_in_common_is_written_once(tmp_path: Path) -> None:
    """2,000 of them take three files, one open, and less than 1 kB each."""
    log, told = began(tmp_path)
    descriptors = len(os.listdir("/proc/self/fd"))
    hear_all(log, [proposal(number) for number in range(2000)], output="reloaded\n" * 1000)
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1
    written(log)
    sizes = {path.name: path.stat().st_size for path in log.folder.iterdir()}
    assert len(sizes) == 3
    assert sum(sizes.values()) < 2000 * 1000
    read = read_log(Logs(tmp_path / "rollouts"), ID)
    assert {len(one.commands[0].output) for one in read.virtualenvs} == {9000}
    assert told.found == []


def test_outputs_stop_where_the_log_is_full(tmp_path: Path) -> None:
    """The rest of the log goes on, and says what is missing."""
    proposals = [proposal(1), proposal(2)]
    log, _ = began(tmp_path)
    log.hear(RolloutBegan(proposals, proposals))
    for number, one in enumerate(proposals, 1):
        log.hear(DeploymentBegan(f"{ID}.{number}", one.plan.target))
        log.hear(command(one, number, str(number) * 600_000))
    written(log)
    first, second = read_log(Logs(tmp_path / "rollouts"), ID).virtualenvs
    assert first.commands[0].output == "1" * 600_000
    assert second.commands[0].output.startswith("(left out: the rollout's log has become too large")


def test_a_full_disk_ends_the_log_with_a_warning(tmp_path: Path) -> None:
    """The rollout hears nothing of it."""

    class Full(Logs):
        def make(self, rollout: str, header: str) -> int:
            os.close(super().make(rollout, header))
            return os.open("/dev/full", os.O_WRONLY)

    told = Warnings()
    log = RolloutLog(Full(tmp_path), ASKED, Masking(), told, SETTINGS)
    assert log.begin()
    hear_all(log, [proposal(1)])
    written(log)
    assert told.found == [f"the rollout's log is cut off: {tmp_path / ID}: No space left on device"]


def test_no_rollout_waits_for_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens is heard at once, outputs are let go when too much of them waits, and a warning says so."""
    monkeypatch.setattr("envfab.deployment.rollout_log.writer.MOST_WAITING", 250_000)
    reading, writing = os.pipe()

    class Hanging(Logs):
        def make(self, rollout: str, header: str) -> int:
            os.close(super().make(rollout, header))
            return writing

    told, one = Warnings(), proposal(1)
    log = RolloutLog(Hanging(tmp_path), ASKED, Masking(), told, SETTINGS)
    assert log.begin()
    heard = time.monotonic()
    log.hear(RolloutBegan([one], [one]))
    for number in range(20):
        log.hear(command(one, 1, f"{number} " * 50_000))
    log.close(time.monotonic() + 0.3)
    assert time.monotonic() - heard < 5
    assert told.found == [f"the end of the rollout's log is missing: {tmp_path / ID} is too slow"]
    with open(reading, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    texts = [line["text"] for line in lines if line["event"] == "output"]
    assert texts[0].startswith("0 0 ")
    assert texts[-1] == "(left out: the disk with the rollout's log was too slow)"
    assert sum(map(len, texts)) < 400_000


def test_what_was_cut_is_marked(tmp_path: Path) -> None:
    """Of a longer output, only the end came here."""
    one = proposal(1)
    log, _ = began(tmp_path)
    log.hear(RolloutBegan([one], [one]))
    log.hear(DeploymentBegan(f"{ID}.1", one.plan.target))
    for size in (199_999, 200_000):
        log.hear(command(one, 1, "x" * size))
    written(log)
    (found,) = read_log(Logs(tmp_path / "rollouts"), ID).virtualenvs
    assert [done.cut for done in found.commands] == [False, True]


def test_secrets_are_taken_out(tmp_path: Path) -> None:
    """Of output, commands and errors: those of the run, and of each virtualenv's own projects; not what is short."""
    proposals = [proposal(1, {"KEY": "s3cret-one", "DEBUG": "true"}), proposal(2, {"KEY": "s3cret-two"})]
    log, _ = began(tmp_path, Masking(["pass-word", *secrets_of_url("https://anna:p%40ssword@wheels.example.org/")]))
    log.hear(RolloutBegan(proposals, proposals))
    printed = "s3cret-one s3cret-two pass-word p@ssword anna:p%40ssword true\n"
    for number, one in enumerate(proposals, 1):
        log.hear(DeploymentBegan(f"{ID}.{number}", one.plan.target))
        log.hear(replace(command(one, number, printed), command=f"echo {printed}"))
        failed = replace(
            ended(one, number, Ending.FAILED), error=DeploymentError(printed), output=printed, left_open=printed
        )
        log.hear(DeploymentEnded(failed))
    written(log)
    first, second = read_log(Logs(tmp_path / "rollouts"), ID).virtualenvs
    assert first.output == "*** s3cret-two *** *** *** true\n"
    assert second.output == "s3cret-one *** *** *** *** true\n"
    for found in (first, second):
        assert found.outcome is not None
        assert found.commands[0].output == found.output == found.outcome["error"] == found.left_open
        assert found.commands[0].command == f"echo {found.output}"


def test_a_log_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    """In words that say what to do."""
    log, _ = began(tmp_path)
    written(log)
    header = log.folder / "rollout.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | {"format": 2}))
    with pytest.raises(FormatError) as caught:
        read_log(Logs(tmp_path / "rollouts"), ID)
    assert str(caught.value) == (
        f"{header}: the log has format 2; this envfab reads formats up to 1\n"
        "  use the version of envfab that wrote it, or a newer one"
    )


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', '{"format": "1"}'])
def test_what_is_not_a_log_is_one_clear_error(tmp_path: Path, content: str) -> None:
    """Whatever is in the file."""
    log, _ = began(tmp_path)
    written(log)
    (log.folder / "rollout.json").write_text(content)
    with pytest.raises(FormatError, match=f"{log.folder}/rollout.json: not the log of a rollout: "):
        read_log(Logs(tmp_path / "rollouts"), ID)


def test_a_rollout_is_found_by_its_id_or_that_of_a_deployment(tmp_path: Path) -> None:
    """Any other name is an error that names those that there are."""
    logs = Logs(tmp_path / "rollouts")
    with pytest.raises(
        UsageError, match=f"--rollout: rollout '{ID}' has no log on this machine\n  {logs.folder} has none"
    ):
        find_log(logs, ID)
    log, _ = began(tmp_path)
    written(log)
    assert find_log(logs, ID) == find_log(logs, f"{ID}.17") == ID
    for wrong in ("20261120-214900-0000", "../../etc", "", "\x1b[2J"):
        with pytest.raises(UsageError, match=rf"has no log on this machine\n  there are: {ID}; logs are kept"):
            find_log(logs, wrong)

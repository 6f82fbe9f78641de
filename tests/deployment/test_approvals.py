"""Approvals of saved plans: what counts as one, and every edit by which it does not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from envfab.deployment.approvals import (
    APPROVAL,
    DEPLOYMENT,
    Approval,
    Approvers,
    add_approval,
    approvals_file,
    forget_approvals,
    prove_deployer,
    read_approvals,
)
from envfab.errors import DeploymentError, UsageError
from envfab.signatures.allowed_signers import AllowedSigners
from envfab.signatures.ssh_keygen import SigningKey
from envfab.signatures.sshsig import SignatureError
from tests.support.ssh_keys import make_key, public

NOW = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
PLAN, OTHER = "a" * 64, "b" * 64


class People:
    """Anna with two keys, Ben, and a stranger; `allowed` is the file that names the first two."""

    def __init__(self, folder: Path) -> None:
        self.anna, self.annas_other, self.ben, self.stranger = (
            SigningKey.read(make_key(folder, name)) for name in ("anna", "other", "ben", "stranger")
        )
        lines = [f"anna@e.org {public(folder / 'anna')}", f"anna@e.org,root@e.org {public(folder / 'other')}"]
        self.text = "\n".join([*lines, f'ben@e.org valid-before="20261201Z" {public(folder / "ben")}'])
        self.allowed = AllowedSigners(folder / "approvers", self.text)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Keys of three people."""
    return People(tmp_path_factory.mktemp("people"))


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Where a saved plan would lie."""
    return tmp_path / "p.json"


def test_an_approval_of_another_person_counts(people: People, plan: Path) -> None:
    """It is written and read again; whoever approved is named once."""
    for _ in range(2):
        add_approval(plan, Approval.sign(PLAN, people.anna, NOW))
    add_approval(plan, Approval.sign(PLAN, people.ben, NOW))
    approvals = read_approvals(plan)
    approvers = Approvers(people.allowed, NOW)
    assert approvers.approved_by(approvals, PLAN, people.stranger) == ("anna@e.org", "ben@e.org")
    assert approvers.approved_by(approvals, PLAN, people.ben) == ("anna@e.org",)


@pytest.mark.parametrize("deployer", ["anna", "annas_other"])
def test_nobody_approves_what_they_deploy(people: People, deployer: str) -> None:
    """Not with another of their keys either."""
    approvals = [Approval.sign(PLAN, people.anna, NOW)]
    with pytest.raises(DeploymentError, match=r"approval 1: by anna@e\.org, who deploys") as caught:
        Approvers(people.allowed, NOW).approved_by(approvals, PLAN, getattr(people, deployer), "ask anna")
    assert caught.value.hint == "ask anna"


EDITS: dict[str, tuple[Callable[[str], str], str]] = {
    "the plan that is named": (lambda line: line.replace(PLAN, OTHER), "of another plan"),
    "the time": (lambda line: line.replace("signed=2026-11-27T12", "signed=2026-11-27T11"), "what was signed is not"),
    "a letter of the signature": (lambda line: line[:-20] + ("A" if line[-20] != "A" else "B") + line[-19:], ""),
    "the end of the signature": (lambda line: line[:-40], ""),
    "no signature": (lambda line: line.partition(" sig=")[0], "cannot be read"),
    "an empty signature": (lambda line: line.partition("sig=")[0] + "sig=", "cannot be read"),
    "a signature of zeros": (lambda line: line.partition("sig=")[0] + "sig=AAAA", ""),
    "letters that are not base64": (lambda line: line.partition("sig=")[0] + "sig=A", "cannot be read"),
    "a time that is none": (lambda line: line.replace("2026-11-27T12", "2026-13-27T12"), "cannot be read"),
    "words behind it": (lambda line: line + " by=anna", "cannot be read"),
    "words before it": (lambda line: "an " + line, "cannot be read"),
    "a field more": (lambda line: line.replace(" sig=", " by=anna sig="), "cannot be read"),
    "another word": (lambda line: line.replace("approval:", "deployment:"), "cannot be read"),
    "capitals": (lambda line: line.replace(PLAN, PLAN.upper()), "cannot be read"),
    "two spaces": (lambda line: line.replace(": plan", ":  plan"), "cannot be read"),
    "NUL": (lambda line: line + "\0", "cannot be read"),
    "an unknown alphabet": (lambda line: line.replace("a", "\u0430"), "cannot be read"),
    "nothing": (lambda _line: "", "there is no approval"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_was_edited_does_not_count(people: People, plan: Path, edit: str) -> None:
    """The message gives the reason, and never is a traceback."""
    add_approval(plan, Approval.sign(PLAN, people.anna, NOW))
    place = approvals_file(plan)
    change, reason = EDITS[edit]
    before = place.read_text().rstrip("\n")
    after = change(before)
    assert after != before
    place.write_text(after + "\n")
    with pytest.raises(DeploymentError, match="must be approved by another person than the one who deploys") as caught:
        Approvers(people.allowed, NOW).approved_by(read_approvals(plan), PLAN, people.ben)
    assert reason in caught.value.what


def test_keys_that_may_not_approve_do_not_count(people: People) -> None:
    """An unknown key, one that had expired when it signed, a signature for something else, and one of tomorrow."""
    late = datetime(2026, 12, 2, tzinfo=timezone.utc)
    text = f"approval: plan={PLAN} signed={NOW.isoformat()}"
    (for_releases,) = people.anna.sign([text.encode()], "release-log@envfab")
    cases = {
        "signed by an unknown key": Approval.sign(PLAN, people.stranger, NOW),
        "whose key was valid until 2026-12-01 00:00 UTC": Approval.sign(PLAN, people.ben, late),
        "the signature is for 'release-log@envfab'": Approval(text, PLAN, NOW, for_releases),
        "still to come: compare the clocks": Approval.sign(PLAN, people.anna, late + timedelta(minutes=6)),
        "approval 1: of another plan, or the plan was changed after it": Approval.sign(OTHER, people.anna, NOW),
    }
    for reason, approval in cases.items():
        with pytest.raises(DeploymentError) as caught:
            Approvers(people.allowed, late).approved_by([approval], PLAN, people.annas_other)
        assert reason in caught.value.what
    elsewhere = AllowedSigners(
        Path("x"), people.text.replace("anna@e.org ", 'anna@e.org namespaces="release-log@envfab" ')
    )
    with pytest.raises(DeploymentError, match=f"is not for {APPROVAL}"):
        Approvers(elsewhere, NOW).approved_by([Approval.sign(PLAN, people.anna, NOW)], PLAN, people.ben)


def test_whoever_deploys_must_have_the_key(people: People, tmp_path: Path) -> None:
    """The public half of another person's key proves nothing."""
    prove_deployer(people.ben, PLAN, NOW)
    (tmp_path / "ben.pub").write_text(public(people.ben.path) + "\n")
    with pytest.raises(SignatureError, match="no agent has the private half"):
        prove_deployer(SigningKey.read(tmp_path / "ben.pub"), PLAN, NOW)
    swapped = SigningKey(people.anna.path, people.ben.public_key)
    with pytest.raises(SignatureError, match="ssh-keygen signed with another key"):
        prove_deployer(swapped, PLAN, NOW)
    assert DEPLOYMENT != APPROVAL


def test_approvals_of_an_earlier_plan_go(people: People, plan: Path) -> None:
    """A new plan has none; an approval of a changed plan does not keep those of the old one."""
    add_approval(plan, Approval.sign(PLAN, people.anna, NOW))
    add_approval(plan, Approval.sign(OTHER, people.ben, NOW))
    assert [one and one.plan for one in read_approvals(plan)] == [OTHER]
    forget_approvals(plan)
    forget_approvals(plan)
    assert read_approvals(plan) == []


def test_a_file_that_cannot_be_used_is_told(plan: Path) -> None:
    """A folder in its place, and a file that is too large."""
    place = approvals_file(plan)
    place.mkdir()
    for action in (lambda: read_approvals(plan), lambda: forget_approvals(plan)):
        with pytest.raises(UsageError) as caught:
            action()
        assert str(place) in str(caught.value)
    place.rmdir()
    place.write_bytes(b"approval: \n" * 200_000)
    with pytest.raises(UsageError, match="larger than"):
        read_approvals(plan)


def test_approvals_that_are_written_at_once_are_all_kept(plan: Path) -> None:
    """Each reads what the others wrote before it."""
    made = [
        Approval(f"approval: plan={PLAN} signed={at.isoformat()}", PLAN, at, b"signature")
        for at in (NOW + timedelta(seconds=number) for number in range(12))
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: add_approval(plan, one), made))
    assert sorted(map(str, read_approvals(plan))) == sorted(map(str, made))


def test_many_lines_that_do_not_count_are_told_in_a_few(people: People, plan: Path) -> None:
    """A file of 1 MiB may have half a million of them."""
    approvals_file(plan).write_bytes(b"x\n" * 1000)
    with pytest.raises(DeploymentError) as caught:
        Approvers(people.allowed, NOW).approved_by(read_approvals(plan), PLAN, people.ben)
    assert caught.value.what.splitlines()[1:] == [
        *(f"    approval {number}: cannot be read" for number in range(1, 6)),
        "    and 995 more that do not count",
    ]


def test_a_time_to_come_is_told_in_utc(people: People) -> None:
    """Whatever zone the line has."""
    text = f"approval: plan={PLAN} signed=2026-11-27T23:30:00+05:00"
    later = Approval.parse(f"{text} sig=AAAA")
    with pytest.raises(DeploymentError, match=r"signed at 2026-11-27 18:30 UTC, which is still to come"):
        Approvers(people.allowed, NOW).approved_by([later], PLAN, people.ben)

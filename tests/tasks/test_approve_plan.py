"""Saved plans that another person must approve, by the real program: `plan --sign`, `approve_plan`, `deploy --plan`."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.support.ssh_keys import make_key, public
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace

FABFILE = """
from envfab import *
SITE = Virtualenv({venv!r}, requirements='shop.txt', reload={reload})
fleet = Fleet(approvers='approvers', events=[Exec('cat >>events')], hosts=[Host('localhost', virtualenvs=[SITE])])
ns = collection(fleet)
"""


@pytest.fixture
def shop(make_virtualenv: VirtualenvMaker, tmp_path: Path) -> Workplace:
    """A virtualenv that plans need an approval for; anna and ben may give it."""
    work = Workplace(tmp_path / "work")
    make_virtualenv("3.11", work.folder / "venv")
    _fabfile(work, "'true'")
    work.file("shop.txt", "shop\n")
    work.add(make_wheel(work.folder / "made", "shop", "1.0"))
    for name in ("anna", "ben", "guest"):
        make_key(work.folder, name)
    lines = [f"{name}@e.org {public(work.folder / name)}\n" for name in ("anna", "ben")]
    work.file("approvers", "".join(lines))
    return work


def _fabfile(work: Workplace, reload: str) -> None:
    work.file("fabfile.py", FABFILE.format(venv=str(work.folder / "venv"), reload=reload))


def _fab(work: Workplace, person: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_fab(work.folder, *arguments, env={"ENVFAB_SIGNING_KEY": str(work.folder / person)} if person else {})


def _deployments(work: Workplace) -> int:
    (virtualenv,) = work.json("history")["virtualenvs"]
    return len(virtualenv["deployments"])


def test_a_plan_is_deployed_when_another_person_approved_it(shop: Workplace) -> None:
    """Without an approval nothing is done, and with only one's own; who approved is in history, log and events."""
    done = _fab(shop, "ben", "deploy", "--yes")
    assert done.returncode == 1
    assert "this fleet has approvers, so only saved plans that one of them approved are deployed" in done.stderr
    assert "fab plan --out FILE --sign; then another person: fab deploy --plan FILE" in done.stderr
    done = _fab(shop, "ben", "plan", "--out", "p.json")
    assert done.returncode == 0
    assert "saved to p.json; another person approves it by fab approve_plan --file p.json" in done.stdout
    done = _fab(shop, "ben", "deploy", "--plan", "p.json", "--yes")
    assert done.returncode == 1
    assert "must be approved by another person than the one who deploys\n    there is no approval" in done.stderr
    assert "whose key is in approvers, approve it: fab approve_plan --file p.json" in done.stderr
    done = _fab(shop, "ben", "approve_plan:p.json", "--yes")
    assert done.returncode == 0, done.stderr
    assert "+ shop" in done.stdout
    assert "reload: true" in done.stdout
    assert "approved in p.json.approvals with SHA256:" in done.stdout
    assert "approval 1: by ben@e.org, who deploys" in _fab(shop, "ben", "deploy", "--plan", "p.json", "--yes").stderr
    assert _fab(shop, "anna", "plan", "--out", "p.json", "--sign").returncode == 0
    done = _fab(shop, "", "deploy", "--plan", "p.json", "--yes")
    assert "another person must approve what you deploy, so you must sign, and there is no key" in done.stderr
    assert done.returncode == 1
    done = _fab(shop, "ben", "deploy", "--plan", "p.json", "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    (virtualenv,) = shop.json("history")["virtualenvs"]
    assert virtualenv["deployments"][0]["approved_by"] == ["anna@e.org"]
    told = shop.fab("history").stdout
    assert "\n      approved by anna@e.org\n" in told
    rollout = virtualenv["deployments"][0]["rollout"]
    assert "\n  approved by anna@e.org\n" in shop.fab("history", "--rollout", rollout).stdout
    events = (shop.folder / "events").read_text().replace("}{", "}\n{").splitlines()
    assert {tuple(json.loads(one)["approved_by"]) for one in events} == {("anna@e.org",)}


def test_what_was_changed_after_the_approval_is_not_deployed(shop: Workplace) -> None:
    """Neither the plan nor the commands of the fabfile that run with it."""
    shop.add(make_wheel(shop.folder / "made", "shop", "2.0"))
    saved, before = shop.folder / "two.json", _deployments(shop)
    assert _fab(shop, "anna", "plan", "--upgrade", "--out", "two.json", "--sign").returncode == 0
    text = saved.read_text()
    saved.write_text(text.replace('"format"', ' "format"', 1))
    done = _fab(shop, "ben", "deploy", "--plan", "two.json", "--yes")
    assert done.returncode == 1
    assert "approval 1: of another plan, or the plan was changed after it" in done.stderr
    saved.write_text(text)
    for commands, why in (
        ("'false'", "the reload command 'true' was approved, and is not in the fabfile any more"),
        ("()", "the reload command 'true' was approved, and is not in the fabfile any more"),
        ("['true', 'false']", "the reload command 'false' is in the fabfile, and was not approved"),
    ):
        _fabfile(shop, commands)
        done = _fab(shop, "ben", "deploy", "--plan", "two.json", "--yes")
        assert done.returncode == 1
        assert why in " ".join(done.stdout.split())
        assert _deployments(shop) == before
    _fabfile(shop, "'true'")
    assert _fab(shop, "ben", "deploy", "--plan", "two.json", "--yes").returncode == 0


def test_keys_that_cannot_approve_are_refused_before_anything_is_asked(shop: Workplace) -> None:
    """A key that is not among the approvers, none at all, and no terminal to ask at; `--sign` needs a file."""
    assert _fab(shop, "anna", "plan", "--out", "three.json", "--upgrade").returncode == 0
    for person, task, message in (
        ("guest", ["approve_plan", "three.json", "--yes"], "is not in this file"),
        ("guest", ["plan", "--out", "three.json", "--sign"], "is not in this file"),
        ("", ["approve_plan", "three.json", "--yes"], "an approval must be signed, and there is no key to sign with"),
        ("anna", ["approve_plan", "three.json"], "not a terminal, so approve_plan cannot ask"),
        ("anna", ["plan", "--sign"], "--sign needs --out FILE: what is signed is a saved plan"),
        ("anna", ["approve_plan"], "approve_plan needs a file\n  fab approve_plan:plan.json"),
        ("anna", ["approve_plan:gone.json", "--yes"], "cannot read the plan: No such file or directory"),
        ("anna", ["approve_plan", "shop.txt", "--yes"], "not a saved plan"),
    ):
        done = _fab(shop, person, *task)
        assert (done.returncode, message in done.stderr) == (1, True), (task, done.stderr)
    assert not (shop.folder / "three.json.approvals").exists()


def test_a_plan_of_another_fabfile_is_not_approved(shop: Workplace) -> None:
    """What it is for is not known here."""
    other = shop.folder / "other.json"
    assert _fab(shop, "anna", "plan", "--out", str(other)).returncode == 0
    other.write_text(other.read_text().replace(str(shop.folder / "venv"), "/srv/elsewhere"))
    done = _fab(shop, "anna", "approve_plan", "other.json", "--yes")
    assert done.returncode == 1
    assert "other.json: the plan is for" in done.stderr
    assert "/srv/elsewhere, which is not in this fabfile" in done.stderr


def test_only_named_keys_deploy_once_one_is_named(shop: Workplace) -> None:
    """So no approver deploys what they approved themselves with a key that was made for it."""
    approvers = shop.folder / "approvers"
    before = approvers.read_text()
    assert _fab(shop, "anna", "plan", "--out", "four.json", "--sign").returncode == 0
    done = _fab(shop, "guest", "deploy", "--plan", "four.json", "--yes")
    assert done.returncode == 0, done.stderr
    approvers.write_text(f'{before}ci@e.org namespaces="deployment@envfab" {public(make_key(shop.folder, "ci"))}\n')
    done = _fab(shop, "guest", "deploy", "--plan", "four.json", "--yes")
    assert done.returncode == 1
    assert "guest may not sign: SHA256:" in done.stderr
    assert "is not in this file" in done.stderr
    done = _fab(shop, "ci", "deploy", "--plan", "four.json", "--yes")
    assert done.returncode == 0, done.stderr
    approvers.write_text(before)


def test_force_and_waves_are_part_of_what_is_approved(shop: Workplace) -> None:
    """`--force` is refused for a plan without it; with it, and with waves, whoever approves is told."""
    shop.add(make_wheel(shop.folder / "made", "shop", "3.0"))
    assert _fab(shop, "anna", "plan", "--upgrade", "--out", "five.json", "--sign").returncode == 0
    done = _fab(shop, "ben", "deploy", "--plan", "five.json", "--force", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "five.json: --force is not part of the plan that was approved" in done.stderr
    assert "fab plan --force --out FILE --sign makes one with it" in done.stderr
    planned = ["plan", "--upgrade", "--force", "--batch", "50%", "--canary", "localhost", "--out", "five.json"]
    assert _fab(shop, "anna", *planned).returncode == 0
    done = _fab(shop, "anna", "approve_plan", "five.json", "--yes")
    told = " ".join(done.stdout.split())
    assert "may break packages outside of the requirements (--force): " in told
    assert "first to: " in told
    assert "in waves of: 50%" in told
    done = _fab(shop, "ben", "deploy", "--plan", "five.json", "--force", "--yes")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("sha256", ["null", "of the other file"])
def test_a_plan_installs_only_what_the_log_released(shop: Workplace, sha256: str) -> None:
    """A plan that was approved without a SHA-256, or with that of another file, lets no other wheel in."""
    shop.add(make_wheel(shop.folder / "made", "shop", "4.0"))
    assert _fab(shop, "ben", "plan", "--upgrade", "--out", "six.json").returncode == 0
    saved, wheel = shop.folder / "six.json", next(shop.folder.rglob("wheels/shop-4.0-*"))
    document, released = json.loads(saved.read_text()), wheel.read_bytes()
    other = make_wheel(shop.folder / "swapped", "shop", "4.0", files={"shop/evil.py": "evil = True"}).read_bytes()
    digest = None if sha256 == "null" else hashlib.sha256(other).hexdigest()
    document["virtualenvs"][0]["actions"][0]["sha256"] = digest
    saved.write_text(json.dumps(document))
    assert _fab(shop, "anna", "approve_plan", "six.json", "--yes").returncode == 0
    wheel.write_bytes(other)
    done = _fab(shop, "ben", "deploy", "--plan", "six.json", "--yes")
    wheel.write_bytes(released)
    assert done.returncode == 1, done.stdout
    assert "has another SHA-256 in the release log than in the plan" in " ".join(done.stdout.split())
    assert "make a new plan" in done.stdout
    assert not (shop.folder / "venv").resolve().joinpath("lib/python3.11/site-packages/shop/evil.py").exists()

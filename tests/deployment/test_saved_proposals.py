"""What is left to do of a saved plan, on virtualenvs in any state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from envfab.deployment.journal import DEPLOYED, FAILED, Record, snapshot, to_json
from envfab.deployment.saved_proposals import remaining
from envfab.errors import DeploymentError
from envfab.models.probe import Holder, Probe
from envfab.planning.plan import Options, Plan, Status
from envfab.planning.plan_json import plan_digest
from envfab.planning.planner import plan
from tests.planning.catalogue import probe, requirements, wheelhouse

BEFORE = probe("a==1", "gone==1")


def saved() -> Plan:
    """A plan that upgrades a package."""
    return plan(BEFORE, requirements("a"), wheelhouse(["a==2"]))


def record(**changed: Any) -> Record:
    """The record of a deployment that carried out, or was to carry out, that plan by making generation 5."""
    made = Record("r", "r.1", "anna", "ci", "2026-11-20T21:49:00+00:00", "begin", snapshot(BEFORE), ())
    return replace(made, plan=plan_digest(saved()), generation=5, previous=4, **changed)


def now(*there: str, **changed: Any) -> Probe:
    """The virtualenv as it is now, with another fingerprint than when the plan was made."""
    return replace(probe(*there), **{"fingerprint": "another", "generation": 4, **changed})


def left(found: Probe) -> Plan:
    """What is left to do there."""
    return remaining(saved(), plan_digest(saved()), found)


def test_a_virtualenv_as_it_was_is_planned_as_it_was() -> None:
    """The plan is the saved one."""
    assert left(BEFORE) == saved()


def test_what_was_carried_out_is_current() -> None:
    """The plan's note names the deployment that did it."""
    found = left(now("a==2", "gone==1", last=to_json(record(status=DEPLOYED, ended="2026-11-20T21:50:00+00:00"))))
    assert (found.status, found.actions) == (Status.CURRENT, ())
    assert found.notes[0].startswith("this plan was carried out by deployment r.1, Friday 2026-11-20 ")


@pytest.mark.parametrize("status", [None, FAILED])
def test_what_was_cut_off_before_the_switch_is_planned_again(status: str | None) -> None:
    """With the fingerprint that the virtualenv has now, and a note about the interruption."""
    found = left(now("a==1", "gone==1", journal=to_json(record(status=status, error="why" if status else None))))
    assert (found.status, found.actions, found.fingerprint) == (Status.CHANGES, saved().actions, "another")
    assert "deployment r.1 by anna from ci" in found.notes[0]


def test_what_was_cut_off_after_the_switch_is_finished() -> None:
    """Its packages are as planned, so no package is changed."""
    found = left(now("a==2", "gone==1", generation=5, journal=to_json(record())))
    assert (found.status, found.actions, found.fingerprint) == (Status.CHANGES, (), "another")


def test_the_lock_decides_while_a_deployment_is_under_way() -> None:
    """Whatever that changes, it is told as locked, not as changed."""
    assert left(now("a==2", holder=Holder("anna"), under_way=to_json(record()))) == saved()


@pytest.mark.parametrize(
    "found",
    [
        now("a==1"),
        now("a==2", "gone==1"),
        # carried out, and changed since
        now("a==1", "gone==1", last=to_json(record(status=DEPLOYED, ended="2026-11-20T21:50:00+00:00"))),
        # by a deployment that did not succeed, or of another plan
        now("a==2", "gone==1", last=to_json(record(status="rolled-back", ended="2026-11-20T21:50:00+00:00"))),
        now("a==2", "gone==1", last=to_json(replace(record(status=DEPLOYED), plan="0" * 64))),
        now("a==2", "gone==1", last=to_json(replace(record(status=DEPLOYED), plan=None))),
        now("a==2", "gone==1", last={"format": 1}),
        # cut off, and changed since, on either side of the switch
        now("a==1", "more==1", journal=to_json(record())),
        now("a==1", "gone==1", generation=5, journal=to_json(record())),
        # cut off, of another plan
        now("a==1", "gone==1", journal=to_json(replace(record(), plan=None))),
        now("a==2", "gone==1", journal=to_json(replace(record(), plan=None)), last=to_json(record(status=DEPLOYED))),
    ],
)
def test_what_changed_otherwise_is_refused(found: Probe) -> None:
    """With what to do; nothing is planned anew."""
    with pytest.raises(DeploymentError) as caught:
        left(found)
    assert str(caught.value) == (
        "shop@web1:/srv/shop/venv: the virtualenv changed after the plan was saved; nothing was done\n"
        "  make a new plan: fab plan --out FILE"
    )


def test_a_package_that_was_to_be_removed_and_is_there_is_a_change() -> None:
    """A removal that was undone is not as planned."""
    removing = plan(probe("a==1", "gone==1"), requirements("a"), wheelhouse(["a==1"]), Options(prune=True))
    assert [action.shown_as for action in removing.actions] == ["gone"]
    done = replace(record(status=DEPLOYED), plan=plan_digest(removing))
    assert remaining(removing, plan_digest(removing), now("a==1", last=to_json(done))).status is Status.CURRENT
    with pytest.raises(DeploymentError):
        remaining(removing, plan_digest(removing), now("a==1", "gone==1", last=to_json(done)))

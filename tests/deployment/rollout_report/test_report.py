"""What is known of a rollout, and the document of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from packaging.utils import canonicalize_name

from envfab.config.host import Host
from envfab.deployment.observers import DeploymentBegan, DeploymentEnded, RolloutBegan, RolloutEnded
from envfab.deployment.result import Deployment, Ending
from envfab.deployment.rollout import settled
from envfab.deployment.rollout_log.masking import Masking
from envfab.deployment.rollout_report import report as report_module
from envfab.deployment.rollout_report.report import RolloutReport, body_of
from envfab.errors import DeploymentError, EnvfabError, Unreachable
from envfab.models.distribution import Distribution
from envfab.models.drift import Deployed, Drift, PackageDrift
from envfab.models.rollout_document import (
    DriftFound,
    PackageChange,
    RolloutDocument,
    RolloutVirtualenv,
    rollout_from_json,
)
from envfab.planning.plan import Status
from tests.deployment.rollout_report.made import AFTER, ASKED, BEFORE, ID, ended, many, of, proposal, report, target

OLD = (("Old", "1.0"), ("lib", "2"))


def read(document: RolloutDocument) -> RolloutDocument:
    """What a collector reads of a document; raises `ValueError` where it would refuse it."""
    return rollout_from_json(json.loads(body_of(document)))


def test_a_rollout_that_begins_is_told_as_it_was_asked_for() -> None:
    """By whom, with what, and where the log lies; its first document has the number 1."""
    told, one = report(), proposal(1)
    told.note(RolloutBegan([one], [one]))
    assert replace(read(told.document()), virtualenvs=()) == RolloutDocument(
        rollout=ID, number=1, state="under way", task="deploy", who="anna", origin="laptop",
        command="fab deploy --yes", version="1", began=ASKED.began, slice="3/8", log="/logs/x", approved_by=("bert",),
    )  # fmt: skip
    assert told.document().number == 2


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.CURRENT, "current"),
        (Status.CHANGES, "skipped"),
        (Status.BLOCKED, "blocked"),
        (Status.UNREACHABLE, "unreachable"),
        (Status.MISSING, "missing"),
    ],
)
def test_what_is_not_deployed_to_is_told_from_the_beginning(status: Status, word: str) -> None:
    """As what it is, with what was read of it."""
    error = Unreachable("no route", where="shop@web2:/srv/venv") if status is Status.UNREACHABLE else None
    told, one, other = report(), proposal(1), proposal(2, status, error=error)
    told.note(RolloutBegan([one, other], [one]))
    found = of(read(told.document()), 2)
    known = status in (Status.CURRENT, Status.CHANGES, Status.BLOCKED)
    assert (found.status, found.packages, found.digest) == (word, OLD if known else None, BEFORE if known else None)
    assert found.message == ("no route" if error else "")
    assert (found.deployment, found.seconds) == (None, None)


def test_what_is_planned_has_what_was_read_of_it_until_it_begins() -> None:
    """While a deployment is under way it is not known what there is."""
    told, one = report(), proposal(1)
    told.note(RolloutBegan([one], [one]))
    planned = of(read(told.document()), 1)
    told.note(DeploymentBegan(f"{ID}.1", target(1)))
    assert planned == RolloutVirtualenv(
        "shop", "web1", "/srv/venv", "planned", changes=(PackageChange("remove", "Old", "1.0", None),), packages=OLD,
        interpreter="CPython 3.11.7", digest=BEFORE,
    )  # fmt: skip
    assert of(read(told.document()), 1) == replace(
        planned, status="begun", deployment=f"{ID}.1", packages=None, interpreter=None, digest=None
    )


def failed_early(result: Deployment) -> Deployment:
    """A deployment that failed before the journal was opened."""
    return replace(result, done=("lock",), error=DeploymentError("disk full", where=str(result.target)))


def left_open(result: Deployment) -> Deployment:
    """One that failed in the middle of something."""
    return replace(result, left_open="the journal is open", error=DeploymentError("gone"))


def interrupted_before(result: Deployment) -> Deployment:
    """One that went back to before an earlier deployment, which had been interrupted."""
    assert result.before is not None
    return replace(result, before=replace(result.before, journal={"format": 1}))


def given_up(result: Deployment) -> Deployment:
    """One that went on after a second Ctrl-C."""
    return replace(result, given_up=True, error=DeploymentError("given up at the step switch"))


def unread(result: Deployment) -> Deployment:
    """One whose virtualenv was not read again after the last change."""
    return replace(result, after=None)


def same(result: Deployment) -> Deployment:
    """As it is."""
    return result


NOTHING: tuple[None, None] = (None, None)


@pytest.mark.parametrize(
    ("ending", "how", "status", "known", "message"),
    [
        (Ending.DEPLOYED, same, "deployed", ((("lib", "2"),), AFTER), ""),
        (Ending.DEPLOYED, unread, "deployed", NOTHING, ""),
        (Ending.CURRENT, same, "current", (OLD, BEFORE), ""),
        (Ending.SKIPPED, same, "skipped", (OLD, BEFORE), ""),
        (Ending.ROLLED_BACK, same, "rolled-back", (OLD, BEFORE), ""),
        (Ending.ROLLED_BACK, interrupted_before, "rolled-back", NOTHING, ""),
        (Ending.FAILED, failed_early, "failed", (OLD, BEFORE), "disk full"),
        (Ending.FAILED, same, "failed", NOTHING, ""),
        (Ending.FAILED, left_open, "failed", NOTHING, "gone; the journal is open"),
        (Ending.FAILED, given_up, "not known", NOTHING, "given up at the step switch"),
        (Ending.LOCKED, same, "locked", NOTHING, ""),
        (Ending.UNREACHABLE, same, "unreachable", NOTHING, ""),
        (Ending.MISSING, same, "missing", NOTHING, ""),
    ],
)
def test_nothing_is_told_that_is_not_known(
    ending: Ending,
    how: Callable[[Deployment], Deployment],
    status: str,
    known: tuple[object, object],
    message: str,
) -> None:
    """Packages and digest are those after a success, those before where all is as it was, and else unknown."""
    told, one = report(), proposal(1)
    told.note(RolloutBegan([one], [one]))
    told.note(DeploymentBegan(f"{ID}.1", target(1)))
    told.note(DeploymentEnded(how(ended(one, 1, ending))))
    found = of(read(told.document()), 1)
    assert (found.status, (found.packages, found.digest), found.message) == (status, known, message)
    assert (found.deployment, found.seconds) == (f"{ID}.1", 1.5)


@pytest.mark.parametrize(
    ("failed", "gave_up", "state"),
    [(False, False, "ended"), (True, False, "failed"), (True, True, "given up")],
)
def test_the_end_is_told(failed: bool, gave_up: bool, state: str) -> None:
    """With the hosts that may still be out of service, and with results that were not told before."""
    told, one, other = report(), proposal(1), proposal(2)
    told.note(RolloutBegan([one, other], [one, other]))
    told.note(DeploymentEnded(ended(one, 1)))
    results = [ended(one, 1), settled(other)]
    told.note(RolloutEnded(results, 2.5, failed, gave_up, {"web1": None}))
    document = read(told.document())
    assert (document.state, document.out_of_service) == (state, ("web1",))
    assert document.ended is not None
    assert [one.status for one in document.virtualenvs] == ["deployed", "skipped"]
    told.give_up()
    assert read(told.document()).state == state


def test_how_what_was_under_way_ends_is_not_known_if_the_program_ends() -> None:
    """Without an end of the rollout; what was not begun is as planned, and what had ended stays."""
    told, ones = report(), [proposal(number) for number in (1, 2, 3)]
    told.note(RolloutBegan(ones, ones))
    told.note(DeploymentBegan(f"{ID}.1", target(1)))
    told.note(DeploymentEnded(ended(ones[0], 1)))
    told.note(DeploymentBegan(f"{ID}.2", target(2)))
    told.give_up()
    document = read(told.document())
    assert document.state == "given up"
    assert [one.status for one in document.virtualenvs] == ["deployed", "not known", "planned"]


def drifted(since: str) -> Drift:
    """What was changed since, in which a host's owner has had the last word."""
    return Drift(1, 100, (PackageDrift("lib", "1", "2", 3, since),), (), 4)


@pytest.mark.parametrize(
    ("seen", "since"),
    [
        ("2026-11-19T10:00:00+00:00", "2026-11-19T10:00:00+00:00"),
        ("yesterday", None),
        ("2026-11-19T10:00:00", None),
        ("0001-01-01T00:00:00+00:00", None),
        ("9999-12-31T23:59:59+00:00", None),
    ],
)
def test_drift_is_told_where_it_is_known(seen: str, since: str | None) -> None:
    """Before a deployment that of the plan, after it what was carried over; a host's nonsense is left out."""
    told, one = report(), replace(proposal(1), drift=drifted(seen))
    other = proposal(2)
    told.note(RolloutBegan([one, other], [one, other]))
    document = read(told.document())
    assert of(document, 1).drift == DriftFound(1, 4, since)
    assert of(document, 2).drift is None
    result = ended(one, 1)
    assert result.after is not None
    told.note(DeploymentEnded(replace(result, after=replace(result.after, drift=Drift(2, 100)))))
    assert of(read(told.document()), 1).drift == DriftFound(0, 0, None)


def test_of_a_plan_that_was_made_anew_the_older_drift_is_not_told() -> None:
    """Nor the older probe: the virtualenv had changed meanwhile."""
    told, one = report(), replace(proposal(1), drift=drifted("2026-11-19T10:00:00+00:00"))
    told.note(RolloutBegan([one], [one]))
    anew = proposal(1, Status.CURRENT)
    told.note(DeploymentEnded(replace(ended(anew, 1, Ending.CURRENT), before=replace(anew.probe))))  # type: ignore[type-var]
    found = of(read(told.document()), 1)
    assert (found.status, found.changes, found.drift, found.packages) == ("current", (), None, OLD)


def test_what_is_on_localhost_is_told_as_on_this_machine() -> None:
    """Every machine is a localhost."""
    told, one = report(), proposal(1)
    local = Host("localhost", virtualenvs=[one.member.virtualenv])
    here = replace(one.plan, target=replace(target(1), host="localhost"))
    one = replace(one, plan=here, member=replace(one.member, host=local, target=here.target))
    told.note(RolloutBegan([one], [one]))
    assert [found.host for found in told.document().virtualenvs] == ["laptop"]


def test_a_machine_that_the_fabfile_has_by_two_names_is_told_as_two() -> None:
    """A collector refuses documents in which a virtualenv is there twice."""
    told, by_name = report(), proposal(1)
    target_by_name = replace(target(1), host="laptop")
    by_name = replace(by_name, plan=replace(by_name.plan, target=target_by_name))
    local = replace(target(1), host="localhost")
    here = Host("localhost", virtualenvs=[by_name.member.virtualenv])
    by_local = replace(
        by_name, plan=replace(by_name.plan, target=local), member=replace(by_name.member, host=here, target=local)
    )
    told.note(RolloutBegan([by_name, by_local], [by_name]))
    assert [found.host for found in told.document().virtualenvs] == ["laptop", "localhost"]


def test_whatever_a_host_tells_the_document_is_sound() -> None:
    """One host must not keep a collector from taking what is told of the others."""
    told, one, other = report(), proposal(1), proposal(2)
    assert one.probe is not None
    assert other.probe is not None
    hostile = Distribution.build("\U0001f600\x1b[2J\u202e" * 60, "1\n2\udc80" * 90)
    some = {canonicalize_name(f"p{number}"): hostile for number in range(5001)}
    lies = replace(one.probe, distributions={hostile.name: hostile}, deployed=Deployed(1, None, None, "0" * 63))
    told.note(RolloutBegan([replace(one, probe=lies, drift=Drift(1, 1, others=10**90)), other], [one]))
    told.note(DeploymentEnded(replace(ended(other, 2), after=replace(other.probe, distributions=some))))
    document = read(told.document())
    found = of(document, 1)
    assert found.packages is not None
    ((name, version),) = found.packages
    assert name.isprintable()
    assert version.isprintable()
    assert len(name.encode()) <= 600
    assert (found.digest, found.drift) == (None, DriftFound(0, 2**53 - 1, None))
    assert of(document, 2).packages is None


def test_secrets_are_masked() -> None:
    """In messages those of the fabfile and of the virtualenv's projects, in the command line those of the fabfile."""
    masking = Masking(["t0ken-of-all"])
    told = RolloutReport(replace(ASKED, command="fab deploy t0ken-of-all"), None, masking)
    one = proposal(1, env={"DB": "s3cret-of-shop"})
    told.note(RolloutBegan([one], [one]))
    error = DeploymentError("no s3cret-of-shop\nat t0ken-of-all\x1b[2J")
    told.note(DeploymentEnded(replace(ended(one, 1, Ending.FAILED), error=error)))
    document = read(told.document())
    assert document.command == "fab deploy ***"
    assert document.virtualenvs[0].message == "no *** at *** [2J"


def test_texts_are_cut_to_what_a_document_may_have() -> None:
    """Else a collector would refuse all of it for one long message."""
    told = RolloutReport(replace(ASKED, who="w" * 2000, command="c" * 9000), "/" * 9000, Masking())
    one = proposal(1)
    told.note(RolloutBegan([one], [one]))
    error = EnvfabError("m" * 9000)
    migrated = tuple("n" * 2000 for _ in range(5001))
    told.note(DeploymentEnded(replace(ended(one, 1, Ending.FAILED), error=error, migrated=migrated)))
    document = read(told.document())
    assert (len(document.who), len(document.command), len(document.log or "")) == (1000, 4000, 4000)
    assert len(document.virtualenvs[0].message) == 4000
    assert len(document.virtualenvs[0].migrated) == 5000


def test_a_large_fleet_takes_little_time_and_space() -> None:
    """10,000 alike virtualenvs of 100 packages, told with all their beginnings and ends: CPU seconds, and bytes."""
    told, proposals = report(), many(10_000)
    results = [replace(ended(one, n), after=one.probe) for n, one in enumerate(proposals)]
    began = time.process_time()
    told.note(RolloutBegan(proposals, proposals))
    for n, result in enumerate(results):
        told.note(DeploymentBegan(f"{ID}.{n}", result.target))
        told.note(DeploymentEnded(result))
    told.note(RolloutEnded(results, 2.5, False, False))
    noted = time.process_time()
    body = body_of(told.document())
    made = time.process_time()
    print(f"noted in {noted - began:.2f} s, made in {made - noted:.2f} s, {len(body):,} bytes")
    assert noted - began < 5
    assert made - noted < 2
    assert len(body) < 5_000_000
    read_back = rollout_from_json(json.loads(body))
    assert len(read_back.virtualenvs) == 10_000
    assert len(read_back.virtualenvs[7].packages or ()) == 100


def test_of_more_virtualenvs_than_a_document_may_have_those_that_are_deployed_to_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How many are left out is known."""
    monkeypatch.setattr(report_module, "MAX_VIRTUALENVS", 5)
    told, proposals = report(), many(7)
    told.note(RolloutBegan(proposals, proposals[-1:]))
    document = told.document()
    assert [one.host for one in document.virtualenvs] == ["web6", "web0", "web1", "web2", "web3"]
    assert told.left_out == 2


@pytest.mark.parametrize(
    ("room", "left"),
    [
        (10_000_000, {"packages", "message", "changes"}),
        (3_000_000, {"message", "changes"}),
        (300_000, {"changes"}),
        (100_000, set()),
        (1_000, None),
    ],
)
def test_a_document_that_is_too_large_goes_without_what_is_large(
    monkeypatch: pytest.MonkeyPatch, room: int, left: set[str] | None
) -> None:
    """Rather than not at all: first without packages, then without messages, changes, and virtualenvs."""
    changes = [tuple(PackageChange("install", f"c{n}-{m}", None, "1") for m in range(10)) for n in range(200)]
    document = RolloutDocument(
        ID, 1, "ended", "deploy", "anna", "laptop", "fab deploy", "1", ASKED.began,
        virtualenvs=tuple(
            RolloutVirtualenv(
                "shop", f"web{n}", "/v", "failed", changes=changes[n],
                packages=tuple((f"p{n}-{m}", "1.0") for m in range(1500)), message="m" * 4000,
            )
            for n in range(200)
        ),
    )  # fmt: skip
    monkeypatch.setattr(report_module, "MAX_BODY", room)
    body = body_of(document)
    assert len(body) < room
    read_back = rollout_from_json(json.loads(body))
    assert len(read_back.virtualenvs) == (0 if left is None else 200)
    for one in read_back.virtualenvs[:1]:
        assert {name for name in ("packages", "message", "changes") if getattr(one, name)} == left

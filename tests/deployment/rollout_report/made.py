"""Rollouts as observers hear of them, without hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from packaging.utils import canonicalize_name

from envfab.config.host import Host
from envfab.config.project import Project
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.proposal import Proposal
from envfab.deployment.proposal_work import NOTHING_REQUIRED
from envfab.deployment.result import Deployment, Ending
from envfab.deployment.rollout_log.masking import Masking
from envfab.deployment.rollout_log.writer import Asked
from envfab.deployment.rollout_report.report import RolloutReport
from envfab.errors import EnvfabError
from envfab.models.drift import Deployed
from envfab.models.probe import Probe
from envfab.models.rollout_document import RolloutDocument, RolloutVirtualenv
from envfab.planning.plan import Action, ActionKind, Plan, Status
from envfab.util.progress import Silent
from tests.planning.catalogue import probe

ID = "20261120-214900-9f3a"
ASKED = Asked(
    rollout=ID,
    task="deploy",
    who="anna",
    origin="laptop",
    began="2026-11-20T21:49:00+00:00",
    command="fab deploy --yes",
    fabfile="/f.py",
    slice="3/8",
    settings={},
    version="1",
    approved_by=("bert",),
)
BEFORE, AFTER = "a" * 64, "b" * 64
REMOVED = (Action(ActionKind.REMOVE, canonicalize_name("old"), "Old", "1.0", None, "not required"),)


class Warnings(Silent):
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def warning(self, message: str) -> None:
        """Keep it."""
        self.found.append(message)


def target(number: int) -> Target:
    """The full name of a virtualenv."""
    return Target("shop", f"web{number}", "/srv/venv")


def probed(of: Target, *there: str, digest: str | None = BEFORE) -> Probe:
    """A virtualenv that has these, such as `old==1.0`, and was deployed to."""
    found = probe(*there, target=of)
    return replace(found, deployed=Deployed(1, "x.1", None, digest)) if digest is not None else found


def proposal(
    number: int, status: Status = Status.CHANGES, env: Mapping[str, str] | None = None, error: EnvfabError | None = None
) -> Proposal:
    """A virtualenv that loses a package, or to which nothing is done."""
    of = target(number)
    virtualenv = Virtualenv("/srv/venv", projects=[Project("shop.settings", env=env or {})])
    actions = REMOVED if status is Status.CHANGES else ()
    plan = Plan(of, status, "3.11.7", actions, fingerprint="f", error=str(error) if error else None)
    member = Member(of, Host(of.host, virtualenvs=[virtualenv]), virtualenv, "shop")
    gone = status in (Status.UNREACHABLE, Status.MISSING)
    return Proposal(
        member, NOTHING_REQUIRED, plan, probe=None if gone else probed(of, "Old==1.0", "lib==2"), error=error
    )


def ended(one: Proposal, number: int, ending: Ending = Ending.DEPLOYED) -> Deployment:
    """How a deployment ended, as the executor tells it."""
    after = probed(one.plan.target, "lib==2", digest=AFTER) if ending is Ending.DEPLOYED else None
    return Deployment(
        f"{ID}.{number}", one.plan.target, one.plan, ending, done=("lock", "upload", "begin"), seconds=1.5,
        after=after, before=one.probe,
    )  # fmt: skip


def report(masking: Masking | None = None) -> RolloutReport:
    """A report of a rollout that is about to begin."""
    return RolloutReport(ASKED, "/logs/x", masking or Masking())


def of(document: RolloutDocument, number: int) -> RolloutVirtualenv:
    """What a document says of one virtualenv."""
    return next(one for one in document.virtualenvs if one.host == f"web{number}")


def many(number: int) -> list[Proposal]:
    """A fleet of virtualenvs that are alike."""
    first = proposal(0)
    assert first.probe is not None
    one = next(iter(first.probe.distributions.values()))
    packages = {canonicalize_name(f"p{n}"): replace(one, shown_as=f"p{n}") for n in range(100)}
    probe = replace(first.probe, distributions=packages)
    return [
        replace(
            first,
            plan=replace(first.plan, target=target(n)),
            member=replace(first.member, target=target(n)),
            probe=replace(probe, target=target(n), distributions=dict(packages)),
        )
        for n in range(number)
    ]

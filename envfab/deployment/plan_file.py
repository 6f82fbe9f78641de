"""Plans on disk: reviewed by somebody, carried out later exactly as they are, or not at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.deployment.privileges import with_privileges
from envfab.deployment.proposal import Proposal
from envfab.deployment.propose import Files, Proposals
from envfab.deployment.rollback import NOTHING_REQUIRED
from envfab.errors import DeploymentError, EnvfabError, FormatError, UsageError
from envfab.planning.plan import Plan, Status, from_json, status_without
from envfab.remote.probe import Links, ProbeResult, survey
from envfab.util.atomic import write_file
from envfab.util.paths import read_file
from envfab.util.progress import Reporter
from envfab.util.untrusted import parse_json
from envfab.wheelhouse.wheelhouse import Wheelhouse

FORMAT = 1
# bytes; a plan of 150 virtualenvs with 200 changes each has 10 million
LIMIT = 256 << 20


def save(path: Path, document: Mapping[str, Any]) -> None:
    """Write a plan's document, whole or not at all; raises `UsageError` where that cannot be."""
    try:
        write_file(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise UsageError(f"cannot write the plan: {error.strerror}", where=str(path)) from None


def load(path: Path) -> dict[Target, Plan]:
    """The plans of a file that `save` wrote; raises `UsageError` and `FormatError`."""
    hint = "make one with fab plan --out FILE"
    try:
        document = parse_json(read_file(path, LIMIT))
    except OSError as error:
        raise UsageError(f"cannot read the plan: {error.strerror}", where=str(path)) from None
    except ValueError:
        raise FormatError("this is no plan", where=str(path), hint=hint) from None
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise FormatError("this is no plan", where=str(path), hint=hint)
    if document["format"] > FORMAT:
        raise FormatError(
            f"this plan has format {document['format']}, and this envfab knows {FORMAT}",
            where=str(path),
            hint="use the envfab that made it",
        )
    virtualenvs = document.get("virtualenvs")
    if not isinstance(virtualenvs, list):
        raise FormatError("this is no plan: its 'virtualenvs' must be a list", where=str(path), hint=hint)
    try:
        plans = [from_json(one) for one in virtualenvs]
    except FormatError as error:
        raise FormatError(error.what, where=str(path), hint=hint) from None
    twice = [str(target) for target, number in Counter(plan.target for plan in plans).items() if number > 1]
    if twice:
        raise FormatError(f"this is no plan: it has {twice[0]} twice", where=str(path), hint=hint)
    return {plan.target: plan for plan in plans}


@contextmanager
def propose_saved(
    plans: Mapping[Target, Plan],
    members: Sequence[Member],
    links: Links,
    wheelhouse: Wheelhouse,
    settings: Settings,
    reporter: Reporter,
) -> Iterator[Proposals]:
    """The saved plans of `members`, blocked where the virtualenv or a wheel is no longer what it was."""
    files = Files(wheelhouse)
    with survey(
        _planned(plans, members, reporter),
        links,
        reporter,
        parallel=settings.parallel,
        timeout=settings.command_timeout,
        look=lambda found: _proposal(found, plans[found.member.target], files),
    ) as arrivals:
        yield Proposals(arrivals, lambda _all: None)


def _planned(plans: Mapping[Target, Plan], members: Sequence[Member], reporter: Reporter) -> list[Member]:
    """The members that the plans are for; raises `UsageError` where there is none."""
    chosen = [member for member in members if member.target in plans]
    if not chosen:
        raise UsageError("the saved plan says nothing of what was chosen", hint="fab plan --out FILE makes a new one")
    left_out = sorted(str(target) for target in plans.keys() - {member.target for member in members})
    if left_out:
        reporter.warning(f"in the saved plan, but not chosen or not in the fabfile: {', '.join(left_out)}")
    return chosen


def _proposal(found: ProbeResult, plan: Plan, files: Files) -> Proposal:
    if found.error is not None or found.probe is None:
        lost = Plan(plan.target, status_without(found.error), error=str(found.error))
        return Proposal(found.member, NOTHING_REQUIRED, lost, error=found.error)
    proposal = Proposal(found.member, NOTHING_REQUIRED, plan, found.site, found.probe)
    if plan.status is not Status.CHANGES:
        return proposal
    try:
        if found.probe.fingerprint != plan.fingerprint:
            raise DeploymentError("it changed since the plan was saved; nothing was done", where=str(plan.target))
        files.verify(proposal)
        return with_privileges(proposal)
    except EnvfabError as error:
        return replace(proposal, error=error, plan=replace(plan, status=Status.BLOCKED, error=str(error)))

"""Saved plans: written by `fab plan --out`, carried out later by `fab deploy --plan` unchanged, or not at all."""

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
from envfab.deployment.proposal_work import NOTHING_REQUIRED, ProposalWork
from envfab.deployment.propose import Files, Proposals
from envfab.errors import DeploymentError, EnvfabError, FormatError, UsageError
from envfab.planning.plan import Plan, Status, from_json, status_without
from envfab.remote.probe import Links, ProbeResult
from envfab.remote.processes import survey_in_processes
from envfab.util.atomic import write_file
from envfab.util.paths import read_file
from envfab.util.progress import Reporter
from envfab.util.untrusted import parse_json
from envfab.wheelhouse.wheelhouse import Wheelhouse

FORMAT = 1
# bytes; a plan of 150 virtualenvs with 200 changes each takes 10 million
LIMIT = 256 << 20


def save(path: Path, document: Mapping[str, Any]) -> None:
    """Write a plan's JSON document atomically; raises `UsageError` if it cannot be written."""
    try:
        write_file(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise UsageError(f"cannot write the plan: {error.strerror}", where=str(path)) from None


def load(path: Path) -> dict[Target, Plan]:
    """Read the plans of a file that `save` wrote.

    Raises `UsageError` if the file cannot be read, `FormatError` if it is not a saved plan or has a newer format.
    """
    hint = "make one with fab plan --out FILE"
    try:
        document = parse_json(read_file(path, LIMIT))
    except OSError as error:
        raise UsageError(f"cannot read the plan: {error.strerror}", where=str(path)) from None
    except ValueError:
        raise FormatError("not a saved plan", where=str(path), hint=hint) from None
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise FormatError("not a saved plan", where=str(path), hint=hint)
    if document["format"] > FORMAT:
        raise FormatError(
            f"the plan has format {document['format']}; this envfab reads formats up to {FORMAT}",
            where=str(path),
            hint="use the version of envfab that made it",
        )
    virtualenvs = document.get("virtualenvs")
    if not isinstance(virtualenvs, list):
        raise FormatError("not a saved plan: 'virtualenvs' must be a list", where=str(path), hint=hint)
    try:
        plans = [from_json(one) for one in virtualenvs]
    except FormatError as error:
        raise FormatError(error.what, where=str(path), hint=hint) from None
    twice = [str(target) for target, number in Counter(plan.target for plan in plans).items() if number > 1]
    if twice:
        raise FormatError(f"not a valid plan: {twice[0]} is in it twice", where=str(path), hint=hint)
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
    """Probe `members` and yield their saved plans; a plan is blocked if its virtualenv or one of its wheels changed.

    Raises `UsageError` if the saved plans are for none of `members`.
    """
    files = Files(wheelhouse)
    work = ProposalWork(lambda found: _proposal(found, plans[found.member.target], files))
    with survey_in_processes(_planned(plans, members, reporter), links, settings, reporter, work) as arrivals:
        yield Proposals(arrivals, lambda _all: None)


def _planned(plans: Mapping[Target, Plan], members: Sequence[Member], reporter: Reporter) -> list[Member]:
    """The members that have a plan, with a warning about plans left over; raises `UsageError` if there are none."""
    chosen = [member for member in members if member.target in plans]
    if not chosen:
        raise UsageError(
            "the saved plan has none of the selected virtualenvs", hint="fab plan --out FILE makes a new plan"
        )
    left_out = sorted(str(target) for target in plans.keys() - {member.target for member in members})
    if left_out:
        reporter.warning(f"in the saved plan, but not selected or not in the fabfile: {', '.join(left_out)}")
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
            raise DeploymentError(
                "the virtualenv changed after the plan was saved; nothing was done",
                where=str(plan.target),
                hint="make a new plan: fab plan --out FILE",
            )
        files.verify(proposal)
        return with_privileges(proposal)
    except EnvfabError as error:
        return replace(proposal, error=error, plan=replace(plan, status=Status.BLOCKED, error=str(error)))

"""After a failure: the virtualenv as it was before the deployment began."""

from __future__ import annotations

from packaging.utils import NormalizedName, canonicalize_name

from envfab.deployment.context import DeploymentContext
from envfab.deployment.journal import Record
from envfab.deployment.steps import Recovery, close, reload
from envfab.errors import DeploymentError, EnvfabError
from envfab.models.probe import Probe
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_probe


def go_back(work: DeploymentContext, failure: EnvfabError, back: Recovery) -> None:
    """Let the generation before be current, reload where the failing step asks for it, and close the journal.

    It closes as `rolled-back`. Raises what stands in the way; the journal then stays open for the next deployment.
    """
    record = work.record
    if record is None:
        return
    work.going_back = True
    work.says("going back")
    work.agent.load(agent_sources.GENERATIONS)
    if record.generation is not None and record.previous is not None:
        # first: a full disk may be full of it, and even the journal could not be written
        work.agent.ask("revert", number=record.generation, previous=record.previous, remove=work.composes)
    work.come_to("going back")
    work.after = to_probe(work.proposal.member.target, work.agent.ask("probe"))
    _compare_with_before(work, record, work.after)
    if back is Recovery.PACKAGES_AND_RELOAD:
        reload(work)
    close(work, "rolled-back", error=failure.what)


def _compare_with_before(work: DeploymentContext, record: Record, found: Probe) -> None:
    """Raise `DeploymentError` where what is installed is not what the record's snapshot has: the last proof."""
    then = before(record)
    here = {name: one.version_text for name, one in found.distributions.items()}
    wrong = [
        f"{shown_as} {here.get(name, 'is not installed')}"
        for name, (shown_as, version) in then.items()
        if here.get(name) != version
    ]
    wrong += [f"{found.distributions[name].shown_as} {here[name]}" for name in here.keys() - then.keys()]
    if wrong:
        raise DeploymentError(f"not as before the deployment: {', '.join(sorted(wrong))}", where=work.where)


def before(record: Record) -> dict[NormalizedName, tuple[str, str]]:
    """What a record's snapshot had: (name as published, version) by canonical name."""
    return {canonicalize_name(one.name): (one.name, one.version) for one in record.snapshot}

"""Recovery after a failed step: the virtualenv is brought back to its state before the deployment."""

from __future__ import annotations

from packaging.utils import NormalizedName, canonicalize_name

from envfab.deployment.closing import close
from envfab.deployment.context import DeploymentContext
from envfab.deployment.journal import Record
from envfab.deployment.steps import Recovery, reload
from envfab.errors import DeploymentError, EnvfabError
from envfab.models.probe import Probe
from envfab.remote import agent_sources
from envfab.remote.agent_session import OperationFailed
from envfab.remote.probe_replies import to_probe


def go_back(work: DeploymentContext, failure: EnvfabError, back: Recovery) -> None:
    """Switch back to the previous generation, reload if `back` asks for it, and close the journal as `rolled-back`.

    Raises `EnvfabError` if that fails; the journal then stays open for the next deployment.
    """
    record = work.record
    if record is None:
        return
    work.going_back = True
    work.says("recovering")
    work.agent.load(agent_sources.GENERATIONS)
    if record.generation is not None and record.previous is not None:
        # first of all: the new generation may have filled the disk, so that not even the journal could be written
        work.agent.ask("revert", number=record.generation, previous=record.previous, remove=work.composes)
    work.come_to("going back")
    work.after = to_probe(work.proposal.member.target, work.agent.ask("probe"))
    if not (isinstance(failure, OperationFailed) and failure.kind == "changed"):
        _compare_with_before(work, record, work.after)
    if back is Recovery.PACKAGES_AND_RELOAD:
        reload(work)
    close(work, "rolled-back", error=failure.what)


def _compare_with_before(work: DeploymentContext, record: Record, found: Probe) -> None:
    """Raise `DeploymentError` if what is installed differs from the record's snapshot."""
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
    """Return a record's snapshot as (name as published, version) by canonical name."""
    return {canonicalize_name(one.name): (one.name, one.version) for one in record.snapshot}

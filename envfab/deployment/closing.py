"""The end of a deployment: its record goes from the journal to the history, and what nothing needs is removed."""

from __future__ import annotations

from dataclasses import replace

from envfab.deployment.context import DeploymentContext
from envfab.deployment.journal import DEPLOYED, FAILED, MAX_ERROR, Record, retained, to_json
from envfab.deployment.result import Ending, spoken_ending
from envfab.errors import EnvfabError, WheelhouseError
from envfab.models.drift import Deployed, Drift
from envfab.models.materials import Materials
from envfab.models.probe import Probe
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_generation_digest, to_left, to_lingering
from envfab.remote.drift import confirmed_drift
from envfab.remote.materials import NOT_KNOWN, materials
from envfab.remote.probe_replies import to_probe
from envfab.util.times import now


def finish(work: DeploymentContext) -> None:
    """Record the deployment in the release log and in the virtualenv's history, and close the journal."""
    wheels = [action.wheel for action in work.proposal.plan.actions if action.wheel]
    try:
        work.around.wheelhouse.log_install(work.proposal.member.target, wheels, work.id)
    except WheelhouseError as unlogged:
        # only a warning: the release log's lines are for people, the virtualenv's own history is authoritative
        work.around.reporter.warning(
            f"{work.where} is {spoken_ending(Ending.DEPLOYED, work.proposal.undoes)}, but {unlogged}"
        )
    work.around.old_code.replaced(work.proposal.member.target)
    close(work, DEPLOYED)
    if work.after is not None:
        work.after = replace(work.after, drift=_drift_left(work, work.after), materials=_materials(work))


def _drift_left(work: DeploymentContext, after: Probe) -> Drift | None:
    """What differs from what was deployed; only what was carried over can, or what is in an older generation."""
    if after.deployed is None:
        return None
    if not work.proposal.drift and work.proposal.plan.generation is None:
        return Drift(after.deployed.generation, 0)
    try:
        return confirmed_drift(work.site, after)
    except EnvfabError:
        # the deployment has ended well, whatever this is
        return None


def _materials(work: DeploymentContext) -> Materials | None:
    """The materials of the virtualenv's bill, where it is registered with one."""
    if not work.around.needs_materials:
        return None
    try:
        return materials(work.site)
    except EnvfabError as error:
        # the deployment has ended well, whatever this is
        work.around.reporter.warning(f"{NOT_KNOWN}: {error}")
        return None


def leave_open(work: DeploymentContext, error: str) -> None:
    """Write the failure and its reason into the journal, which stays open for the next deployment to repair."""
    if work.record is not None:
        work.record = replace(work.record, ended=now(), status=FAILED, error=error[:MAX_ERROR])
        work.come_to(work.record.step)


def close(work: DeploymentContext, status: str, error: str | None = None) -> None:
    """Close the journal with `status`, and remove generations, data files and stored wheels that are not needed."""
    if work.record is None:
        return
    settings = work.around.settings
    ended = replace(work.with_migrations(work.record), ended=now(), status=status, error=error)
    if work.after is None:
        work.after = to_probe(work.proposal.member.target, work.agent.ask("probe"))
    work.agent.load(agent_sources.GENERATIONS)
    reply = work.agent.ask(
        "tidy",
        previous=ended.previous,
        retain=sorted(retained([*work.past, ended], settings.keep)),
        days=settings.store_days,
        deployment=work.id if ended.generation is not None and status == DEPLOYED else None,
        when=ended.ended,
    )
    if status == DEPLOYED:
        ended = replace(ended, digest=to_generation_digest(reply, work.where))
        work.after = _as_deployed(work.after, ended, work.composes)
    for folder in to_left(reply, work.where):
        work.around.reporter.warning(
            f"{work.where}: cannot remove {folder}, since it has files of other users or mounts:"
            " unmount those first, then remove it as root"
        )
    if ended.generation is not None and status == DEPLOYED:
        ended = replace(ended, lingering=to_lingering(reply, work.where))
        work.lingering = ended.lingering
    work.agent.ask("close", record=to_json(ended))
    work.record = None


def _as_deployed(after: Probe, ended: Record, composed: bool) -> Probe:
    """The probe with the generation that is current now, and the digest of what it was deployed with."""
    if ended.generation is None:
        return after
    deployed = None
    if ended.digest is not None:
        # an older generation keeps what it says of its own deployment, which was not asked for
        name, when = (ended.deployment, ended.ended) if composed else (None, None)
        deployed = Deployed(ended.generation, name, when, ended.digest)
    return replace(after, generation=ended.generation, plain=False, deployed=deployed)

"""After a failure: the packages of a virtualenv as they were before the deployment began."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.utils import NormalizedName, canonicalize_name

from envfab.deployment import installation
from envfab.deployment.context import DeploymentContext
from envfab.deployment.installer import PIP, Installer
from envfab.deployment.journal import Record
from envfab.deployment.proposal import finder
from envfab.deployment.steps import Recovery, close, reload
from envfab.errors import DeploymentError, EnvfabError
from envfab.models.probe import Probe
from envfab.models.wheel import Wheel
from envfab.planning.repairs import repairs
from envfab.planning.restore import restoring
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_damage, to_probe


def go_back(work: DeploymentContext, failure: EnvfabError, back: Recovery) -> None:
    """Bring the packages back, reload where the failing step asks for it, and close the journal as `rolled-back`.

    Raises what stands in the way; the journal then stays open for the next deployment.
    """
    if work.record is None:
        return
    work.going_back = True
    work.says("going back")
    # first: a full disk may be full of it, and even the journal could not be written
    _sweep(work, work.record)
    work.come_to("going back")
    now = to_probe(work.proposal.member.target, work.agent.ask("probe"))
    find = finder(work.site, now, work.around.wheelhouse)
    unsound = _unsound(work, work.record, now)
    actions, lost = restoring(now.distributions, before(work.record), find, unsound)
    if lost:
        raise DeploymentError(f"these could not be brought back, no wheel of them: {', '.join(lost)}", where=work.where)
    wheels = [action.wheel for action in actions if action.wheel]
    installer = _installer(work, wheels)
    installation.send(work, installer.and_its_own(wheels))
    damaged = [action for action in actions if action.name in unsound]
    work.after = installation.apply(work, now, actions, installer, anew=damaged)
    installation.compare(work, actions, work.after)
    _sweep(work, work.record)
    work.after = to_probe(work.proposal.member.target, work.agent.ask("probe"))
    if still := _unsound(work, work.record, work.after):
        names = sorted(work.after.distributions[name].shown_as for name in still)
        raise DeploymentError(f"these are still not whole: {', '.join(names)}", where=work.where)
    _compare_with_before(work, work.record, work.after)
    if back is Recovery.PACKAGES_AND_RELOAD:
        reload(work)
    close(work, "rolled-back", wheels, error=failure.what)


def _sweep(work: DeploymentContext, record: Record) -> None:
    """Remove the files that an installation which was cut off had unpacked, and that belong to nothing now."""
    brought = [change.sha256 for change in record.changes if change.sha256 is not None]
    if brought:
        work.agent.load(agent_sources.SWEEP)
        work.agent.ask("sweep", wheels=brought, names=sorted(record.touched))


def _compare_with_before(work: DeploymentContext, record: Record, found: Probe) -> None:
    """Raise `DeploymentError` where what is installed is not what the record's snapshot has: the last proof."""
    then = before(record)
    here = {name: one.version_text for name, one in found.distributions.items()}
    known = work.proposal.probe.leftovers if work.proposal.probe else ()
    wrong = [
        f"{shown_as} {here.get(name, 'is not installed')}"
        for name, (shown_as, version) in then.items()
        if here.get(name) != version
    ]
    wrong += [f"{found.distributions[name].shown_as} {here[name]}" for name in here.keys() - then.keys()]
    wrong += [name for name in found.leftovers if name not in known]
    if wrong:
        raise DeploymentError(f"not as before the deployment: {', '.join(sorted(wrong))}", where=work.where)


def _unsound(work: DeploymentContext, record: Record, found: Probe) -> frozenset[NormalizedName]:
    """What the deployment was to touch and that is not whole: damaged, there twice, or with rests of it about.

    An installer that died half-way leaves the version that was there before, and not all of its files.
    """
    touched = record.touched & found.distributions.keys()
    names = sorted(touched)
    damaged = set(to_damage(work.agent.ask("verify", names=names), work.where, names)) if names else set()
    return frozenset(one.name for one in repairs(found, damaged, {}, frozenset()).repairs)


def _installer(work: DeploymentContext, wheels: Sequence[Wheel]) -> Installer:
    """The plan's own, but never a pip that is itself to go back."""
    pip = next((wheel for wheel in wheels if wheel.name == PIP), None)
    return work.proposal.installer if pip is None or work.proposal.installer.is_uv else Installer(pip)


def before(record: Record) -> dict[NormalizedName, tuple[str, str]]:
    """What a record's snapshot had: (name as published, version) by canonical name."""
    return {canonicalize_name(one.name): (one.name, one.version) for one in record.snapshot}

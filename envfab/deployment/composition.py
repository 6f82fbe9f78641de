"""Composition of the next generation of a virtualenv, and its verification before it becomes current."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.utils import canonicalize_name

from envfab.deployment.context import DeploymentContext
from envfab.deployment.journal import Record, from_json
from envfab.errors import DeploymentError
from envfab.models.probe import Probe
from envfab.planning.consistency import unmet
from envfab.planning.plan import Action, ActionKind
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_conflicts, to_damage
from envfab.remote.probe_replies import to_generation


def take_back_interrupted(work: DeploymentContext) -> None:
    """Restore the current generation's data files if a deployment was interrupted before its switch."""
    probe = work.probe
    left = from_json(probe.journal, work.where) if probe.journal is not None else None
    if left is None or left.generation in (None, probe.generation) or probe.generation is None:
        return
    work.agent.load(agent_sources.GENERATIONS)
    work.agent.ask("revert", number=left.generation, previous=probe.generation, remove=False)


def compose(work: DeploymentContext, record: Record) -> None:
    """Compose the generation of `record` according to the plan, and warn of files that two packages share.

    The generation is made beside the current one, which stays current. Raises `OperationFailed` if the host refuses.
    """
    actions, settings = work.proposal.plan.actions, work.around.settings
    work.says(spoken(actions))
    required = {entry.name for entry in work.proposal.requirements.entries}
    wheels = [
        {
            "name": str(action.name),
            "version": str(action.version),
            "filename": action.wheel.filename,
            "sha256": work.around.wheelhouse.sha256(action.wheel),
            "requested": action.name in required,
        }
        for action in actions
        if action.wheel
    ]
    work.agent.load(agent_sources.GENERATIONS)
    reply = work.agent.ask(
        "compose",
        number=record.generation,
        base=record.previous,
        wheels=wheels,
        remove=[str(action.name) for action in actions if action.kind is ActionKind.REMOVE],
        compile=settings.compile,
        umask=settings.umask,
        link=True,
        pinned=work.proposal.member.virtualenv.pinned,
        drop=list(work.proposal.repair.drop) if work.proposal.repair is not None else [],
        deployment=record.deployment,
        when=record.began,
    )
    # the plan has already warned of these
    told = {_pair(overlap.loser, overlap.winner) for overlap in work.proposal.plan.overlaps}
    for path, before, now in to_conflicts(reply, work.where):
        if _pair(before, now) in told:
            continue
        work.around.reporter.warning(
            f"{work.where}: {path} differs between {before} and {now}: the file of {now} is installed"
        )
    for path, stays, goes in to_conflicts(reply, work.where, "lost"):
        work.around.reporter.warning(
            f"{work.where}: {path} belongs to {stays}, but still has the content of {goes}:"
            f" restore it with fab deploy --reinstall {stays}"
        )


def _pair(before: str, now: str) -> tuple[str, str]:
    return canonicalize_name(before), canonicalize_name(now)


def inspect(work: DeploymentContext, record: Record, before: Probe) -> Probe:
    """Return the virtualenv as a new interpreter of the generation of `record` finds it."""
    work.agent.load(agent_sources.GENERATIONS)
    return to_generation(work.agent.ask("inspect", number=record.generation), before)


def require_consistent(work: DeploymentContext, before: Probe, after: Probe) -> None:
    """Raise `DeploymentError` if a version is not the planned one, or if a requirement that was met no longer is."""
    for action in work.proposal.plan.actions:
        there = after.distributions.get(action.name)
        expected = None if action.kind is ActionKind.REMOVE else action.version
        if (there.version if there else None) != expected:
            found = f"has {there.version_text}" if there else "does not have it"
            what = f"{action.shown_as} must be {expected or 'removed'}, but the new generation {found}"
            raise DeploymentError(what, where=work.where)
    broken = unmet(after) - unmet(before)
    # a rollback restores a state that may have had unmet requirements before
    if broken and not work.proposal.plan.force and work.proposal.undoes is None:
        what = f"requirements are not met in the new generation: {'; '.join(sorted(broken))}"
        raise DeploymentError(what, where=work.where)


def require_intact(work: DeploymentContext, record: Record) -> None:
    """Raise `DeploymentError` if a file of a newly installed package does not match its RECORD."""
    names = [str(action.name) for action in work.proposal.plan.actions if action.wheel]
    if not names:
        return
    reply = work.agent.ask("verify", names=names, number=record.generation)
    shown = {action.name: action.shown_as for action in work.proposal.plan.actions}
    for name, problems in to_damage(reply, work.where, names).items():
        raise DeploymentError(
            f"installed files of {shown[name]} do not match RECORD: {'; '.join(problems)}", where=work.where
        )


def spoken(actions: Sequence[Action]) -> str:
    """Describe actions in a few words: `installing Django`, `installing 3 packages, removing django-old`."""
    parts = []
    for verb, some in (
        ("installing", [one.shown_as for one in actions if one.wheel]),
        ("removing", [one.shown_as for one in actions if not one.wheel]),
    ):
        if some:
            parts.append(f"{verb} {some[0] if len(some) == 1 else f'{len(some)} packages'}")
    return ", ".join(parts)

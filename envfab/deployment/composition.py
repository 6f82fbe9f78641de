"""Making the next generation of a virtualenv, beside the current one, and what it must be before it becomes current."""

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
    """Bring back the current generation's data files, where a deployment was cut off before its switch."""
    probe = work.probe
    left = from_json(probe.journal, work.where) if probe.journal is not None else None
    if left is None or left.generation in (None, probe.generation) or probe.generation is None:
        return
    work.agent.load(agent_sources.GENERATIONS)
    work.agent.ask("revert", number=left.generation, previous=probe.generation, remove=False)


def compose(work: DeploymentContext, record: Record) -> None:
    """Compose the generation of `record` as the plan says."""
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
    )
    # what the plan told is not told again
    told = {_pair(overlap.loser, overlap.winner) for overlap in work.proposal.plan.overlaps}
    for path, before, now in to_conflicts(reply, work.where):
        if _pair(before, now) in told:
            continue
        work.around.reporter.warning(
            f"{work.where}: {path} is of {before} and of {now}, and they differ: {now}'s is there"
        )
    for path, stays, goes in to_conflicts(reply, work.where, "lost"):
        work.around.reporter.warning(
            f"{work.where}: {path} belongs to {stays} and still has the content of {goes}, which had it too;"
            f" fab deploy --reinstall {stays} brings its own back"
        )


def _pair(before: str, now: str) -> tuple[str, str]:
    return canonicalize_name(before), canonicalize_name(now)


def inspect(work: DeploymentContext, record: Record, before: Probe) -> Probe:
    """The virtualenv as a fresh interpreter of the generation of `record` sees it."""
    work.agent.load(agent_sources.GENERATIONS)
    return to_generation(work.agent.ask("inspect", number=record.generation), before)


def require_consistent(work: DeploymentContext, before: Probe, after: Probe) -> None:
    """Raise `DeploymentError` where a version is not what the plan says, or where packages no longer go together."""
    for action in work.proposal.plan.actions:
        there = after.distributions.get(action.name)
        expected = None if action.kind is ActionKind.REMOVE else action.version
        if (there.version if there else None) != expected:
            found = f"there is {there.version_text}" if there else "it is not there"
            raise DeploymentError(f"{action.shown_as} should be {expected or 'gone'}, but {found}", where=work.where)
    broken = unmet(after) - unmet(before)
    # a rollback leads to what was there, and was no better then
    if broken and not work.proposal.plan.force and work.proposal.undoes is None:
        raise DeploymentError(f"in the new generation {'; '.join(sorted(broken))}", where=work.where)


def require_intact(work: DeploymentContext, record: Record) -> None:
    """Raise `DeploymentError` where a file of what is new is not as its RECORD says."""
    names = [str(action.name) for action in work.proposal.plan.actions if action.wheel]
    if not names:
        return
    reply = work.agent.ask("verify", names=names, number=record.generation)
    shown = {action.name: action.shown_as for action in work.proposal.plan.actions}
    for name, problems in to_damage(reply, work.where, names).items():
        raise DeploymentError(
            f"files of {shown[name]} are not as its RECORD says: {'; '.join(problems)}", where=work.where
        )


def spoken(actions: Sequence[Action]) -> str:
    """What actions do, in a few words: `installing Django`, `installing 3 packages, removing django-old`."""
    parts = []
    for verb, some in (
        ("installing", [one.shown_as for one in actions if one.wheel]),
        ("removing", [one.shown_as for one in actions if not one.wheel]),
    ):
        if some:
            parts.append(f"{verb} {some[0] if len(some) == 1 else f'{len(some)} packages'}")
    return ", ".join(parts)

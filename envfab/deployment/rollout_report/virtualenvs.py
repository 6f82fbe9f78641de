"""The virtualenvs of a rollout as the document has them: what is known of each, and nothing that is not.

Virtualenvs are much alike, and the distributions and actions of alike ones are often the same objects: what is made of
those is made once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envfab.deployment.proposal import Proposal
from envfab.deployment.result import Deployment, Ending
from envfab.deployment.rollout import settled
from envfab.deployment.rollout_log.masking import Masking
from envfab.models.drift import Drift
from envfab.models.probe import Probe
from envfab.models.rollout_document import (
    BEGUN,
    DIGEST,
    MAX_ENTRIES,
    MAX_LINE,
    MAX_MESSAGE,
    MAX_NAME,
    MAX_NUMBER,
    NOT_KNOWN,
    PLANNED,
    DriftFound,
    PackageChange,
    RolloutVirtualenv,
    sound_time,
)
from envfab.planning.plan import Action, Plan
from envfab.util.untrusted import one_line

# of these it is known what they have, if that was read before: nothing was changed there, or all was brought back
AS_PROBED = frozenset({Ending.CURRENT, Ending.SKIPPED, Ending.BLOCKED, Ending.ROLLED_BACK, Ending.FAILED})


class VirtualenvReports:
    """Makes what a document says of virtualenvs; `origin` is this machine's name, as which localhost is told."""

    def __init__(self, masking: Masking, origin: str) -> None:
        self._masking = masking
        self._origin = origin
        self._changes: dict[tuple[int, ...], tuple[PackageChange, ...]] = {}
        self._packages: dict[tuple[int, ...], tuple[tuple[str, str], ...]] = {}
        # equal values as one object, which compares faster
        self._same: dict[Any, Any] = {}
        # what `_changes` and `_packages` name by their ids must live as long as they do
        self._held: list[object] = []

    def planned(self, proposal: Proposal, chosen: bool) -> RolloutVirtualenv:
        """Return what is known of a virtualenv when the rollout begins."""
        target = proposal.plan.target
        found = RolloutVirtualenv(
            owner=text(target.owner),
            host=text(self._origin if proposal.member.host.local else target.host),
            path=text(target.path, MAX_MESSAGE),
            status=PLANNED,
            changes=self._changes_of(proposal.plan),
        )
        if not chosen:
            return self.ended(found, settled(proposal), proposal)
        return self._known(found, proposal.probe, proposal.drift)

    def begun(self, known: RolloutVirtualenv, deployment: str) -> RolloutVirtualenv:
        """Return what is known of a virtualenv while it is deployed to: not what it has."""
        return replace(
            known, status=BEGUN, deployment=deployment, packages=None, interpreter=None, digest=None, drift=None
        )

    def ended(self, known: RolloutVirtualenv, result: Deployment, proposal: Proposal) -> RolloutVirtualenv:
        """Return what is known of a virtualenv once its deployment has ended, or if it is not deployed to."""
        ended = replace(
            known,
            status=NOT_KNOWN if result.given_up else result.ending.value,
            deployment=result.id,
            changes=self._changes_of(result.plan),
            migrated=tuple(map(text, result.migrated[:MAX_ENTRIES])),
            message=self._message(result),
            seconds=round(result.seconds, 3) if result.id is not None else None,
        )
        if result.ending is Ending.DEPLOYED and not result.given_up:
            return self._known(ended, result.after, result.after.drift if result.after is not None else None)
        if not _is_as_probed(result):
            return self._known(ended, None, None)
        # a plan that was made anew, since the virtualenv had changed, comes without drift
        return self._known(ended, result.before, proposal.drift if result.before is proposal.probe else None)

    def _known(self, found: RolloutVirtualenv, probe: Probe | None, drift: Drift | None) -> RolloutVirtualenv:
        digest = probe.digest if probe is not None else None
        return replace(
            found,
            packages=self._packages_of(probe) if probe is not None else None,
            interpreter=text(probe.interpreter.title) if probe is not None else None,
            digest=digest if digest is not None and DIGEST.fullmatch(digest) else None,
            drift=_drift_found(drift) if drift is not None else None,
        )

    def _changes_of(self, plan: Plan) -> tuple[PackageChange, ...]:
        ids = tuple(map(id, plan.actions))
        if ids not in self._changes:
            self._held.append(plan.actions)
            changes = tuple(map(_change, plan.actions[:MAX_ENTRIES]))
            self._changes[ids] = self._same.setdefault(changes, changes)
        return self._changes[ids]

    def _packages_of(self, probe: Probe) -> tuple[tuple[str, str], ...] | None:
        there = probe.distributions.values()
        if len(there) > MAX_ENTRIES:
            return None
        ids = tuple(map(id, there))
        if ids not in self._packages:
            self._held.append(tuple(there))
            packages = tuple(sorted((_name(one.shown_as), text(one.version_text)) for one in there))
            self._packages[ids] = self._same.setdefault(packages, packages)
        return self._packages[ids]

    def _message(self, result: Deployment) -> str:
        said = str(result.error).removeprefix(f"{result.target}: ") if result.error else result.plan.error or ""
        whole = "; ".join(part for part in (said, result.left_open) if part)
        return text(self._masking.masked(whole, result.target), MAX_MESSAGE) if whole else ""


def _is_as_probed(result: Deployment) -> bool:
    """Whether a virtualenv is known to have what it had when it was probed."""
    if result.given_up or result.ending not in AS_PROBED:
        return False
    if result.ending is Ending.ROLLED_BACK:
        # of one with an interrupted deployment, all is as it was before that
        return result.before is not None and result.before.journal is None
    # before the step `begin` ended, nothing was changed
    return result.ending is not Ending.FAILED or ("begin" not in result.done and not result.left_open)


def _change(action: Action) -> PackageChange:
    version = action.version
    return PackageChange(
        action.kind.value,
        _name(action.shown_as),
        text(action.installed) if action.installed is not None else None,
        text(str(version)) if version is not None else None,
    )


def _drift_found(drift: Drift) -> DriftFound:
    return DriftFound(len(drift.packages), min(drift.others, MAX_NUMBER), _sound_time(drift.since))


def _sound_time(since: str | None) -> str | None:
    """A time that a host told, if it is one with an offset."""
    moment = sound_time(since) if since is not None else None
    return moment.isoformat() if moment is not None else None


def _name(said: str) -> str:
    return text(said).encode("utf-8")[:MAX_NAME].decode("utf-8", "ignore")


def text(said: str, most: int = MAX_LINE) -> str:
    """A text as documents have it: one line, of at most so many characters."""
    return one_line(said)[:most]

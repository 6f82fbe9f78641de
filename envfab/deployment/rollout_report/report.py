"""What is known of a rollout, from what observers hear, and the document of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from envfab.config.target import Target
from envfab.deployment.observers import DeploymentBegan, DeploymentEnded, Happening, RolloutBegan, RolloutEnded
from envfab.deployment.proposal import Proposal
from envfab.deployment.rollout_log.masking import Masking
from envfab.deployment.rollout_log.writer import Asked
from envfab.deployment.rollout_report.virtualenvs import VirtualenvReports, text
from envfab.models.rollout_document import (
    BEGUN,
    ENDED,
    FAILED,
    GIVEN_UP,
    MAX_BODY,
    MAX_ENTRIES,
    MAX_MESSAGE,
    MAX_VIRTUALENVS,
    NOT_KNOWN,
    UNDER_WAY,
    RolloutDocument,
    RolloutVirtualenv,
)
from envfab.util.times import now


@dataclass(frozen=True, slots=True)
class RolloutEnd:
    """How and when (ISO 8601) a rollout ended, and which hosts may still be out of service."""

    state: str
    at: str
    out_of_service: tuple[str, ...] = ()


class RolloutReport:
    """What is known of a rollout; for one thread. `log` is the folder of its log."""

    def __init__(self, asked: Asked, log: str | None, masking: Masking) -> None:
        self._asked = asked
        self._log = log
        self._masking = masking
        self._reports = VirtualenvReports(masking, asked.origin)
        self._proposals: dict[Target, Proposal] = {}
        self._virtualenvs: dict[Target, RolloutVirtualenv] = {}
        # the virtualenvs of which it is known how their deployments ended
        self._told: set[Target] = set()
        self._number = 0
        self._end: RolloutEnd | None = None

    @property
    def rollout(self) -> str:
        """The rollout's id."""
        return self._asked.rollout

    @property
    def has_begun(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._virtualenvs)

    @property
    def left_out(self) -> int:
        """Of how many virtualenvs the document says nothing: those beyond `MAX_VIRTUALENVS`."""
        return max(0, len(self._virtualenvs) - MAX_VIRTUALENVS)

    def note(self, what: Happening) -> None:
        """Take note of what happened."""
        if isinstance(what, RolloutBegan):
            self._begin(what)
        elif isinstance(what, DeploymentBegan):
            self._virtualenvs[what.target] = self._reports.begun(self._virtualenvs[what.target], what.deployment)
        elif isinstance(what, DeploymentEnded):
            self._note_end(what)
        elif isinstance(what, RolloutEnded):
            for one in what.deployments:
                if one.target not in self._told:
                    self._note_end(DeploymentEnded(one))
            state = GIVEN_UP if what.given_up else FAILED if what.failed else ENDED
            self._end = RolloutEnd(state, now(), tuple(map(text, what.out_of_service)))

    def give_up(self) -> None:
        """End it, if it has not ended: its program ends, and how deployments under way end is not known."""
        if self._end is not None:
            return
        for target, one in self._virtualenvs.items():
            if one.status == BEGUN:
                self._virtualenvs[target] = replace(one, status=NOT_KNOWN)
        self._end = RolloutEnd(GIVEN_UP, now())

    def _begin(self, what: RolloutBegan) -> None:
        chosen = {one.plan.target for one in what.chosen}
        # what is deployed to comes first, if there are more than a document may have
        many = len(what.proposals) > MAX_VIRTUALENVS
        ordered = sorted(what.proposals, key=lambda one: one.plan.target not in chosen) if many else what.proposals
        names: set[tuple[str, str, str]] = set()
        for one in ordered:
            target = one.plan.target
            self._masking.learn(one.member)
            self._proposals[target] = one
            found = self._reports.planned(one, target in chosen)
            if (found.owner, found.host, found.path) in names:
                # this machine is in the fabfile by its name, too
                found = replace(found, host=text(target.host))
            names.add((found.owner, found.host, found.path))
            self._virtualenvs[target] = found

    def _note_end(self, what: DeploymentEnded) -> None:
        target = what.result.target
        self._told.add(target)
        self._virtualenvs[target] = self._reports.ended(self._virtualenvs[target], what.result, self._proposals[target])

    def document(self) -> RolloutDocument:
        """Return the next document."""
        self._number += 1
        asked, end = self._asked, self._end
        return RolloutDocument(
            rollout=asked.rollout,
            number=self._number,
            state=end.state if end is not None else UNDER_WAY,
            task=asked.task,
            who=text(asked.who),
            origin=text(asked.origin),
            command=text(self._masking.masked(asked.command), MAX_MESSAGE),
            version=asked.version,
            began=asked.began,
            ended=end.at if end is not None else None,
            slice=asked.slice,
            log=text(self._log, MAX_MESSAGE) if self._log is not None else None,
            approved_by=tuple(map(text, asked.approved_by[:MAX_ENTRIES])),
            out_of_service=end.out_of_service[:MAX_VIRTUALENVS] if end is not None else (),
            virtualenvs=tuple(self._virtualenvs.values())[:MAX_VIRTUALENVS],
        )


def body_of(document: RolloutDocument) -> bytes:
    """Return a document as it is sent: JSON, smaller than `MAX_BODY`.

    One that is larger goes without packages, then without messages, then without changes, then without virtualenvs.
    """
    body = _json(document)
    for without in ({"packages": None}, {"message": ""}, {"changes": (), "migrated": ()}):
        if len(body) < MAX_BODY:
            return body
        document = replace(document, virtualenvs=tuple(replace(one, **without) for one in document.virtualenvs))
        body = _json(document)
    return body if len(body) < MAX_BODY else _json(replace(document, virtualenvs=()))


def _json(document: RolloutDocument) -> bytes:
    return json.dumps(document.to_json(), ensure_ascii=False, separators=(",", ":")).encode("utf-8")

"""What a rollout changes in all: by package, and by virtualenvs that have the same changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from envfab.models.rollout_document import PackageChange, RolloutDocument, RolloutVirtualenv

DEPLOYED = "deployed"
Changes = tuple[PackageChange, ...]


@dataclass(frozen=True, slots=True)
class RolloutSums:
    """Sums of a document.

    `sets` are the changes of virtualenvs, each once. `changes` tells, for each change, how many virtualenvs have it,
    and how many of these were deployed to.
    """

    statuses: Mapping[str, int]
    sets: Sequence[Changes]
    changes: Mapping[PackageChange, tuple[int, int]]
    _numbers: Mapping[int, int]

    @classmethod
    def of(cls, document: RolloutDocument) -> RolloutSums:
        """Add up. Virtualenvs of a document that was read share their sets, so a set is known by its identity."""
        by_identity = {id(one.changes): one.changes for one in document.virtualenvs if one.changes}
        many = Counter(id(one.changes) for one in document.virtualenvs)
        done = Counter(id(one.changes) for one in document.virtualenvs if one.status == DEPLOYED)
        changes: dict[PackageChange, tuple[int, int]] = {}
        for identity, entries in by_identity.items():
            for entry in dict.fromkeys(entries):
                before = changes.get(entry, (0, 0))
                changes[entry] = before[0] + many[identity], before[1] + done[identity]
        return cls(
            dict(Counter(one.status for one in document.virtualenvs)),
            tuple(by_identity.values()),
            changes,
            {identity: number for number, identity in enumerate(by_identity)},
        )

    def number_of(self, one: RolloutVirtualenv) -> int | None:
        """The number of a virtualenv's set of changes; None if it has none."""
        return self._numbers.get(id(one.changes)) if one.changes else None

    def main(self, most: int | None) -> list[tuple[PackageChange, tuple[int, int]]]:
        """The changes of most virtualenvs, first; all where `most` is None."""
        return sorted(self.changes.items(), key=lambda item: (-item[1][0], item[0].name.lower()))[:most]

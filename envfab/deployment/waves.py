"""Waves: which deployments of a rollout start together."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence

from envfab.config.target import Target
from envfab.deployment.proposal import Proposal


def waves(
    chosen: Sequence[Proposal],
    batch: int | str | None,
    canaries: Container[Target],
    whole: Sequence[Target] = (),
) -> list[list[Proposal]]:
    """Split the proposals into waves: first the canaries, then `batch` at a time (a number, or a percentage of all).

    With `whole`, the targets of a saved plan that has waves of its own, the proposals take their part of each of these.
    So one machine's part of a wave may be empty.
    """
    by_target = {proposal.plan.target: proposal for proposal in chosen}
    parts = _divided(whole or list(by_target), batch, canaries)
    return [[by_target[target] for target in part if target in by_target] for part in parts]


def _divided(targets: Sequence[Target], batch: int | str | None, canaries: Container[Target]) -> list[list[Target]]:
    first = [target for target in targets if target in canaries]
    rest = [target for target in targets if target not in canaries]
    size = _size(batch, len(targets)) or len(rest)
    found = [first] if first else []
    found += [rest[start : start + size] for start in range(0, len(rest), max(1, size))]
    return found


def _size(batch: int | str | None, all_of_them: int) -> int | None:
    if isinstance(batch, str):
        return max(1, math.floor(all_of_them * float(batch.rstrip("%")) / 100))
    return batch

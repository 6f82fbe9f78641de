"""Waves: which deployments of a rollout start together."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence

from envfab.config.target import Target
from envfab.deployment.proposal import Proposal


def waves(chosen: Sequence[Proposal], batch: int | str | None, canaries: Container[Target]) -> list[list[Proposal]]:
    """Split the proposals into waves: first the canaries, then `batch` at a time (a number, or a percentage of all)."""
    first = [proposal for proposal in chosen if proposal.plan.target in canaries]
    rest = [proposal for proposal in chosen if proposal.plan.target not in canaries]
    size = _size(batch, len(chosen)) or len(rest)
    found = [first] if first else []
    found += [rest[start : start + size] for start in range(0, len(rest), max(1, size))]
    return found


def _size(batch: int | str | None, all_of_them: int) -> int | None:
    if isinstance(batch, str):
        return max(1, math.floor(all_of_them * float(batch.rstrip("%")) / 100))
    return batch

"""Rollouts that collectors were not told: sent again by `register`, to people and as JSON."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from envfab.tasks.output.console import Console
from envfab.tasks.shared.context import TaskContext

if TYPE_CHECKING:
    from envfab.deployment.rollout_report.sending_again import SentRollout


def send_rollouts(run: TaskContext) -> list[SentRollout]:
    """Send what waits for the fleet's collectors; return what became of it."""
    from envfab.deployment.rollout_report.sending_again import send_unsent

    return list(send_unsent(run.fleet.collectors, run.fleet.at("."), os.environ))


def show_rollouts(console: Console, told: Sequence[SentRollout]) -> int:
    """Print what became of them, and return the exit status: 1 if one was not delivered."""
    from envfab.deployment.rollout_report.observer import KEPT

    for one in told:
        if one.failure is None:
            console.note(f"sent an earlier rollout: {one.rollout} to {one.collector}")
            continue
        became, then = ("not delivered", KEPT) if one.status == "kept" else ("refused", "it is not sent again")
        console.complain(f"{one.collector}: the rollout {one.rollout} was {became}: {one.failure.reason}; {then}")
    return int(any(one.failure is not None for one in told))


def rollouts_json(told: Sequence[SentRollout]) -> list[dict[str, Any]]:
    """Return the same as JSON."""
    return [
        {
            "rollout": one.rollout,
            "collector": one.collector,
            "status": one.status,
            "error": one.failure.reason if one.failure is not None else None,
        }
        for one in told
    ]

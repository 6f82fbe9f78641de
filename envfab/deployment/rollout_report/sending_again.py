"""Sending again what collectors were not told of earlier rollouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from envfab.config.events import Collector
from envfab.deployment.rollout_report.delivery import is_for_all, keys_of, send_again
from envfab.deployment.rollout_report.observer import place_of
from envfab.deployment.rollout_report.unsent import UnsentRollouts, unsent_folder
from envfab.receivers.rollouts import Refused, RolloutSender
from envfab.receivers.undelivered import Undelivered


@dataclass(frozen=True, slots=True)
class SentRollout:
    """What became of a rollout that waited for a collector: `failure` is why it was not delivered, None if it was."""

    rollout: str
    collector: str
    failure: Undelivered | None

    @property
    def status(self) -> str:
        """`sent`, `refused` (it is not sent again), or `kept`."""
        if self.failure is None:
            return "sent"
        return "refused" if isinstance(self.failure, Refused) else "kept"


def send_unsent(collectors: Sequence[Collector], folder: Path, environment: Mapping[str, str]) -> Iterator[SentRollout]:
    """Send what waits for collectors, the oldest first; yield what became of it. `folder` is the fabfile's.

    A collector that does not take one is not asked again in this run; what is left for it stays.
    """
    place = unsent_folder(environment)
    if place is None:
        return
    unsent = UnsentRollouts(place)
    for number, collector in enumerate(collectors):
        sender = RolloutSender(collector)
        with suppress(Undelivered):
            # what waits without an address is told why
            sender.ask_address()
        for rollout, key in unsent.waiting(keys_of(sender, place_of(folder, number))):
            failure = send_again(sender, unsent, rollout, key)
            yield SentRollout(rollout, sender.name, failure)
            if is_for_all(failure):
                break

"""What happens in a rollout, as events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from envfab.config.events import BEGUN, ENDED, FAILED, LOCK_WAITED, ROLLED_BACK, VIRTUALENV_FAILED
from envfab.deployment.events.delivery import EventDelivery
from envfab.deployment.events.event import MOST, Event, EventVirtualenv, Source, changes_of
from envfab.deployment.observers import DeploymentEnded, Happening, LockAwaited, RolloutBegan, RolloutEnded
from envfab.deployment.proposal import Proposal
from envfab.deployment.result import BAD, Deployment, Ending
from envfab.planning.plan import Plan


class EventObserver:
    """Sends an event for what others may want to know of a rollout; an observer."""

    def __init__(self, delivery: EventDelivery, source: Source) -> None:
        self._delivery = delivery
        self._source = source

    def hear(self, what: Happening) -> None:
        """Send the event that it is, if it is one."""
        if isinstance(what, RolloutBegan):
            self._delivery.send(self._begun(what.chosen))
        elif isinstance(what, LockAwaited):
            one = EventVirtualenv(str(what.target), "waiting", what.deployment, what.reason)
            self._delivery.send(Event(LOCK_WAITED, self._source, (one,), total=1))
        elif isinstance(what, DeploymentEnded) and what.result.ending in BAD:
            kind = ROLLED_BACK if what.result.ending is Ending.ROLLED_BACK else VIRTUALENV_FAILED
            self._delivery.send(Event(kind, self._source, (_virtualenv(what.result),), total=1))
        elif isinstance(what, RolloutEnded):
            self._delivery.send(self._ended(what))

    def close(self, until: float) -> None:
        """Wait for deliveries."""
        self._delivery.close(until)

    def _begun(self, chosen: Sequence[Proposal]) -> Event:
        plans = [proposal.plan for proposal in chosen]
        some = tuple(EventVirtualenv(str(plan.target), plan.status.value) for plan in plans[:MOST])
        return Event(BEGUN, self._source, some, _changes(plans), total=len(plans))

    def _ended(self, what: RolloutEnded) -> Event:
        """The event of a rollout's end: of one that failed it names what did not end well."""
        begun = [one for one in what.deployments if one.id is not None]
        told = [one for one in what.deployments if one.ending in BAD] if what.failed else begun
        return Event(
            FAILED if what.failed else ENDED,
            self._source,
            tuple(map(_virtualenv, told[:MOST])),
            _changes([one.plan for one in begun if one.ending is Ending.DEPLOYED]),
            Counter(one.ending.value for one in what.deployments),
            what.seconds,
            len(told),
            tuple(what.out_of_service),
        )


def _virtualenv(one: Deployment) -> EventVirtualenv:
    what = str(one.error).removeprefix(f"{one.target}: ") if one.error else one.plan.error
    return EventVirtualenv(str(one.target), one.ending.value, one.id, what)


def _changes(plans: Sequence[Plan]) -> tuple[dict[str, object], ...]:
    return changes_of(
        (action.kind.value, action.shown_as, action.installed, str(action.version) if action.version else None)
        for plan in plans
        for action in plan.actions
    )

"""Delivery of events, by a thread for each receiver: neither a rollout nor another receiver waits for a slow one."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from envfab.config.events import LOCK_WAITED, ROLLED_BACK, VIRTUALENV_FAILED, Receiver
from envfab.deployment.events.event import Event
from envfab.receivers.sender import Sender, sender_for
from envfab.receivers.undelivered import PAUSES, Undelivered
from envfab.util.counts import count
from envfab.util.progress import Reporter

# of these, what waits for a slow receiver becomes one event with several virtualenvs
JOINED = frozenset({VIRTUALENV_FAILED, ROLLED_BACK, LOCK_WAITED})


class EventQueue:
    """The events that wait for one receiver. The thread ends with the program."""

    def __init__(self, sender: Sender, kinds: Sequence[str]) -> None:
        self.sender = sender
        self._kinds = kinds
        self._changed = threading.Condition()
        self._waiting: list[Event] = []
        self._in_work: Event | None = None
        # how many events failed, for which reason
        self.failures: Counter[str] = Counter()
        threading.Thread(target=self._work, name="envfab-event", daemon=True).start()

    def put(self, event: Event) -> None:
        """Have an event delivered, if the receiver wants its kind."""
        if self._kinds and event.kind not in self._kinds:
            return
        with self._changed:
            alike = next((one for one in self._waiting if one.kind == event.kind), None)
            if alike is not None and event.kind in JOINED:
                self._waiting[self._waiting.index(alike)] = alike.joined(event)
            else:
                self._waiting.append(event)
            self._changed.notify_all()

    def finish(self, until: float) -> None:
        """Wait until all is delivered, at most until that time of the monotonic clock; the rest counts as failed."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: not self._waiting and self._in_work is None, max(0.0, until - time.monotonic())
            )
            if not done:
                left = [*self._waiting, *([self._in_work] if self._in_work is not None else [])]
                self._waiting.clear()
                self.failures["no answer in time"] += len(left)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                event = self._in_work = self._waiting.pop(0)
            failure = self._tried(event)
            with self._changed:
                self._in_work = None
                if failure is not None:
                    self.failures[failure] += 1
                self._changed.notify_all()

    def _tried(self, event: Event) -> str | None:
        """Why an event could not be delivered; None if it was."""
        for pause in (*PAUSES, None):
            try:
                self.sender.send(event)
            except Undelivered as error:
                if pause is None or not error.again:
                    return error.reason
                time.sleep(pause)
            except Exception as error:
                logging.getLogger("envfab").debug("an event failed", exc_info=error)
                return f"internal error: {type(error).__name__}"
            else:
                return None
        return None


class EventDelivery:
    """Sends events to all receivers that the fabfile names."""

    def __init__(self, receivers: Sequence[Receiver], folder: Path, reporter: Reporter) -> None:
        self._channels = [EventQueue(sender_for(one, folder), one.kinds) for one in receivers]
        self._reporter = reporter

    def send(self, event: Event) -> None:
        """Have an event delivered to all; returns at once."""
        for channel in self._channels:
            channel.put(event)

    def close(self, until: float) -> None:
        """Wait for what is under way, at most until that time of the monotonic clock; warn of what is not delivered."""
        lines = []
        for channel in self._channels:
            channel.finish(until)
            if channel.failures:
                number = sum(channel.failures.values())
                reasons = "; ".join(channel.failures)
                lines.append(f"{channel.sender.name}: {count(number, 'event')} not delivered: {reasons}")
        if lines:
            self._reporter.warning("\n  ".join(lines))

"""Delivery of a rollout's documents to one collector, by a thread of its own: nothing waits for a slow one."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from envfab.deployment.rollout_report.unsent import Unreadable, UnsentRollouts, collector_key
from envfab.receivers.rollouts import Refused, RolloutSender
from envfab.receivers.undelivered import PAUSES, Undelivered


class DocumentQueue:
    """The newest document that waits for one collector; a later one takes the place of an earlier one.

    Once the collector has taken one, it is sent what `unsent` has for it. `place` tells the collectors of fabfiles
    apart while their addresses are not known. The thread ends with the program.
    """

    def __init__(self, sender: RolloutSender, rollout: str, unsent: UnsentRollouts | None, place: str) -> None:
        self.sender = sender
        # older rollouts that the collector refused, and why
        self.refused: list[tuple[str, str]] = []
        self._rollout = rollout
        self._unsent = unsent
        self._place = place
        self._changed = threading.Condition()
        self._waiting: bytes | None = None
        self._in_work = False
        # why the newest document that was tried is not delivered
        self._failure: Undelivered | None = None
        # what waits from older rollouts; None until it was looked up
        self._older: deque[tuple[str, str]] | None = None
        threading.Thread(target=self._work, name="envfab-rollout", daemon=True).start()

    @property
    def keys(self) -> tuple[str, ...]:
        """What files may call the collector; new ones call it by the first."""
        return keys_of(self.sender, self._place)

    def put(self, body: bytes) -> None:
        """Have a document delivered, instead of one that waits."""
        with self._changed:
            self._waiting = body
            self._changed.notify_all()

    def finish(self, until: float) -> Undelivered | None:
        """Wait until all is delivered, at most until that time of the monotonic clock.

        Returns why the last document is not; what waits from older rollouts goes on waiting.
        """
        with self._changed:
            self._changed.wait_for(self._is_idle, max(0.0, until - time.monotonic()))
            if self._waiting is None and not self._in_work:
                return self._failure
            return Undelivered("no answer in time")

    def _is_idle(self) -> bool:
        return self._waiting is None and not self._in_work and not self._older

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or bool(self._older))
                body, self._waiting = self._waiting, None
                self._in_work = body is not None
            if body is None:
                self._send_older()
            else:
                self._send(body)
            with self._changed:
                self._in_work = False
                self._changed.notify_all()

    def _send(self, body: bytes) -> None:
        failure: Undelivered | None = None
        for pause in (*PAUSES, None):
            failure = failure_of(self.sender, self._rollout, body)
            if failure is None or not failure.again or pause is None:
                break
            with self._changed:
                if self._changed.wait_for(lambda: self._waiting is not None, pause):
                    break
        self._failure = failure
        if failure is None and self._older is None and self._unsent is not None:
            found = self._unsent.waiting(keys_of(self.sender, self._place))
            self._older = deque(one for one in found if one[0] != self._rollout)

    def _send_older(self) -> None:
        """Send the document of one older rollout; if that fails, no further one in this run."""
        assert self._unsent is not None
        assert self._older
        rollout, key = self._older[0]
        failure = send_again(self.sender, self._unsent, rollout, key)
        if isinstance(failure, Refused):
            self.refused.append((rollout, failure.reason))
        with self._changed:
            self._older.popleft()
            if is_for_all(failure):
                self._older.clear()


def failure_of(sender: RolloutSender, rollout: str, body: bytes) -> Undelivered | None:
    """Send a document; return why it could not be delivered, None if it was."""
    try:
        sender.send(rollout, body)
    except Undelivered as error:
        return error
    except Exception as error:
        logging.getLogger("envfab").debug("a rollout was not delivered", exc_info=error)
        return Undelivered(f"internal error: {type(error).__name__}", again=False)
    return None


def is_for_all(failure: Undelivered | None) -> bool:
    """Whether there was a failure that the next document to the same collector would have, too."""
    return failure is not None and not isinstance(failure, (Refused, Unreadable))


def send_again(sender: RolloutSender, unsent: UnsentRollouts, rollout: str, key: str) -> Undelivered | None:
    """Send a document that was kept, which then is forgotten, unless another try may help; return why it failed."""
    try:
        body = unsent.read(rollout, key)
    except Unreadable as error:
        return error
    if body is None:
        # another program has sent it meanwhile
        return None
    failure = failure_of(sender, rollout, body)
    if failure is None or isinstance(failure, Refused):
        unsent.forget(rollout, key)
    return failure


def keys_of(sender: RolloutSender, place: str) -> tuple[str, ...]:
    """Return what files may call a collector: by its address, once that is known, and by its place in a fabfile."""
    by_place = collector_key("place", place)
    return (by_place,) if sender.address is None else (collector_key("address", sender.address), by_place)

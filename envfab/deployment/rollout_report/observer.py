"""What collectors are told of a rollout: its document, when it begins, while things change, and at its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from envfab.config.events import Collector
from envfab.deployment.observers import DeploymentBegan, DeploymentEnded, Happening, RolloutBegan, RolloutEnded
from envfab.deployment.rollout_report.delivery import DocumentQueue
from envfab.deployment.rollout_report.report import RolloutReport, body_of
from envfab.deployment.rollout_report.unsent import UnsentRollouts
from envfab.models.rollout_document import MAX_VIRTUALENVS, SAID_AGAIN_AFTER
from envfab.receivers.rollouts import Refused, RolloutSender
from envfab.util.progress import Reporter

# seconds between two documents; making them may take a fiftieth of the time
PAUSE = 10.0
SHARE = 50
HEARD = (RolloutBegan, DeploymentBegan, DeploymentEnded, RolloutEnded)
KEPT = "it is kept, and sent by the next rollout, or by fab register"


class CollectorObserver:
    """Tells collectors of one rollout; an observer. Its documents are made in a thread of its own.

    The last document is kept in `unsent` until a collector has taken it; with None nothing is kept. `folder` is the
    fabfile's.
    """

    def __init__(
        self,
        report: RolloutReport,
        collectors: Sequence[Collector],
        unsent: UnsentRollouts | None,
        folder: Path,
        reporter: Reporter,
    ) -> None:
        self._report = report
        self._rollout = report.rollout
        self._unsent = unsent
        self._reporter = reporter
        self._queues = [
            DocumentQueue(RolloutSender(one), report.rollout, unsent, place_of(folder, number))
            for number, one in enumerate(collectors)
        ]
        # why the last document could not be kept, if it could not
        self._unkept = "" if unsent is not None else "the user has no home folder"
        self._failed: Exception | None = None
        # the last document that was sent; None before the rollout begins
        self._body: bytes | None = None
        self._heard: SimpleQueue[Happening | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="envfab-report", daemon=True)
        self._thread.start()

    def hear(self, what: Happening) -> None:
        """Have it taken note of."""
        if isinstance(what, HEARD):
            self._heard.put(what)

    def close(self, until: float) -> None:
        """Wait for deliveries; what is not delivered is told in one warning."""
        self._heard.put(None)
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._failed is not None:
            raise self._failed
        if self._thread.is_alive():
            names = ", ".join(one.sender.name for one in self._queues)
            self._reporter.warning(f"{names}: not told how the rollout ended: this machine was too slow")
            return
        lines = [line for one in self._queues for line in self._ended(one, until)]
        if self._report.left_out:
            lines.append(
                f"collectors are told of {MAX_VIRTUALENVS} virtualenvs, and not of {self._report.left_out} more"
            )
        if lines:
            self._reporter.warning("\n  ".join(lines))

    def _ended(self, queue: DocumentQueue, until: float) -> list[str]:
        """How it went with one collector: a line for what failed, none if all went well."""
        failure, name = queue.finish(until), queue.sender.name
        lines = [f"{name}: the rollout {rollout} was refused: {why}" for rollout, why in queue.refused]
        if (failure is None or isinstance(failure, Refused)) and self._unsent is not None:
            for key in queue.keys:
                self._unsent.forget(self._rollout, key)
        if isinstance(failure, Refused):
            lines.append(f"{name}: the rollout {self._rollout} was refused: {failure.reason}")
        elif failure is not None:
            then = f"and not kept: {self._unkept}" if self._unkept else KEPT
            lines.append(f"{name}: the rollout {self._rollout} was not delivered: {failure.reason}; {then}")
        return lines

    def _work(self) -> None:
        try:
            due = time.monotonic()
            while (changed := self._noted_until(due)) is not None:
                due = self._tell() if changed else self._say_again()
            if self._report.has_begun:
                self._report.give_up()
                self._keep_and_tell()
        except Exception as error:
            logging.getLogger("envfab").debug("the report of a rollout failed", exc_info=error)
            self._failed = error

    def _noted_until(self, due: float) -> bool | None:
        """Take note of what happens until it is to be told.

        Return True once something happened and `due` is past, False if nothing did for so long that collectors are to
        hear that the rollout is still under way, and None at the end.
        """
        changed, again = False, time.monotonic() + SAID_AGAIN_AFTER
        while True:
            try:
                what = self._heard.get(timeout=max(0.0, (due if changed else again) - time.monotonic()))
            except Empty:
                return changed
            if what is None:
                return None
            self._report.note(what)
            if isinstance(what, RolloutEnded):
                return None
            changed = True

    def _say_again(self) -> float:
        """Send the last document once more: a collector notes that the rollout was heard of."""
        for one in self._queues:
            if self._body is not None:
                one.put(self._body)
        return time.monotonic()

    def _tell(self) -> float:
        """Send a document; return when the next one may be sent, by the monotonic clock."""
        began = time.thread_time()
        self._body = body_of(self._report.document())
        for one in self._queues:
            one.put(self._body)
        return time.monotonic() + max(PAUSE, SHARE * (time.thread_time() - began))

    def _keep_and_tell(self) -> None:
        """Send the last document, which is kept until it is delivered: the program may be killed before that."""
        body = body_of(self._report.document())
        if self._unsent is not None:
            try:
                for one in self._queues:
                    self._unsent.keep(self._rollout, one.keys[0], body)
            except OSError as error:
                self._unkept = f"{error.filename or 'its file'}: {error.strerror}"
        for one in self._queues:
            one.put(body)


def place_of(folder: Path, number: int) -> str:
    """Return the place of a collector: which of a fabfile's, by the fabfile's folder."""
    return f"{number} {folder}"

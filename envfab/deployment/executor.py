"""Execution of one deployment: its steps one after another, recovery after a failure, and the result."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from envfab.config.target import Target
from envfab.deployment.closing import leave_open
from envfab.deployment.context import DeploymentContext
from envfab.deployment.observers import DeploymentBegan, DeploymentEnded, StepEnded
from envfab.deployment.recovery import go_back
from envfab.deployment.result import Deployment, Ending, spoken_ending
from envfab.deployment.steps import ENDING, Recovery, Step
from envfab.errors import DeploymentError, Disconnected, EnvfabError, Locked, Unreachable, unforeseen
from envfab.planning.plan import status_without
from envfab.remote.agent_session import OperationFailed

NEXT_DEPLOY = "the journal is open: the next fab deploy finishes or repairs it"


class Limit:
    """The limit of failures: after Ctrl-C, or once `most` deployments have failed, no further deployment starts."""

    def __init__(self, most: int | None, interrupted: threading.Event) -> None:
        self._most = most
        self._failures = 0
        self._counting = threading.Lock()
        self._interrupted = interrupted

    def failed(self) -> None:
        """Count one more failure."""
        with self._counting:
            self._failures += 1

    @property
    def reached(self) -> bool:
        """Whether no further deployment may start."""
        return self._interrupted.is_set() or (self._most is not None and self._failures >= self._most)


class DeploymentRun:
    """One deployment as it takes its steps, and how it ended."""

    def __init__(self, work: DeploymentContext, limit: Limit) -> None:
        self.work = work
        self._limit = limit
        self._began: float | None = None
        # how many seconds it took, once it has ended
        self._took: float | None = None
        self._step = ""
        self._ending: Ending | None = None
        self._error: EnvfabError | None = None
        self._output = ""
        self._left_open = ""

    @property
    def began(self) -> bool:
        """Whether it has started; not one that was skipped."""
        return self._began is not None and self._ending is not Ending.SKIPPED

    @property
    def going_on(self) -> bool:
        """Whether it has not ended yet."""
        return self._ending is None

    def through(self, steps: Sequence[Step], last: bool) -> None:
        """Take `steps` until one fails; do nothing if the deployment has ended.

        `last` says that no steps follow, so that the agent can be stopped. Never raises: errors become the result.
        """
        self._began = self._began or time.monotonic()
        try:
            for step in steps:
                if self._ending is not None:
                    break
                if not self.work.done and self._limit.reached:
                    self._ending = Ending.SKIPPED
                    self._note(self.work.around.wheelhouse.log_aborting, "not started: the rollout had stopped")
                    break
                self._take(step)
        except Exception as error:  # noqa: BLE001 - an error of one deployment must not lose the results of others
            self.break_down(error)
        finally:
            if self._ending is not None or last:
                self.work.around.gates.leave(self.work.proposal.member.target)
                self.work.site.leave()

    def _take(self, step: Step) -> None:
        if not self._step:
            self.work.tell(DeploymentBegan(self.work.id, self.work.proposal.member.target))
        self._step = step.name
        began = time.monotonic()
        try:
            step.begin(self.work)
            step.run(self.work)
        except EnvfabError as error:
            self._step_ended(step.name, began, failed=True)
            self.fail(error, step.back)
        else:
            if step.to_do(self.work):
                self._step_ended(step.name, began)
                self.work.done.append(step.name)
            if step.name == "lock" and self.work.nothing_left:
                self._ending = Ending.CURRENT
            elif step is ENDING[-1]:
                self._ending = Ending.DEPLOYED
            if self._ending is not None:
                self._tell(self._ending)

    def _step_ended(self, step: str, began: float, failed: bool = False) -> None:
        target = self.work.proposal.member.target
        self.work.tell(StepEnded(self.work.id, target, step, time.monotonic() - began, failed))

    def fail(self, error: EnvfabError, back: Recovery) -> None:
        """End the deployment after an error: recover as `back` asks, write the journal, and set how it ended."""
        self._error = error
        self._output = error.output if isinstance(error, OperationFailed) else ""
        # before the recovery: other deployments that use the same database need not wait for it
        self.work.around.gates.leave(self.work.proposal.member.target)
        if isinstance(error, Locked) and not self.work.done:
            self._ending = Ending.LOCKED
        elif isinstance(error, Unreachable) and not self.work.done:
            self._ending = Ending(status_without(error).value)
        else:
            self._ending = self._went_back(error, back)
            self._note(self.work.around.wheelhouse.log_error, error.what)
        self._limit.failed()
        self._tell(self._ending)

    def _tell(self, ending: Ending) -> None:
        self._took = self._seconds
        self.work.around.reporter.done(self.work.where, spoken_ending(ending, self.work.proposal.undoes))
        self.work.tell(DeploymentEnded(self.result()))

    def _note(self, log: Callable[[Target, str], None], message: str) -> None:
        """Add a line to the release log; if that fails, only warn."""
        try:
            log(self.work.proposal.member.target, message)
        except EnvfabError as unlogged:
            self.work.around.reporter.warning(str(unlogged))

    def break_down(self, error: Exception) -> None:
        """End the deployment, unless it has ended, after an unforeseen exception: nothing more is done on the host."""
        if self._ending is not None:
            return
        self._ending = Ending.FAILED
        self._error = unforeseen(error, self.work.where)
        self._left_open = NEXT_DEPLOY if self.work.record is not None else ""
        self._write_down(self._error.what)
        self._limit.failed()
        self._tell(self._ending)

    def _went_back(self, error: EnvfabError, back: Recovery) -> Ending:
        if self.work.record is None:
            return Ending.FAILED
        if isinstance(error, (Disconnected, Locked)):
            why = "another deployment is under way" if isinstance(error, Locked) else "the connection was lost"
            self._left_open = f"{why}, {NEXT_DEPLOY}"
            return Ending.FAILED
        if back is Recovery.NOTHING:
            self._left_open = NEXT_DEPLOY
            self._write_down(error.what)
            return Ending.FAILED
        began = time.monotonic()
        try:
            go_back(self.work, error, back)
        except EnvfabError as obstacle:
            self._step_ended("recovery", began, failed=True)
            failed = f"recovery failed: {obstacle.what}"
            self._left_open = f"{failed}; the journal is open, the next fab deploy repairs it"
            if not isinstance(obstacle, (Disconnected, Locked)):
                self._write_down(f"{error.what}; {failed}")
            return Ending.FAILED
        self._step_ended("recovery", began)
        return Ending.ROLLED_BACK

    def _write_down(self, why: str) -> None:
        """Write the failure into the journal. Best effort: what failed may prevent this as well."""
        try:
            leave_open(self.work, why)
        except Exception as obstacle:
            logging.getLogger("envfab").debug("the failure is not in the journal", exc_info=obstacle)

    def as_left(self) -> Deployment:
        """Return the result so far, for a rollout that does not wait for this deployment to end."""
        found = self.result()
        if self._ending is not None:
            return found
        what = f"given up at the step {self._step or 'lock'}: how it ended is not known"
        left_open = NEXT_DEPLOY if self.work.record is not None else ""
        error = DeploymentError(what, where=self.work.where)
        return replace(found, error=error, left_open=left_open, given_up=True)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began if self._began is not None else 0.0

    def result(self) -> Deployment:
        """Return the result."""
        ending = self._ending or Ending.FAILED
        target = self.work.proposal.member.target
        return replace(
            Deployment(self.work.id, target, self.work.proposal.plan, ending),
            done=tuple(self.work.done),
            error=self._error,
            output=self._output,
            migrated=tuple(self.work.migrated),
            planned=tuple(self.work.planned),
            uncertain=tuple(self.work.uncertain),
            unapplied=tuple(self.work.unapplied),
            verdicts=tuple(self.work.verdicts),
            undoes=self.work.proposal.undoes,
            lingering=self.work.lingering,
            compiled=(self.work.compiled_here, self.work.compiled_there),
            left_open=self._left_open,
            after=self.work.after if ending is Ending.DEPLOYED else None,
            before=self.work.proposal.probe,
            seconds=self._seconds if self._took is None else self._took,
        )

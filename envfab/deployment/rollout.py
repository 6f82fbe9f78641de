"""One `fab deploy`: its deployments, hosts at once, each virtualenv for itself."""

from __future__ import annotations

import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace

from envfab.deployment.going_back import go_back
from envfab.deployment.proposal import Proposal
from envfab.deployment.record import Deployment, Ending
from envfab.deployment.steps import ENDING, MAKING, Back, Step
from envfab.deployment.waves import waves
from envfab.deployment.work import Surroundings, Work
from envfab.errors import Disconnected, EnvfabError, Locked, Unreachable
from envfab.fleet import Target
from envfab.managed.session import OperationFailed, run_command
from envfab.managed.survey import PLACES_OF_A_DEPLOYMENT
from envfab.planning.plan import Status

SETTLED = {
    Status.CURRENT: Ending.CURRENT,
    Status.BLOCKED: Ending.BLOCKED,
    Status.UNREACHABLE: Ending.UNREACHABLE,
    Status.CHANGES: Ending.SKIPPED,
}


def settled(proposal: Proposal) -> Deployment:
    """What is told of a virtualenv that is not deployed to: current, skipped, blocked or unreachable."""
    plan = proposal.plan
    return Deployment(None, plan.target, plan, SETTLED[plan.status], error=proposal.error)


NEXT_DEPLOY = "the journal is open: the next fab deploy finishes or repairs it"


class Limit:
    """Whether anything new may start: not after an interruption, nor once `most` have failed."""

    def __init__(self, most: int | None, interrupted: threading.Event) -> None:
        self._most = most
        self._failures = 0
        self._counting = threading.Lock()
        self._interrupted = interrupted

    def failed(self) -> None:
        """One more has failed."""
        with self._counting:
            self._failures += 1

    @property
    def reached(self) -> bool:
        """Nothing new may start."""
        return self._interrupted.is_set() or (self._most is not None and self._failures >= self._most)


class Rollout:
    """The deployments of the proposals that were agreed to, wave after wave.

    In a wave they start in the fabfile's order, as many hosts at once as `parallel` allows; on a host as many as its
    connection has places for. One that fails leaves the others alone, until `max_failures` have failed: then nothing
    new starts.
    """

    def __init__(self, around: Surroundings, chosen: Sequence[Proposal]) -> None:
        self._around = around
        self._waves = waves(chosen, around.settings.batch, around.canaries)
        # whoever waits at a gate waits for somebody who started before
        around.gates.open([proposal.member for wave in self._waves for proposal in wave])
        most = around.settings.max_failures
        self._limit = Limit(1 if most is None and around.canaries else most, around.interrupted)

    def carry_out(self) -> dict[Target, Deployment]:
        """Deploy; after a Ctrl-C or too many failures nothing new starts, and what is under way is finished."""
        results: dict[Target, Deployment] = {}
        number = 0
        for turn, wave in enumerate(self._waves, 1):
            which = f" wave {turn} of {len(self._waves)}" if len(self._waves) > 1 else ""
            self._around.reporter.stage(f"deploying{which}", len(wave))
            by_host: dict[str, list[Work]] = defaultdict(list)
            for proposal in wave:
                number += 1
                if proposal.site is not None:
                    work = Work(f"{self._around.rollout}.{number}", proposal, proposal.site, self._around)
                    work.host_reload = not proposal.member.host.reload_once
                    by_host[proposal.member.host.name].append(work)
            with ThreadPoolExecutor(max(1, min(self._around.settings.parallel, len(by_host))), "envfab-host") as pool:
                self._wait([pool.submit(self._host, works, results) for works in by_host.values()])
        return results

    def _wait(self, futures: Sequence[Future[None]]) -> None:
        while True:
            try:
                for future in as_completed(futures):
                    future.result()
                return
            except KeyboardInterrupt:
                if self._around.interrupted.is_set():
                    raise
                self._around.interrupted.set()
                self._around.reporter.warning("interrupted: nothing new is started, what is under way is finished")

    def _host(self, works: Sequence[Work], results: dict[Target, Deployment]) -> None:
        """The virtualenvs of one host; where it reloads once, that comes between making and checking."""
        at_once = max(1, works[0].site.link.places // PLACES_OF_A_DEPLOYMENT)
        with ThreadPoolExecutor(min(at_once, len(works)), "envfab-deploy") as pool:
            once = works[0].proposal.member.host.reload_once
            parts = MAKING if once else MAKING + ENDING
            runs = [_Run(work, self._limit) for work in works]
            list(pool.map(lambda run: run.through(parts, last=not once or len(works) > at_once), runs))
            changed = [run for run in runs if run.going_on]
            if once and changed:
                try:
                    self._reload_once(changed)
                except Exception as error:  # noqa: BLE001 - as in `_Run.through`
                    for run in changed:
                        run.break_down(error)
                list(pool.map(lambda run: run.through(ENDING, last=True), changed))
        for run in runs:
            results[run.work.proposal.member.target] = run.result()

    def _reload_once(self, runs: Sequence[_Run]) -> None:
        work = runs[0].work
        member = work.proposal.member
        for command in member.host.reload_commands(member.virtualenv):
            work.says(f"reload of the host: {command.text}")
            try:
                outcome = run_command(
                    work.site.reserve(),
                    command.text,
                    where=member.host.name,
                    identity=work.site.as_user(command.user),
                    timeout=self._around.settings.command_timeout,
                )
                if outcome.status == 0:
                    continue
                what = f"the reload command {command.text!r} ended with status {outcome.status}"
                raise OperationFailed(what, where=member.host.name, kind="reload", output=outcome.output)
            except EnvfabError as error:
                for run in runs:
                    run.fail(error, Back.PACKAGES_AND_RELOAD)
                    # the next one may need these places to go back
                    run.work.site.leave()
                return


class _Run:
    """A work on its way through the steps, and how it ended."""

    def __init__(self, work: Work, limit: Limit) -> None:
        self.work = work
        self._limit = limit
        self._began: float | None = None
        self._ending: Ending | None = None
        self._error: EnvfabError | None = None
        self._output = ""
        self._left_open = ""

    @property
    def going_on(self) -> bool:
        """Whether it has not ended yet."""
        return self._ending is None

    def through(self, steps: Sequence[Step], last: bool) -> None:
        """Take the steps, unless it ended before; `last` says that no agent is needed for what follows."""
        self._began = self._began or time.monotonic()
        try:
            for step in steps:
                if self._ending is not None:
                    break
                if not self.work.done and self._limit.reached:
                    self._ending = Ending.SKIPPED
                    break
                self._take(step)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others' results must not be lost with it
            self.break_down(error)
        finally:
            if self._ending is not None or last:
                self.work.around.gates.leave(self.work.proposal.member.target)
                self.work.site.leave()

    def _take(self, step: Step) -> None:
        try:
            self.work.come_to(step.name)
            step.run(self.work)
        except EnvfabError as error:
            self.fail(error, step.back)
        else:
            self.work.done.append(step.name)
            if step.name == "lock" and self.work.nothing_left:
                self._ending = Ending.CURRENT
            elif step is ENDING[-1]:
                self._ending = Ending.DEPLOYED

    def fail(self, error: EnvfabError, back: Back) -> None:
        """It ends here: as `rolled-back` where the packages can be brought back, else as `failed` or milder."""
        self._error = error
        self._output = error.output if isinstance(error, OperationFailed) else ""
        # nobody of the same database may wait for this one while it goes back
        self.work.around.gates.leave(self.work.proposal.member.target)
        if isinstance(error, Locked) and not self.work.done:
            self._ending = Ending.LOCKED
        elif isinstance(error, Unreachable) and not self.work.done:
            self._ending = Ending.UNREACHABLE
        else:
            self._ending = self._went_back(error, back)
            try:
                self.work.around.house.log_error(self.work.proposal.member.target, error.what)
            except EnvfabError as unlogged:
                self.work.around.reporter.warning(str(unlogged))
        self._limit.failed()
        self.work.around.reporter.done(self.work.where, self._ending.value)

    def break_down(self, error: Exception) -> None:
        """Unless it ended before, it ends here by what nobody foresaw: nothing is touched any more."""
        if self._ending is not None:
            return
        self._ending = Ending.FAILED
        where = "".join(traceback.format_exception(error))
        what = f"unforeseen {type(error).__name__}: {error}"
        self._error = OperationFailed(what, where=self.work.where, kind="unforeseen", output=where)
        self._left_open = NEXT_DEPLOY if self.work.record is not None else ""
        self._limit.failed()
        self.work.around.reporter.done(self.work.where, self._ending.value)

    def _went_back(self, error: EnvfabError, back: Back) -> Ending:
        if self.work.record is None:
            return Ending.FAILED
        if isinstance(error, (Disconnected, Locked)):
            why = "somebody else is at work" if isinstance(error, Locked) else "the connection is gone"
            self._left_open = f"{why}, {NEXT_DEPLOY}"
            return Ending.FAILED
        if back is Back.NOTHING:
            self._left_open = NEXT_DEPLOY
            return Ending.FAILED
        try:
            go_back(self.work, error, back)
        except EnvfabError as obstacle:
            self._left_open = f"going back failed: {obstacle.what}; the journal is open, the next fab deploy repairs it"
            return Ending.FAILED
        return Ending.ROLLED_BACK

    def result(self) -> Deployment:
        """What became of it."""
        ending = self._ending or Ending.FAILED
        if ending is Ending.DEPLOYED:
            self.work.around.reporter.done(self.work.where, ending.value)
        target = self.work.proposal.member.target
        return replace(
            Deployment(self.work.id, target, self.work.proposal.plan, ending),
            done=tuple(self.work.done),
            error=self._error,
            output=self._output,
            migrated=tuple(self.work.migrated),
            planned=tuple(self.work.planned),
            left_open=self._left_open,
            after=self.work.after if ending is Ending.DEPLOYED else None,
            seconds=time.monotonic() - self._began if self._began else 0.0,
        )

"""One `fab deploy`: its deployments, hosts at once, each virtualenv for itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from envfab.deployment.proposal import Proposal
from envfab.deployment.record import Deployment, Ending
from envfab.deployment.run import Limit, Run
from envfab.deployment.steps import ENDING, MAKING, Back, execute
from envfab.deployment.waves import waves
from envfab.deployment.work import Surroundings, Work
from envfab.errors import EnvfabError
from envfab.fleet import Target
from envfab.managed.session import OperationFailed
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
            runs = [Run(work, self._limit) for work in works]
            list(pool.map(lambda run: run.through(parts, last=not once or len(works) > at_once), runs))
            changed = [run for run in runs if run.going_on]
            if once and changed:
                try:
                    self._reload_once(changed)
                except Exception as error:  # noqa: BLE001 - as in `Run.through`
                    for run in changed:
                        run.break_down(error)
                list(pool.map(lambda run: run.through(ENDING, last=True), changed))
        for run in runs:
            results[run.work.proposal.member.target] = run.result()

    def _reload_once(self, runs: Sequence[Run]) -> None:
        work = runs[0].work
        member = work.proposal.member
        for command in member.host.reload_commands(member.virtualenv):
            work.says(f"reload of the host: {command.shown}")
            for run in runs:
                run.work.after = None
            try:
                outcome = execute(work, command, member.host.name, self._around.settings.command_timeout)
                if outcome.status == 0:
                    continue
                what = f"the reload command {command.shown!r} ended with status {outcome.status}"
                raise OperationFailed(what, where=member.host.name, kind="reload", output=outcome.output)
            except EnvfabError as error:
                for run in runs:
                    run.fail(error, Back.PACKAGES_AND_RELOAD)
                    # the next one may need these places to go back
                    run.work.site.leave()
                return

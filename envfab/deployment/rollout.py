"""Rollouts: the deployments of one `fab deploy` or `fab rollback`, in waves, several hosts at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from queue import SimpleQueue

from envfab.config.target import Target
from envfab.deployment.context import DeploymentContext, RolloutContext
from envfab.deployment.drain import HostDrain
from envfab.deployment.executor import DeploymentRun, Limit
from envfab.deployment.interrupts import Interrupts
from envfab.deployment.proposal import Proposal
from envfab.deployment.result import Deployment, Ending
from envfab.deployment.run_commands import execute, observed
from envfab.deployment.steps import ENDING, MAKING, Recovery
from envfab.deployment.waves import waves
from envfab.errors import EnvfabError
from envfab.planning.plan import Status
from envfab.remote.agent_session import OperationFailed
from envfab.remote.probe import PLACES_OF_A_DEPLOYMENT
from envfab.remote.workers import Helpers, start_workers

INTERRUPT = "Ctrl-C"
SETTLED = {
    Status.CURRENT: Ending.CURRENT,
    Status.BLOCKED: Ending.BLOCKED,
    Status.UNREACHABLE: Ending.UNREACHABLE,
    Status.MISSING: Ending.MISSING,
    Status.CHANGES: Ending.SKIPPED,
}


def settled(proposal: Proposal) -> Deployment:
    """Return the result for a virtualenv that is not deployed to: current, skipped, blocked, unreachable or missing."""
    plan = proposal.plan
    ending, error, undoes = SETTLED[plan.status], proposal.error, proposal.undoes
    return Deployment(None, plan.target, plan, ending, error=error, undoes=undoes, before=proposal.probe)


class Rollout:
    """The deployments of the accepted proposals, wave after wave.

    In a wave they start in the fabfile's order: `parallel` hosts at once, and on each host as many deployments as its
    connection has places and the rollout has helpers for. Once `max_failures` deployments have failed, no further one
    starts.
    """

    def __init__(self, around: RolloutContext, chosen: Sequence[Proposal]) -> None:
        self._around = around
        self._waves = waves(chosen, around.settings.batch, around.canaries, around.whole)
        # in starting order: a deployment at a barrier waits for earlier ones only
        around.gates.open([proposal.member for wave in self._waves for proposal in wave])
        most = around.settings.max_failures
        # whether a second Ctrl-C ended the rollout while deployments were under way
        self.given_up = False
        hosts = len({proposal.member.host.name for proposal in chosen})
        self._helpers = Helpers(hosts, around.settings.parallel)
        self._drains: list[tuple[str, HostDrain]] = []
        # why hosts were not put back into service, by their names
        self._left_out: dict[str, EnvfabError] = {}
        self._limit = Limit(1 if most is None and around.canaries else most, around.interrupted)

    def carry_out(self) -> dict[Target, Deployment]:
        """Deploy, and return the result for each target that was started or skipped.

        After Ctrl-C or too many failures no further deployment starts, and those under way are finished. A second
        Ctrl-C returns at once, with `given_up` set, and leaves those under way as they are.
        """
        runs: list[DeploymentRun] = []
        told: SimpleQueue[str] = SimpleQueue()
        with closing(self._around.compilers), Interrupts(told, INTERRUPT):
            for turn, wave in enumerate(self._waves, 1):
                if not wave:
                    continue
                which = f" wave {turn} of {len(self._waves)}" if len(self._waves) > 1 else ""
                self._around.reporter.stage(f"deploying{which}", len(wave))
                by_host: dict[str, list[DeploymentRun]] = defaultdict(list)
                for proposal in wave:
                    if proposal.site is not None:
                        work = DeploymentContext(
                            f"{self._around.rollout}.{len(runs) + 1}", proposal, proposal.site, self._around
                        )
                        work.host_reload = not proposal.member.host.reload_once
                        runs.append(DeploymentRun(work, self._limit))
                        by_host[proposal.member.host.name].append(runs[-1])
                start_workers(
                    lambda of_host: self._guarded(of_host, told),
                    by_host.values(),
                    self._around.settings.parallel,
                    "envfab-host",
                )
                if not self._all_done(len(by_host), told):
                    self.given_up = True
                    break
        return {
            run.work.proposal.member.target: run.as_left() if self.given_up else run.result()
            for run in runs
            if run.began or not self.given_up
        }

    def _all_done(self, hosts: int, told: SimpleQueue[str]) -> bool:
        """Wait for all hosts; return False if a second Ctrl-C comes first."""
        while hosts:
            if told.get() != INTERRUPT:
                hosts -= 1
            elif self._around.interrupted.is_set():
                return False
            else:
                self._around.interrupted.set()
                self._around.reporter.warning(
                    "interrupted: no further deployment starts, and those under way are finished"
                    " (a second Ctrl-C ends at once and leaves them unfinished)"
                )
        return True

    def _guarded(self, runs: Sequence[DeploymentRun], told: SimpleQueue[str]) -> None:
        try:
            self._host(runs)
        except Exception as error:  # noqa: BLE001 - as in `DeploymentRun.through`
            for run in runs:
                run.break_down(error)
        finally:
            told.put(runs[0].work.proposal.member.host.name)

    @property
    def out_together(self) -> frozenset[str]:
        """The hosts, by name, of the wave that takes most of them out of service at the same time."""
        at_once = self._around.settings.parallel
        found = [{one.member.host.name for one in wave if one.member.host.drain} for wave in self._waves]
        return frozenset(max((hosts for hosts in found if len(hosts) <= at_once), key=len, default=()))

    @property
    def out_of_service(self) -> dict[str, EnvfabError | None]:
        """The hosts that may still be out of service, by name, and why they were not put back, where that is known."""
        return {name: self._left_out.get(name) for name, drain in self._drains if drain.is_open}

    def _host(self, runs: Sequence[DeploymentRun]) -> None:
        """Deploy to the virtualenvs of one host; whatever happens, put it back into service if it was taken out."""
        host = runs[0].work.proposal.member.host
        drain = HostDrain(host, self._around)
        self._drains.append((host.name, drain))
        for run in runs:
            run.work.host_drain = drain
        try:
            self._in_order(runs)
        finally:
            if drain.is_open:
                try:
                    drain.put_back()
                except EnvfabError as error:
                    self._left_out[host.name] = error

    def _in_order(self, runs: Sequence[DeploymentRun]) -> None:
        """Deploy to the virtualenvs of one host; `reload_once` reloads after all were switched, before any check."""
        at_once = max(1, runs[0].work.site.link.places // PLACES_OF_A_DEPLOYMENT)
        once = runs[0].work.proposal.member.host.reload_once
        parts = MAKING if once else MAKING + ENDING
        last = not once or len(runs) > at_once
        self._helpers.share(lambda run: run.through(parts, last=last), runs, at_once, "envfab-deploy")
        changed = [run for run in runs if run.going_on]
        if once and changed:
            try:
                self._reload_once(changed)
            except Exception as error:  # noqa: BLE001 - as in `DeploymentRun.through`
                for run in changed:
                    run.break_down(error)
            self._helpers.share(lambda run: run.through(ENDING, last=True), changed, at_once, "envfab-deploy")

    def _reload_once(self, runs: Sequence[DeploymentRun]) -> None:
        work = runs[0].work
        member = work.proposal.member
        for command in member.host.reload_commands(member.virtualenv):
            work.says(f"reload of the host: {command.shown}")
            for run in runs:
                run.work.after = None
            try:
                with observed([run.work for run in runs], "reload", command) as ran:
                    ran.outcome = execute(work, command, member.host.name, self._around.settings.command_timeout)
                if ran.outcome.status == 0:
                    continue
                what = f"the reload command {command.shown!r} ended with status {ran.outcome.status}"
                raise OperationFailed(what, where=member.host.name, kind="reload", output=ran.outcome.output)
            except EnvfabError as error:
                for run in runs:
                    run.fail(error, Recovery.PACKAGES_AND_RELOAD)
                    # the next recovery may need this one's places on the connection
                    run.work.site.leave()
                return

"""Planning of all selected virtualenvs at once: plans are yielded as hosts respond."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.deployment.proposal_work import ProposalWork
from envfab.errors import UsageError, WheelhouseError
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel
from envfab.remote.probe import Links, ProbeResult
from envfab.remote.probe_processes import number_of_processes, probe_in_processes
from envfab.remote.result_queue import ResultQueue
from envfab.util.progress import Reporter

if TYPE_CHECKING:
    from envfab.deployment.proposal import Proposal
    from envfab.planning.plan import Options
    from envfab.wheelhouse.wheelhouse import Wheelhouse


# a batch waits at most this many times `grace` for proposals that keep coming
PATIENCE = 5


class Proposals:
    """The proposals of one run, as they get ready.

    `refuse` is called with all of them, and raises if the command line is wrong for every one.
    """

    def __init__(self, arrivals: ResultQueue[Proposal], refuse: Callable[[Sequence[Proposal]], None]) -> None:
        self._arrivals = arrivals
        self._refuse = refuse

    def all(self) -> list[Proposal]:
        """Wait for all proposals and return them in the order of the members; raises what `refuse` raises."""
        proposals = self._arrivals.all()
        self._refuse(proposals)
        return proposals

    @property
    def members(self) -> tuple[Member, ...]:
        """The members that the proposals are for."""
        return self._arrivals.members

    @property
    def missing(self) -> tuple[Member, ...]:
        """The members whose proposals are not ready yet."""
        return self._arrivals.missing

    def batches(self, grace: float | None, settled: Callable[[Proposal], bool]) -> Iterator[list[Proposal]]:
        """Yield the proposals in batches, each in the order of the members, until every proposal was in one.

        `settled` is called once with each proposal; those for which it returns true are left out. A batch ends when
        it has changes to decide on and nothing more came for `grace` seconds, or after `PATIENCE` times `grace`. With
        None there is one batch.
        """
        from envfab.planning.plan import Status

        order = {member.target: number for number, member in enumerate(self.members)}
        ready: list[Proposal] = []
        enough = math.inf
        while self._arrivals.left:
            to_decide = any(proposal.plan.status is Status.CHANGES for proposal in ready)
            came = self._arrivals.take(grace if to_decide else None)
            ready += [proposal for proposal in came if not settled(proposal)]
            if grace is not None and not to_decide:
                enough = time.monotonic() + PATIENCE * grace
            if came and self._arrivals.left and time.monotonic() < enough:
                continue
            if not self._arrivals.left:
                self.all()
            if ready:
                yield sorted(ready, key=lambda proposal: order[proposal.member.target])
                ready = []


@contextmanager
def propose(  # noqa: PLR0913  # all that a plan depends on, and what tells of progress
    requirements: Mapping[Target, Requirements],
    members: Sequence[Member],
    links: Links,
    wheelhouse: Wheelhouse,
    options: Options,
    settings: Settings,
    reporter: Reporter,
    planned: Callable[[Proposal], None] = lambda _: None,
) -> Iterator[Proposals]:
    """Probe all members in parallel and plan each; yields the proposals as they get ready.

    With one process, the planner is imported while the first hosts are being probed. `planned` is called with each
    proposal, in any thread.
    """
    planner: Future[Callable[[ProbeResult], Proposal]] = Future()
    several = number_of_processes(settings, members) > 1
    if several:
        # what is read here, each process need not read again
        wheelhouse.projects()
        planner.set_result(_planner(requirements, wheelhouse, options))
    work = ProposalWork(lambda found: planner.result()(found), requirements, planned)
    with probe_in_processes(members, links, settings, reporter, work) as arrivals:
        try:
            if not several:
                planner.set_result(_planner(requirements, wheelhouse, options))
        except BaseException as error:
            # threads that wait for the planner would wait for ever
            planner.set_exception(error)
            raise
        yield Proposals(arrivals, _refuse_unknown)


def _planner(
    requirements: Mapping[Target, Requirements], wheelhouse: Wheelhouse, options: Options
) -> Callable[[ProbeResult], Proposal]:
    """Return a thread-safe function that makes the proposal for a probed virtualenv."""
    from envfab.deployment.host_checks import checked_on_host
    from envfab.deployment.proposal import Proposal, propose_one
    from envfab.planning.plan import Plan, status_without
    from envfab.planning.plan_cache import Plans

    plans = Plans(wheelhouse, options, wheelhouse.hashes)
    files = WheelFiles(wheelhouse)

    def look(found: ProbeResult) -> Proposal:
        wanted = requirements[found.member.target]
        if found.site is None or found.probe is None:
            lost = Plan(found.member.target, status_without(found.error), error=str(found.error))
            return Proposal(found.member, wanted, lost, error=found.error)
        proposal = _blocked_if_changed(propose_one(found.site, found.probe, wanted, plans), files)
        return checked_on_host(proposal, wheelhouse)

    return look


class WheelFiles:
    """The wheel files of a wheelhouse; each is compared with the release log once. Thread-safe."""

    def __init__(self, wheelhouse: Wheelhouse) -> None:
        self._wheelhouse = wheelhouse
        # by name and SHA-256: saved plans may name several of one name
        self._unchanged: set[tuple[str, str | None]] = set()
        self._reading = threading.Lock()

    def verify(self, proposal: Proposal) -> None:
        """Raise `WheelhouseError` if one of the proposal's wheels, or its file, does not match the release log."""
        with self._reading:
            unread = [wheel for wheel in proposal.wheels if (wheel.filename, wheel.sha256) not in self._unchanged]
            self._wheelhouse.verify_unchanged(unread)
            for wheel in unread:
                self._require_logged(wheel)
            self._unchanged.update((wheel.filename, wheel.sha256) for wheel in unread)

    def _require_logged(self, wheel: Wheel) -> None:
        """Raise `WheelhouseError` for a wheel of a saved plan that is not, as the plan has it, in the release log."""
        logged = [one.wheel for one in self._wheelhouse.releases(wheel.name) if one.wheel.filename == wheel.filename]
        if logged and logged[0].sha256 in (None, wheel.sha256):
            return
        why = "has another SHA-256 in the release log than in the plan" if logged else "is not in the wheelhouse"
        raise WheelhouseError(f"{wheel.filename} {why}", hint="make a new plan: fab plan --out FILE")


def _blocked_if_changed(proposal: Proposal, files: WheelFiles) -> Proposal:
    """The proposal, blocked if the file of one of its wheels does not match the release log."""

    try:
        files.verify(proposal)
    except WheelhouseError as error:
        return proposal.blocked(error)
    return proposal


def _refuse_unknown(proposals: Sequence[Proposal]) -> None:
    """Raise the usage error of the first virtualenv if every planned virtualenv has one."""
    planned = [proposal for proposal in proposals if proposal.probe is not None]
    wrong = [proposal.error for proposal in planned if isinstance(proposal.error, UsageError)]
    if wrong and len(wrong) == len(planned):
        raise wrong[0]

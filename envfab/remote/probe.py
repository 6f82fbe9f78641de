"""Looking at many virtualenvs at once: a probe, or the error that stood in the way, of each."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from packaging.tags import Tag

from envfab.config.host import Host
from envfab.config.target import Member
from envfab.errors import EnvfabError, internal_error
from envfab.models.probe import Probe
from envfab.remote import agent_sources, sudo
from envfab.remote.agent_replies import to_tags
from envfab.remote.agent_session import Session, start_agent
from envfab.remote.probe_replies import to_probe
from envfab.remote.process import HostConnection, Process, Reservation, SessionsRefused
from envfab.remote.result_queue import ResultQueue
from envfab.remote.startup import Identity
from envfab.remote.sudo import Grant, SudoError
from envfab.remote.workers import HURRY, join, start_workers
from envfab.util.progress import Reporter

# a deployment needs its own agent and one more process at a time: the project's agent, or a command
PLACES_OF_A_DEPLOYMENT = 2
A = TypeVar("A")
T = TypeVar("T")


class Links(Protocol):
    """Where links to hosts come from (`connections.Connections`)."""

    def link(self, host: Host) -> HostConnection:
        """The link to a host; raises `Unreachable`."""
        ...

    @property
    def sudo_password(self) -> str | None:
        """For sudo on any host."""
        ...


@dataclass(slots=True)
class TargetSession:
    """A virtualenv that can be spoken with: its places on the link and, while it has one, its agent."""

    member: Member
    link: HostConnection
    sudo_password: str | None = field(repr=False)
    timeout: float | None
    reservation: Reservation | None = None
    session: Session | None = None

    @property
    def owner(self) -> Identity:
        """Who must touch the environment."""
        return self.as_user(self.member.target.owner)

    def as_user(self, user: str | None) -> Identity:
        """`user` under sudo, or plainly where that is who logged in."""
        return Identity(None if user in (None, self.member.login) else user, self.sudo_password)

    def reserve(self, places: int = PLACES_OF_A_DEPLOYMENT) -> Reservation:
        """The places that a deployment needs, or fewer for a look, all at once; kept until `leave`."""
        if self.reservation is None:
            self.reservation = self.link.reserve(places)
        return self.reservation

    def agent(self) -> Session:
        """The agent in the virtualenv, started where it is not running."""
        if self.session is None:
            path = self.member.virtualenv.path
            self.session = start_agent(
                self.reserve(),
                f"{path}/bin/python",
                path,
                where=str(self.member.target),
                identity=self.owner,
                modules=agent_sources.PROBE,
                timeout=self.timeout,
            )
        return self.session

    def start(self, arguments: Sequence[str]) -> Process:
        """Start a process beside the agent. Where there is no place for both, the agent ends first."""
        reservation = self.reserve()
        if self.session is not None:
            if reservation.count > 1 and not self.link.tight:
                try:
                    return self.link.start(arguments, wait=False)
                except SessionsRefused:
                    pass
            self.end_agent()
        return reservation.start(arguments)

    def allowed(self, user: str | None, arguments: tuple[str, ...] | None) -> Grant:
        """What sudo says to `arguments` as `user`, or (None) to a shell; tested once a host; raises `SudoError`."""
        identity, where = self.as_user(user), str(self.member.target)

        def ask() -> Grant | SudoError:
            try:
                return sudo.test(self, identity, arguments, where=where, login=self.member.login)
            except SudoError as refused:
                return refused

        if identity.user is None:
            return Grant()
        found = self.link.remember(("sudo", self.member.login, identity.user, arguments), ask)
        if isinstance(found, SudoError):
            raise SudoError(found.what, where=where, hint=found.hint)
        return found

    def end_agent(self) -> None:
        """End the agent and keep the places; the next who needs it starts it anew."""
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def tags(self) -> tuple[Tag, ...]:
        """What its own pip says it supports, most preferred first."""
        session = self.agent()
        session.load(agent_sources.TAGS)
        return to_tags(session.ask("tags"), str(self.member.target))

    def leave(self) -> None:
        """End the agent and give the places back."""
        reservation, self.reservation = self.reservation, None
        self.end_agent()
        if reservation is not None:
            reservation.release()


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a survey says of a member: exactly one of `probe` and `error`."""

    member: Member
    site: TargetSession | None
    probe: Probe | None = None
    error: EnvfabError | None = None


@contextmanager
def survey(
    members: Sequence[Member],
    links: Links,
    reporter: Reporter,
    *,
    parallel: int,
    timeout: float | None,
    look: Callable[[ProbeResult], T],
) -> Iterator[ResultQueue[T]]:
    """Probe all `members`, hosts at once and each one's virtualenvs as its places allow.

    `look` is called with each find in its thread, while its agent still runs; what it returns is what arrives. Where it
    raises anything, it is called again with that as the find's error: nothing that one virtualenv says ends the rest.
    Where a host's places allow, agents stay for what comes next, until the context ends. Whoever leaves before all is
    there waits for nobody: what is still under way ends with its connection.
    """
    by_host: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        by_host[member.host.name].append(member)
    arrivals: ResultQueue[T] = ResultQueue(members)
    staying: list[TargetSession] = []
    reporter.stage("looking", len(members), lambda: hosts_of(arrivals.missing))

    def arrived(member: Member, what: T) -> None:
        # told before it can be taken: whoever takes the last one talks to the user next
        if not arrivals.over:
            reporter.advance("looking", str(member.target))
        arrivals.put(member.target, what)

    def one(member: Member, link: HostConnection, keep: bool) -> None:
        site = TargetSession(member, link, links.sudo_password, timeout)
        stays = False
        try:
            site.reserve(PLACES_OF_A_DEPLOYMENT if keep else 1)
            try:
                what = look(ProbeResult(member, site, probe=to_probe(member.target, site.agent().ask("probe"))))
                stays = keep
            except Exception as error:  # noqa: BLE001 - whatever one target says or does, it is that target's error
                what = look(ProbeResult(member, site, error=as_its_own(error, str(member.target))))
        finally:
            if stays and not arrivals.over:
                staying.append(site)
                link.end_where_needed(site.leave)
            else:
                # others wait for its place
                site.leave()
        arrived(member, what)

    def whole_host(mine: list[Member]) -> None:
        try:
            link = links.link(mine[0].host)
        except Exception as error:  # noqa: BLE001 - as above: a host's error is not that of the others
            for member in mine:
                arrived(member, look(ProbeResult(member, None, error=as_its_own(error, member.host.name))))
            return
        keep = len(mine) * PLACES_OF_A_DEPLOYMENT <= link.places
        if len(mine) == 1:
            one(mine[0], link, keep)
        else:
            at_once = min(link.places, len(mine))
            join(_all_at_once(lambda member: one(member, link, keep), mine, at_once, "envfab-probe", arrivals))
        link.keep_idle()

    threads = _all_at_once(whole_host, by_host.values(), min(parallel, len(by_host)), "envfab-host", arrivals)
    patience = None
    try:
        yield arrivals
    except KeyboardInterrupt:
        patience = HURRY
        raise
    finally:
        if arrivals.missing:
            arrivals.abandon()
        else:
            join(threads)
        leave_all(list(staying), patience)


def _all_at_once(
    function: Callable[[A], None], arguments: Iterable[A], most: int, name: str, arrivals: ResultQueue[T]
) -> list[threading.Thread]:
    """Call `function` for each of `arguments` in threads; once `arrivals` are over none is begun any more."""

    def guarded(argument: A) -> None:
        try:
            function(argument)
        except BaseException as error:  # noqa: BLE001 - raised again where the arrivals are awaited
            arrivals.fail(error)

    return start_workers(guarded, arguments, most, name, lambda: arrivals.over)


def as_its_own(error: Exception, where: str) -> EnvfabError:
    """Any exception as the error of the one target or host that it was met at."""
    return error if isinstance(error, EnvfabError) else internal_error(error, where)


def hosts_of(members: Iterable[Member]) -> list[str]:
    """The names of their hosts, each once."""
    return list(dict.fromkeys(member.host.name for member in members))


def leave_all(sites: Sequence[TargetSession], seconds: float | None = None) -> None:
    """Leave all sites, at once, for each goodbye waits for its peer; in `seconds` at most, whatever becomes of them."""
    left = [site for site in sites if site.session or site.reservation]
    join(start_workers(lambda site: site.leave(), left, len(left), "envfab-leave"), seconds)

"""Probing of many virtualenvs at once: each yields a probe or an error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from packaging.tags import Tag

from envfab.config.host import Host
from envfab.config.settings import Settings
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
from envfab.remote.workers import HURRY, SPARE, Helpers, join, start_workers
from envfab.util.progress import Reporter

# a deployment needs its agent and one more process at a time: a Django project's agent, or a command
PLACES_OF_A_DEPLOYMENT = 2
T = TypeVar("T")


class Links(Protocol):
    """The protocol of what opens connections to hosts (`ssh.connections.Connections`)."""

    def link(self, host: Host) -> HostConnection:
        """Return the connection to a host; raises `Unreachable`."""
        ...

    def link_later(self, host: Host) -> HostConnection:
        """Return the connection to a host, which is opened when a process is started on it, if it is not open."""
        ...

    @property
    def sudo_password(self) -> str | None:
        """The password for sudo on any host."""
        ...

    def ask_nobody(self) -> None:
        """Raise `NeedsTerminal` from now on instead of asking at the terminal."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(slots=True)
class TargetSession:
    """A session with one virtualenv: its places on the host's connection, and its agent while that runs."""

    member: Member
    link: HostConnection
    sudo_password: str | None = field(repr=False)
    timeout: float | None
    reservation: Reservation | None = None
    session: Session | None = None

    @property
    def owner(self) -> Identity:
        """The identity that may change the virtualenv: its owner."""
        return self.as_user(self.member.target.owner)

    def as_user(self, user: str | None) -> Identity:
        """Return the identity of `user`: by sudo, unless `user` is the login user or None."""
        return Identity(None if user in (None, self.member.login) else user, self.sudo_password)

    def reserve(self, places: int = PLACES_OF_A_DEPLOYMENT) -> Reservation:
        """Wait for places on the connection, as many as a deployment needs by default; they are kept until `leave`."""
        if self.reservation is None:
            self.reservation = self.link.reserve(places)
        return self.reservation

    def agent(self) -> Session:
        """Return the session with the virtualenv's agent, which is started if it is not running.

        Raises as `start_agent` does.
        """
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
        """Start a process beside the agent; if there is no place for both, the agent is ended first."""
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
        """Test whether sudo allows `arguments`, or a shell if None, as `user`; tested once for each host.

        Raises `SudoError` if it does not.
        """
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
        """End the agent and keep the places; `agent` starts it again."""
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def tags(self) -> tuple[Tag, ...]:
        """Ask the agent for the tags that the interpreter supports (PEP 425), most preferred first."""
        session = self.agent()
        session.load(agent_sources.TAGS)
        return to_tags(session.ask("tags"), str(self.member.target))

    def leave(self) -> None:
        """End the agent and release the places."""
        reservation, self.reservation = self.reservation, None
        self.end_agent()
        if reservation is not None:
            reservation.release()


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of probing a member: exactly one of `probe` and `error`."""

    member: Member
    site: TargetSession | None
    probe: Probe | None = None
    error: EnvfabError | None = None


@contextmanager
def probe_all(
    members: Sequence[Member],
    links: Links,
    settings: Settings,
    reporter: Reporter,
    *,
    look: Callable[[ProbeResult], T],
    needed: Callable[[T], bool] = lambda _: False,
) -> Iterator[ResultQueue[T]]:
    """Probe all `members`: `settings.parallel` hosts at once, and each host's virtualenvs as places and helpers allow.

    `look` is called with each result, in that member's thread, while its agent still runs; what it returns is put into
    the queue. If it raises, it is called again with the exception as the result's error, so that an error of one
    virtualenv does not end the others. Agents that are `needed` for what comes next are kept running until the context
    ends, if places allow and if all connections can stay open. A context that is left early does not wait: what is
    still under way ends with its connection.
    """
    by_host: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        by_host[member.host.name].append(member)
    arrivals: ResultQueue[T] = ResultQueue(members)
    helpers = Helpers(len(by_host), settings.parallel)
    staying: list[TargetSession] = []
    reporter.stage("looking", len(members), lambda: hosts_of(arrivals.missing))

    def arrived(member: Member, what: T) -> None:
        # reported before it can be taken: after the last result, the caller writes to the terminal
        if not arrivals.over:
            reporter.advance("looking", str(member.target))
        arrivals.put(member.target, what)

    def one(member: Member, link: HostConnection, keep: bool) -> None:
        site = TargetSession(member, link, links.sudo_password, settings.command_timeout)
        stays = False
        try:
            site.reserve(PLACES_OF_A_DEPLOYMENT if keep else 1)
            try:
                what = look(ProbeResult(member, site, probe=to_probe(member.target, site.agent().ask("probe"))))
                stays = keep and needed(what)
            except Exception as error:  # noqa: BLE001 - any exception is an error of this target alone
                what = look(ProbeResult(member, site, error=as_its_own(error, str(member.target))))
        finally:
            if stays and not arrivals.over:
                staying.append(site)
                link.end_where_needed(site.leave)
            else:
                # other virtualenvs of the host may be waiting for its places
                site.leave()
        arrived(member, what)

    def host(mine: list[Member]) -> None:
        try:
            link = links.link(mine[0].host)
        except Exception as error:  # noqa: BLE001 - any exception is an error of this host alone
            for member in mine:
                arrived(member, look(ProbeResult(member, None, error=as_its_own(error, member.host.name))))
            return
        # more hosts than connections: those that are open are needed for the hosts that come next
        keep = len(by_host) <= settings.parallel + SPARE and len(mine) * PLACES_OF_A_DEPLOYMENT <= link.places

        def guarded_one(member: Member) -> None:
            try:
                one(member, link, keep)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that takes the arrivals
                arrivals.fail(error)

        helpers.share(guarded_one, mine, link.places, "envfab-probe", lambda: arrivals.over)
        link.keep_idle()

    def guarded_host(mine: list[Member]) -> None:
        try:
            host(mine)
        except BaseException as error:  # noqa: BLE001 - as above
            arrivals.fail(error)

    threads = start_workers(guarded_host, by_host.values(), settings.parallel, "envfab-host", lambda: arrivals.over)
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


def as_its_own(error: Exception, where: str) -> EnvfabError:
    """Convert any exception to an error of the target or host `where`."""
    return error if isinstance(error, EnvfabError) else internal_error(error, where)


def hosts_of(members: Iterable[Member]) -> list[str]:
    """Return the names of the members' hosts, each once."""
    return list(dict.fromkeys(member.host.name for member in members))


def leave_all(sites: Sequence[TargetSession], seconds: float | None = None) -> None:
    """Leave all sessions in parallel, since each waits for its agent to end; wait for at most `seconds`."""
    left = [site for site in sites if site.session or site.reservation]
    join(start_workers(lambda site: site.leave(), left, len(left), "envfab-leave"), seconds)

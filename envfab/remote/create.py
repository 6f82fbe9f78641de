"""Creation of configured virtualenvs, and discovery of those that no fabfile has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from envfab.config.host import Host
from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.errors import EnvfabError
from envfab.remote import agent_sources
from envfab.remote.agent_replies import Discovered, to_creation, to_discovered
from envfab.remote.agent_session import OperationFailed, start_agent
from envfab.remote.probe import Links, TargetSession, as_its_own
from envfab.remote.process import Starter
from envfab.remote.startup import Identity
from envfab.remote.workers import join, start_workers
from envfab.util.progress import Reporter

ROOTS = ("/srv", "/opt", "/var/www", "/var/lib", "/home", "/root", "/usr/local")
DEPTH = 4


@dataclass(frozen=True, slots=True)
class Creation:
    """The result for one virtualenv: made or repaired `by` venv or virtualenv, sound before (None), or an error."""

    member: Member
    by: str | None = None
    version: str | None = None
    repaired: bool = False
    error: EnvfabError | None = None


def create(
    members: Sequence[Member], links: Links, settings: Settings, reporter: Reporter, *, repair: bool = False
) -> list[Creation]:
    """Create each member's virtualenv with its `python`, as its owner; several at once.

    With `repair`, virtualenvs that lost their interpreter or pyvenv.cfg get them back and keep their packages.
    """
    reporter.stage("creating", len(members))

    made: dict[Target, Creation] = {}

    def one(member: Member) -> None:
        try:
            made[member.target] = _create(member, links, settings, reporter, repair)
        except Exception as error:  # noqa: BLE001 - an error of one target must not affect the others
            made[member.target] = Creation(member, error=as_its_own(error, str(member.target)))
        finally:
            reporter.advance("creating", str(member.target))

    join(start_workers(one, members, settings.parallel, "envfab-create"))
    return [made[member.target] for member in members]


def _create(member: Member, links: Links, settings: Settings, reporter: Reporter, repair: bool) -> Creation:
    where, virtualenv = str(member.target), member.virtualenv
    link = links.link(member.host)
    site = TargetSession(member, link, links.sudo_password, settings.command_timeout)
    with link.reserve(1) as places:
        reporter.working(where, f"creating it with {virtualenv.python}")
        with start_agent(
            places,
            virtualenv.python,
            virtualenv.path,
            where=where,
            identity=site.owner,
            modules=agent_sources.PROBE,
            if_absent="`python` in the fabfile must be an interpreter of that host",
        ) as agent:
            agent.load(agent_sources.CREATE)
            try:
                reply = agent.ask(
                    "create",
                    system_site_packages=virtualenv.system_site_packages,
                    umask=settings.umask,
                    repair=repair,
                )
            except OperationFailed as error:
                raise _explained(error, where) from None
        created = Creation(member, *to_creation(reply, where))
    if created.by is not None and not created.repaired:
        with link.reserve(1) as places:
            _begin_generations(places, site, settings, where)
    return created


def _begin_generations(starter: Starter, site: TargetSession, settings: Settings, where: str) -> None:
    """Make generation 0 of a new virtualenv, with the virtualenv's own interpreter."""
    path = site.member.virtualenv.path
    with start_agent(
        starter, f"{path}/bin/python", path, where=where, identity=site.owner, modules=agent_sources.PROBE
    ) as agent:
        agent.load(agent_sources.DEPLOY)
        agent.load(agent_sources.GENERATIONS)
        agent.ask("found", umask=settings.umask)


def _explained(error: OperationFailed, where: str) -> OperationFailed:
    last = next((line for line in reversed(error.output.splitlines()) if line.strip()), "")
    what = f"{error.what}: {last}" if last else error.what
    return OperationFailed(what, where=where, kind=error.kind, output=error.output, errno=error.errno)


@dataclass(frozen=True, slots=True)
class Discovery:
    """The virtualenvs found, the folders searched down to `depth`, and how many folders could not be read."""

    found: tuple[Discovered, ...]
    looked_in: tuple[str, ...]
    unread: int
    depth: int = DEPTH


def discover(host: Host, links: Links, python: str = "python3") -> Discovery:
    """Search a host for virtualenvs, as the login user; raises `EnvfabError`."""
    with (
        links.link(host).reserve(1) as places,
        start_agent(
            places,
            python,
            "/",
            where=host.name,
            identity=Identity(),
            modules=agent_sources.PROBE,
            if_absent="install Python there; the search needs it",
        ) as agent,
    ):
        agent.load(agent_sources.DISCOVER)
        reply = agent.ask("discover", roots=ROOTS, depth=DEPTH)
    return Discovery(*to_discovered(reply, host.name))

"""Upkeep of virtualenvs apart from deployments: releasing them from their generations, cleaning stores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.errors import AgentError, EnvfabError, Unusable, VirtualenvMissing
from envfab.remote import agent_sources
from envfab.remote.agent_replies import Cleaned, StoreSize, to_cleaned, to_released, to_store_size
from envfab.remote.agent_session import Session, start_agent
from envfab.remote.probe import Links, TargetSession, as_its_own
from envfab.remote.workers import join, start_workers
from envfab.util.progress import Reporter


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The result for one virtualenv: the operation's `value`, or an error."""

    member: Member
    value: Any = None
    error: EnvfabError | None = None


def release(
    members: Sequence[Member], links: Links, settings: Settings, reporter: Reporter, holder: dict[str, Any]
) -> list[Upkeep]:
    """Make each virtualenv a plain one again; `value` is whether it had generations.

    Each is locked meanwhile, as by a deployment; `holder` describes the lock's holder to others that find it locked.
    """

    def one(agent: Session, where: str) -> bool:
        agent.load(agent_sources.DEPLOY)
        agent.load(agent_sources.GENERATIONS)
        found = agent.ask("lock", holder=holder)
        probe = found.get("probe")
        if isinstance(probe, dict) and probe.get("journal") is not None:
            raise AgentError("a deployment was interrupted", where=where, hint="finish it first: fab deploy")
        return to_released(agent.ask("release"), where)

    return _each(members, links, settings, reporter, "releasing", one)


def clean(
    members: Sequence[Member], links: Links, settings: Settings, reporter: Reporter, *, everything: bool
) -> list[Upkeep]:
    """Remove the wheels that no generation uses, or all wheels, from each owner's store; `value` is a `Cleaned`.

    Virtualenvs of one owner on a host share a store, which is cleaned once, by the agent in the first of them.
    """
    first = [sharing[0] for sharing in _by_store(members)]

    def one(agent: Session, where: str) -> Cleaned:
        agent.load(agent_sources.DEPLOY)
        agent.load(agent_sources.GENERATIONS)
        return to_cleaned(agent.ask("clean", all=everything), where)

    return _each(first, links, settings, reporter, "cleaning", one)


def measure(members: Sequence[Member], links: Links, settings: Settings, reporter: Reporter) -> list[Upkeep]:
    """Ask for the size of each owner's store; `value` is a `StoreSize`.

    Virtualenvs of one owner on a host share a store: the first of them that can be worked with is asked.
    """

    def one(agent: Session, where: str) -> StoreSize:
        agent.load(("lock", "subprocesses", "wheel_cache"))
        agent.load(agent_sources.STORE)
        return to_store_size(agent.ask("measure"), where)

    waiting = _by_store(members)
    found: dict[tuple[str, str], Upkeep] = {}
    while waiting:
        asked = _each([sharing[0] for sharing in waiting], links, settings, reporter, "measuring", one)
        found |= {_store_of(done.member): done for done in asked}
        useless = {done.member for done in asked if isinstance(done.error, (VirtualenvMissing, Unusable))}
        waiting = [sharing[1:] for sharing in waiting if sharing[1:] and sharing[0] in useless]
    return list(found.values())


def _by_store(members: Sequence[Member]) -> list[list[Member]]:
    """The members that share a store, in their order."""
    shared: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for member in members:
        shared[_store_of(member)].append(member)
    return list(shared.values())


def _store_of(member: Member) -> tuple[str, str]:
    return member.target.host, member.target.owner


def _each(
    members: Sequence[Member],
    links: Links,
    settings: Settings,
    reporter: Reporter,
    stage: str,
    operation: Callable[[Session, str], Any],
) -> list[Upkeep]:
    """Run an operation by an agent in each virtualenv, as its owner; several at once."""
    reporter.stage(stage, len(members))
    done: dict[Target, Upkeep] = {}

    def one(member: Member) -> None:
        where, path = str(member.target), member.virtualenv.path
        try:
            link = links.link(member.host)
            site = TargetSession(member, link, links.sudo_password, settings.command_timeout)
            with (
                link.reserve(1) as places,
                start_agent(
                    places, f"{path}/bin/python", path, where=where, identity=site.owner, modules=agent_sources.PROBE
                ) as agent,
            ):
                done[member.target] = Upkeep(member, operation(agent, where))
        except Exception as error:  # noqa: BLE001 - an error of one target must not affect the others
            done[member.target] = Upkeep(member, error=as_its_own(error, where))
        finally:
            reporter.advance(stage, where)

    join(start_workers(one, members, settings.parallel, "envfab-upkeep"))
    return [done[member.target] for member in members]

"""Upkeep of virtualenvs apart from deployments: releasing them from their generations, cleaning stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.errors import AgentError, EnvfabError
from envfab.remote import agent_sources
from envfab.remote.agent_replies import Cleaned, to_cleaned, to_released
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
    seen: set[tuple[str, str]] = set()
    first = []
    for member in members:
        shared = (member.target.host, member.target.owner)
        if shared not in seen:
            seen.add(shared)
            first.append(member)

    def one(agent: Session, where: str) -> Cleaned:
        agent.load(agent_sources.DEPLOY)
        agent.load(agent_sources.GENERATIONS)
        return to_cleaned(agent.ask("clean", all=everything), where)

    return _each(first, links, settings, reporter, "cleaning", one)


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

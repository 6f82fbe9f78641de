"""The interpreters of the targets, and what is installed there: all that supply asks of a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from envfab.errors import EnvfabError
from envfab.facts.probe import Probe
from envfab.fleet import Member, Target
from envfab.managed.survey import Found, Links, survey
from envfab.reporter import Reporter
from envfab.settings import Settings


@dataclass(frozen=True, slots=True)
class Look:
    """A member as it was found: exactly one of `probe` and `error`."""

    member: Member
    probe: Probe | None = None
    error: EnvfabError | None = None


def look(
    members: Sequence[Member], links: Links, settings: Settings, reporter: Reporter, *, tags: bool = True
) -> list[Look]:
    """Probe all members at once, with their interpreters' tags where `tags` are wanted."""
    probes: dict[Target, Probe] = {}

    def ask(found: Found) -> None:
        if found.site is not None and found.probe is not None:
            probe = found.probe
            if tags:
                probe = replace(probe, interpreter=probe.interpreter.with_tags(found.site.tags()))
            probes[found.member.target] = probe

    parallel, timeout = settings.parallel, settings.command_timeout
    with survey(members, links, reporter, parallel=parallel, timeout=timeout, look=ask) as finds:
        return [
            Look(found.member, error=found.error)
            if found.error is not None
            else Look(found.member, probes[found.member.target])
            for found in finds
        ]

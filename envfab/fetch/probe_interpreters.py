"""The interpreters of the targets, and what is installed there: all that supply asks of a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from envfab.config.settings import Settings
from envfab.config.target import Member
from envfab.errors import AgentError, EnvfabError
from envfab.models.probe import Probe
from envfab.remote.probe import Links, ProbeResult, probe_all
from envfab.util.progress import Reporter


@dataclass(frozen=True, slots=True)
class Look:
    """A member as it was found: exactly one of `probe` and `error`."""

    member: Member
    probe: Probe | None = None
    error: EnvfabError | None = None


def look(
    members: Sequence[Member],
    links: Links,
    settings: Settings,
    reporter: Reporter,
    *,
    tags: bool = True,
    must: bool = True,
) -> list[Look]:
    """Probe all members at once, with their interpreters' tags where `tags` are wanted.

    A member whose tags cannot be had has an error; unless they `must` be known, it has none of them.
    """

    def ask(found: ProbeResult) -> Look:
        probe = found.probe
        if tags and found.site is not None and probe is not None:
            try:
                probe = replace(probe, interpreter=probe.interpreter.with_tags(found.site.tags()))
            except AgentError:
                if must:
                    raise
        return Look(found.member, probe, found.error)

    with probe_all(members, links, settings, reporter, look=ask) as looks:
        return looks.all()

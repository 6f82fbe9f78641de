"""How envfab's own usage statistics stand: configured, chosen, waiting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envfab.config.fleet import Fleet
from envfab.config.servers import UsageStats
from envfab.errors import EnvfabError, UsageError
from envfab.tasks.shared.usage_reports import ENV_VAR, folder_of, open_statistics
from envfab.usagestats import Stats
from envfab.usagestats.consent import environment_forbids, read_choice
from envfab.usagestats.delivery import RETRY
from envfab.usagestats.kept_policy import KeptPolicy, read_kept
from envfab.usagestats.pause import parse_pauses
from envfab.usagestats.queue import Queue
from envfab.util.counts import count
from envfab.util.untrusted import shown_url

NOT_CONFIGURED = "the fleet has no usage statistics"
HOW = "say Fleet(usage_stats=UsageStats(URL)) in the fabfile"
HOMELESS = "you have no home folder to keep usage statistics in, so nothing is recorded"
MEANING = {
    "enabled": "enabled: reports are sent",
    "disabled": "disabled: nothing is recorded",
    "unset": "not chosen yet: reports are kept, and nothing is sent",
    "unreadable": "the choice cannot be read: nothing is recorded",
}


def forbidding(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the environment variables that switch statistics off."""
    return tuple(name for name in sorted(environ) if environment_forbids({name: environ[name]}, ENV_VAR, skip_ci=True))


@dataclass(frozen=True, slots=True)
class State:
    """What `stats_status` prints; reading it writes nothing."""

    server: str
    folder: Path | None
    status: str
    waiting: int
    forbidden_by: tuple[str, ...]
    policy: KeptPolicy | None = None

    @classmethod
    def read(cls, usage: UsageStats, environ: Mapping[str, str]) -> State:
        """Read the current state."""
        folder = folder_of(usage)
        waiting = len(Queue(folder).names()) if folder is not None else 0
        policy = read_kept(folder, usage.url) if folder is not None else None
        return cls(shown_server(usage), folder, _choice(folder), waiting, forbidding(environ), policy)

    @property
    def meaning(self) -> str:
        """What happens to reports at present, in words."""
        if self.folder is None:
            return HOMELESS
        if self.forbidden_by:
            return f"switched off by {_and(self.forbidden_by)}: nothing is recorded or sent"
        return MEANING[self.status]

    def lines(self) -> Iterable[str]:
        """For people."""
        yield f"status   {self.meaning}"
        if self.forbidden_by:
            yield f"         without {_and(self.forbidden_by)}: {MEANING[self.status]}"
        yield f"server   {self.server}"
        if self.folder is not None:
            yield f"kept in  {self.folder}"
            yield f"waiting  {count(self.waiting, 'report')}"
        if self.policy is not None and self.policy.asked:
            yield f"policy   {policy_in_words(self.policy)}"

    def json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "status": self.status,
            "recorded": self.folder is not None and not self.forbidden_by and self.status in ("unset", "enabled"),
            "server": self.server,
            "folder": str(self.folder) if self.folder is not None else None,
            "waiting": self.waiting,
            "forbidden_by": list(self.forbidden_by),
            "policy": _policy_json(self.policy) if self.policy is not None and self.policy.asked else None,
        }


def policy_in_words(kept: KeptPolicy) -> str:
    """What the server allows, and why its last answer could not be used."""
    trouble = f" ({kept.why})" if kept.why else ""
    if not kept.known:
        return f"not known, so nothing is sent{trouble}"
    policy = kept.policy()
    if policy is None:
        return f"the server has none{trouble}"
    return f"of {policy.date}: {count(len(policy.keys), 'key')} may be sent{trouble}"


def _policy_json(kept: KeptPolicy) -> dict[str, Any]:
    policy = kept.policy()
    allowed = {"date": policy.date, "keys": sorted(policy.keys)} if policy is not None else {}
    return {"answer": kept.answer.value, "trouble": kept.why or None, **allowed}


def _choice(folder: Path | None) -> str:
    try:
        word = read_choice(folder) if folder is not None else None
    except OSError:
        return "unreadable"
    return {"ENABLED": "enabled", "DISABLED": "disabled"}.get(word or "", "unset")


def configured(fleet: Fleet) -> UsageStats:
    """Return the fleet's usage statistics; raises `UsageError` where it has none."""
    if fleet.usage_stats is None:
        raise UsageError(NOT_CONFIGURED, hint=HOW)
    return fleet.usage_stats


def why_left(folder: Path, drop_point: str) -> str:
    """Return why reports are left after sending, as far as the library notes it."""
    try:
        pauses = parse_pauses((folder / RETRY).read_bytes())
    except OSError:
        return ""
    kept = read_kept(folder, drop_point)
    if not kept.known and kept.why.startswith("the policy"):
        return f" (what the server takes is not known: {kept.why})"
    if pauses.server.failures:
        return " (no answer, or an error of the server)"
    return " (the server refused them)" if pauses.reports else ""


def opened(usage: UsageStats) -> Stats:
    """Open the user's reports and choice; raises `EnvfabError` where there is no folder for them."""
    stats = open_statistics(usage)
    if stats is None:
        raise EnvfabError(HOMELESS, hint="set HOME or XDG_STATE_HOME")
    return stats


def unkept(stats: Stats) -> EnvfabError:
    """Return the error for a choice that cannot be saved."""
    return EnvfabError("cannot save your choice", where=stats.location, hint=f"make it writable, or set {ENV_VAR}=off")


def shown_server(usage: UsageStats) -> str:
    """The server's URL, without a password."""
    return shown_url(usage.url)


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(names)

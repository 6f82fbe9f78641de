"""Slices: parts of a fleet that several machines deploy to, each to its own, without asking one another.

The division is a function of the whole fleet, not of what a command line selects. So all machines that have the same
fabfile divide alike, in whatever order it lists the hosts.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envfab.config.host import Host
from envfab.config.target import Member
from envfab.errors import UsageError
from envfab.util.counts import count

# whole numbers without a sign, too short to take long to read
_FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})", re.ASCII)
_SHOWN = 40  # characters


@dataclass(frozen=True, slots=True)
class Slice:
    """One of `count` slices of a fleet, which are numbered from 1. As a text it is `3/8`."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Slice:
        """Read what `--slice` was given; raises `UsageError` if it does not name a slice."""
        found = _FORM.fullmatch(text)
        if found is None:
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
            raise UsageError(
                f"must be K/N, such as 3/8, not {shown!r}",
                where="--slice",
                hint="is a variable of your shell unset? K is the number of the slice, N how many there are",
            )
        number, of = int(found[1]), int(found[2])
        if of == 0:
            raise UsageError(f"{text}: a fleet cannot be divided into 0 slices", where="--slice")
        if not 1 <= number <= of:
            only = f"{of} slices are numbered from 1 to {of}" if of > 1 else "a single slice is 1/1"
            raise UsageError(f"there is no slice {number}/{of}", where="--slice", hint=only)
        return cls(number, of)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def hosts_of(self, fleet: Iterable[Host]) -> frozenset[str]:
        """Return the names of this slice's hosts, of all the `fleet` has.

        Raises `UsageError` if the slice is empty, because the fleet has fewer groups of hosts than there are slices.
        """
        slices = divide(fleet, self.count)
        if not slices:
            raise UsageError("the fleet has no virtualenvs that could be divided into slices", where="--slice")
        if self.number > len(slices):
            raise UsageError(
                f"slice {self} is empty: the fleet can be divided into {count(len(slices), 'slice')} at most",
                where="--slice",
                hint=f"hosts stay whole, and together where they share a database: use --slice K/{len(slices)}",
            )
        return slices[self.number - 1]


def divide(fleet: Iterable[Host], number: int) -> tuple[frozenset[str], ...]:
    """Divide the hosts that have virtualenvs into at most `number` slices, none of them empty; return the hosts' names.

    Hosts that share a `database` are in one slice. Groups of hosts are distributed by their number of virtualenvs: the
    largest first, each into the slice that has the fewest so far; among equals names decide, not the fabfile's order.
    """
    groups = sorted(_groups(fleet), key=lambda group: (-sum(len(host.virtualenvs) for host in group), group[0].name))
    slices: list[set[str]] = [set() for _ in range(min(number, len(groups)))]
    fewest = [(0, index) for index in range(len(slices))]
    for group in groups:
        virtualenvs, index = fewest[0]
        slices[index].update(host.name for host in group)
        heapq.heapreplace(fewest, (virtualenvs + sum(len(host.virtualenvs) for host in group), index))
    return tuple(map(frozenset, slices))


def _groups(fleet: Iterable[Host]) -> list[list[Host]]:
    """The hosts that have virtualenvs, by name, in groups of those that must not be divided (union-find)."""
    hosts = sorted((host for host in fleet if host.virtualenvs), key=lambda host: host.name)
    parents = {host.name: host.name for host in hosts}

    def root(name: str) -> str:
        while parents[name] != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    users: dict[str, str] = {}
    for host in hosts:
        for database in databases(host):
            parents[root(host.name)] = root(users.setdefault(database, host.name))
    groups: dict[str, list[Host]] = {}
    for host in hosts:
        groups.setdefault(root(host.name), []).append(host)
    return list(groups.values())


def databases(host: Host) -> frozenset[str]:
    """Return the labels of all databases that the host's projects use."""
    projects = (project for virtualenv in host.virtualenvs for project in virtualenv.projects)
    return frozenset(project.database for project in projects if project.database is not None)


def unlabelled(fleet: Iterable[Host], within: frozenset[str]) -> list[str]:
    """Return the settings modules that are migrated both on hosts `within` a slice and on others, without a `database`.

    Nothing says whether these hosts share a database. One rollout migrates them one after the other; rollouts of
    several slices do not know of each other.
    """
    inside: set[str] = set()
    outside: set[str] = set()
    for host in fleet:
        for virtualenv in host.virtualenvs:
            found = {one.settings for one in virtualenv.projects if one.migrate and one.database is None}
            (inside if host.name in within else outside).update(found)
    return sorted(inside & outside)


def fingerprint(members: Sequence[Member]) -> str:
    """Return a SHA-256, in hex, that two fleets have in common only if they have the same targets and divide alike.

    `members` are all of the fleet, in any order. Who logs in matters only where that decides who owns a virtualenv.
    """
    listed = sorted(
        (
            str(member.target),
            member.host.reload_once,
            sorted({project.database for project in member.virtualenv.projects if project.database is not None}),
        )
        for member in members
    )
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()

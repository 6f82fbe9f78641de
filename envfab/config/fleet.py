"""All that a fabfile configures.

It is frozen and checked when it is made: a wrong value raises a `ConfigurationError` that names the field and the line
of the fabfile. Nothing here contacts a host or imports Fabric.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, replace
from pathlib import Path

from envfab.config.asked_hosts import AskedHosts
from envfab.config.drain import Group
from envfab.config.events import Collector, Listener, Receiver
from envfab.config.host import Host
from envfab.config.servers import Secret, Server, UsageStats
from envfab.config.target import Member, Target
from envfab.config.validation import (
    check_instances,
    configuration,
    error,
    folder_of_the_caller,
    instances,
    is_path,
    put,
    wrong,
)
from envfab.config.virtualenv import Virtualenv
from envfab.config.wheel_source import SOURCE_HINT, ask_for_source, problem_of_source
from envfab.util.paths import expand


@configuration
class Fleet:
    """All that a fabfile configures. Relative paths start at the folder of the file that makes it.

    `hosts` may be a function that returns them: it is called once, when they are first needed. With `signers`, a file
    of OpenSSH's allowed signers, each release must be signed; with `require_host_verification`, nothing is deployed to
    hosts that cannot check that themselves. With `approvers`, a file of the same kind, only saved plans are deployed
    that one of them approved. `signing_key` is the key of whoever runs `fab`. `accepted_findings` is the file that
    `accept_finding` writes. `advisories` is OSV's export for PyPI: what it reports as malicious is refused.
    """

    wheels: str | os.PathLike[str] = "wheels"
    release_log: str | os.PathLike[str] = "release_log"
    hosts: Sequence[Host] | Callable[[], Iterable[Host]] = ()
    registration: Sequence[Server] = ()
    usage_stats: UsageStats | None = None
    wheel_source: Secret = field(default=None, repr=False)
    root: str | os.PathLike[str] | None = None
    groups: Sequence[Group] = ()
    signers: str | os.PathLike[str] | None = None
    signing_key: str | os.PathLike[str] | None = None
    require_host_verification: bool = False
    approvers: str | os.PathLike[str] | None = None
    events: Sequence[Listener] = ()
    accepted_findings: str | os.PathLike[str] = "accepted_findings"
    advisories: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        for name in ("wheels", "release_log", "accepted_findings"):
            if not is_path(getattr(self, name)):
                wrong(self, name, f"must be a path, not {getattr(self, name)!r}")
        for name in ("signers", "signing_key", "approvers", "advisories"):
            if getattr(self, name) is not None and not is_path(getattr(self, name)):
                wrong(self, name, f"must be a path, not {getattr(self, name)!r}")
        if not isinstance(self.require_host_verification, bool):
            wrong(self, "require_host_verification", f"must be True or False, not {self.require_host_verification!r}")
        if self.require_host_verification and self.signers is None:
            wrong(self, "require_host_verification", "needs signers: without them there is nothing to verify")
        put(self, "root", Path(self.root) if self.root is not None else folder_of_the_caller())
        check_instances(self, "groups", Group)
        if callable(self.hosts):
            put(self, "hosts", AskedHosts(self.hosts, self._checked))
        else:
            put(self, "hosts", self._checked(self.hosts))
        check_instances(
            self, "registration", Server, called="registration servers, such as Difio(…) or DependencyTrack(…)"
        )
        check_instances(self, "events", Listener, called="receivers of events, such as Webhook(…) or Exec(…)")
        self._check_collectors()
        if self.usage_stats is not None and not isinstance(self.usage_stats, UsageStats):
            wrong(self, "usage_stats", f"must be UsageStats(url), not {self.usage_stats!r}")
        written = self.wheel_source is not None and not callable(self.wheel_source)
        if written and (problem := problem_of_source(self.wheel_source)):
            wrong(self, "wheel_source", problem, SOURCE_HINT)

    def _checked(self, given: object) -> tuple[Host, ...]:
        hosts: tuple[Host, ...] = instances(self, "hosts", given, Host)
        names: set[str] = set()
        for host in hosts:
            if host.name in names:
                wrong(self, "hosts", f"two hosts are named {host.name!r}", "list its virtualenvs in one Host(…)")
            names.add(host.name)
            paths: set[str] = set()
            for virtualenv in host.virtualenvs:
                if virtualenv.path in paths:
                    wrong(self, "hosts", f"{host.name}:{virtualenv.path} is listed twice", "remove one of the two")
                paths.add(virtualenv.path)
        return tuple(map(self._with_group, hosts)) if self.groups else hosts

    def _with_group(self, host: Host) -> Host:
        """The host with the commands of its group that take it out of service, if it has none of its own."""
        found = [group for group in self.groups if group.name in host.groups]
        if host.drain or not found:
            return host
        if len(found) > 1:
            names = " and ".join(group.name for group in found)
            wrong(self, "groups", f"{names} both say how to drain {host.name}", "say it in Host(…)")
        (group,) = found
        return replace(host, drain=group.drain, undrain=group.undrain, settle=group.settle)

    def all_hosts(self) -> Sequence[Host]:
        """Return the hosts; a function that is to return them is called if it was not before.

        Raises `ConfigurationError` where it fails, or returns something else.
        """
        assert isinstance(self.hosts, Sequence)
        return self.hosts.ask() if isinstance(self.hosts, AskedHosts) else self.hosts

    def _check_collectors(self) -> None:
        urls = [one.url.rstrip("/") for one in self.collectors if isinstance(one.url, str)]
        if len(set(urls)) < len(urls):
            wrong(self, "events", "must name each Collector(…) once", "leave out the second one")

    @property
    def receivers(self) -> tuple[Receiver, ...]:
        """What gets events."""
        return tuple(one for one in self.events if isinstance(one, Receiver))

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """What is told whole rollouts."""
        return tuple(one for one in self.events if isinstance(one, Collector))

    def empty_groups(self) -> tuple[str, ...]:
        """Return a line for each group of `groups` that no host is in, as after a slip of the pen."""
        known = sorted({name for host in self.all_hosts() for name in host.groups})
        found = []
        for group in self.groups:
            if group.name not in known:
                close = difflib.get_close_matches(group.name, known, n=1)
                meant = f"; did you mean {close[0]!r}?" if close else ""
                found.append(f"Fleet.groups: no host is in the group {group.name!r}, so it drains none{meant}")
        return tuple(found)

    def source_of_wheels(self) -> str | None:
        """The address of the package index that targets fetch wheels from, if there is one; asks a callable now.

        Raises `ConfigurationError` where the callable fails, or returns something else.
        """
        return ask_for_source(self.wheel_source) if callable(self.wheel_source) else self.wheel_source

    def at(self, path: str | os.PathLike[str]) -> Path:
        """A path of this fleet: relative ones start at the fabfile's folder, `~` is the user's home."""
        assert isinstance(self.root, Path)
        try:
            return self.root / expand(os.fspath(path))
        except ValueError as problem:
            raise error("Fleet", f"{os.fspath(path)!a}: {problem}") from None

    def requirement_files(self, virtualenv: Virtualenv) -> tuple[Path, ...]:
        """The requirements files of `virtualenv`, where they lie."""
        files = virtualenv.requirements
        assert isinstance(files, tuple)
        return tuple(self.at(file) for file in files)

    def members(self, login: Callable[[Host], str]) -> tuple[Member, ...]:
        """Every configured virtualenv, in the fabfile's order; `login` returns the user that logs in to a host."""
        found = []
        for host in self.all_hosts():
            user = login(host)
            for virtualenv in host.virtualenvs:
                target = Target(virtualenv.user or user, host.name, virtualenv.path)
                found.append(Member(target, host, virtualenv, user))
        return tuple(found)

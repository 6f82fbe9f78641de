"""Probes made by hand: what a virtualenv is like, in one line."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import Version

from envfab.config.host import Host
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.models.distribution import Distribution, Origin
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe

MARKERS = {
    "implementation_name": "cpython",
    "implementation_version": "3.8.18",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "6",
    "platform_system": "Linux",
    "platform_version": "1",
    "python_full_version": "3.8.18",
    "python_version": "3.8",
    "sys_platform": "linux",
}


def there(name: str, version: str, *requires: str, origin: Origin = Origin.WHEEL) -> Distribution:
    """An installed distribution."""
    return Distribution.build(name, version, requires, origin=origin)


def member(host: str = "web1", path: str = "/srv/shop/venv", owner: str = "shop") -> Member:
    """A configured virtualenv."""
    return Member(Target(owner, host, path), Host(host), Virtualenv(path, user=owner), "admin")


def probe(
    of: Member,
    *own: Distribution,
    outside: Iterable[Distribution] = (),
    node: str = "web1.example.org",
    python: str = "3.8.18",
) -> Probe:
    """What was found in a member."""
    return Probe(
        target=of.target,
        interpreter=Interpreter(Version(python), "CPython", MARKERS),
        distributions={one.name: one for one in own},
        outside={one.name: one for one in outside},
        leftovers=(),
        duplicates=(),
        journal=None,
        fingerprint="",
        node=node,
    )

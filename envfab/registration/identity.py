"""How a virtualenv is named outside its fleet."""

from __future__ import annotations

from envfab.config.target import Member, Target
from envfab.models.probe import Probe


def known_as(member: Member, probe: Probe) -> Target:
    """The target, with the machine's own name where the fabfile says localhost, since every machine is a localhost."""
    target = probe.target
    return Target(target.owner, probe.node, target.path) if member.host.local and probe.node else target

"""Alike virtualenvs are planned once."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from envfab.facts.probe import Probe
from envfab.facts.requirements import Requirements
from envfab.planning.catalogue import Catalogue
from envfab.planning.plan import Options, Plan
from envfab.planning.planner import plan


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans out of one house, from any thread; each situation is worked out once, however many virtualenvs share it."""

    catalogue: Catalogue
    options: Options
    _made: dict[Hashable, Plan] = field(default_factory=dict)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, probe: Probe, requirements: Requirements) -> Plan:
        """What `planner.plan` says, and raises, of this virtualenv."""
        situation = _situation(probe, requirements)
        # threads that come at once with the same situation would all work it out
        with self._turn:
            if situation not in self._made:
                self._made[situation] = plan(probe, requirements, self.catalogue, self.options)
        return replace(self._made[situation], target=probe.target, fingerprint=probe.fingerprint)


def _situation(probe: Probe, requirements: Requirements) -> Hashable:
    """All of a probe that a plan depends on, apart from whose it is."""
    interpreter = probe.interpreter
    return (
        requirements,
        interpreter.version,
        interpreter.implementation,
        frozenset(interpreter.markers.items()),
        interpreter.tags,
        frozenset(probe.distributions.values()),
        frozenset(probe.outside.values()),
        probe.leftovers,
        probe.duplicates,
    )

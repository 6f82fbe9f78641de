"""Alike virtualenvs are planned once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.planning import consistency, planner
from envfab.planning.candidates import TagsNeeded
from envfab.planning.catalogue import Catalogue
from envfab.planning.plan import Options, Plan

T = TypeVar("T")


class _Once(Generic[T]):
    """Answers by what they depend on; who asks for one that is being worked out waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[Hashable, threading.Lock] = {}
        self._known: dict[Hashable, T] = {}

    def get(self, key: Hashable, work_out: Callable[[], T]) -> T:
        """The answer; what `work_out` raises is not remembered."""
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            if key not in self._known:
                self._known[key] = work_out()
            return self._known[key]


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans out of one wheelhouse, from any thread; what several virtualenvs have in common is planned once."""

    catalogue: Catalogue
    options: Options
    _made: _Once[Plan | TagsNeeded] = field(default_factory=_Once)
    _odd: _Once[tuple[str, ...]] = field(default_factory=_Once)

    def plan(self, probe: Probe, requirements: Requirements) -> Plan:
        """What `planner.plan` says, and raises, of this virtualenv."""
        situation = (requirements, _situation(probe))
        made = self._made.get(situation, lambda: self._planned(probe, requirements))
        if isinstance(made, TagsNeeded):
            raise TagsNeeded(made.what, where=made.where, hint=made.hint)
        return replace(made, target=probe.target, fingerprint=probe.fingerprint)

    def oddities(self, probe: Probe) -> tuple[str, ...]:
        """What `consistency.oddities` says of this virtualenv."""
        # what is told of stranded packages names their path
        whose = (probe.target.path, probe.stranded) if probe.stranded else None
        return self._odd.get((_situation(probe), whose), lambda: consistency.oddities(probe))

    def _planned(self, probe: Probe, requirements: Requirements) -> Plan | TagsNeeded:
        # that tags are needed is found out for alike virtualenvs together, too
        try:
            return planner.plan(probe, requirements, self.catalogue, self.options)
        except TagsNeeded as error:
            return error


def _situation(probe: Probe) -> Hashable:
    """All of a probe that a plan depends on, apart from whose it is."""
    interpreter = probe.interpreter
    return (
        interpreter.version,
        interpreter.implementation,
        frozenset(interpreter.markers.items()),
        interpreter.tags,
        frozenset(probe.distributions.values()),
        frozenset(probe.outside.values()),
        probe.leftovers,
        probe.duplicates,
    )

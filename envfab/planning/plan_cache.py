"""Cache of plans: virtualenvs in the same situation are planned once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel
from envfab.planning import consistency, planner
from envfab.planning.catalogue import Catalogue
from envfab.planning.overlaps import Hashes, of_plan, spoken
from envfab.planning.plan import Options, Plan, Status

T = TypeVar("T")


class _Once(Generic[T]):
    """Values by what they depend on; a thread that asks for a value which another thread computes waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[Hashable, threading.Lock] = {}
        self._known: dict[Hashable, T] = {}

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value for `key`, computed once; exceptions are raised and not remembered."""
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            if key not in self._known:
                self._known[key] = compute()
            return self._known[key]


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans made from one wheelhouse; virtualenvs in the same situation share the work. Thread-safe.

    With `hashes`, which returns the hashes of a wheel's RECORD, plans warn of files that two distributions have.
    """

    catalogue: Catalogue
    options: Options
    hashes: Callable[[Wheel], Hashes] | None = None
    _with_tags: _Once[Plan] = field(default_factory=_Once)
    _without_tags: _Once[Plan | None] = field(default_factory=_Once)
    _odd: _Once[tuple[str, ...]] = field(default_factory=_Once)

    def plan(self, probe: Probe, requirements: Requirements) -> Plan:
        """Return the plan of `planner.plan`, and raise what it raises."""
        made = self._with_tags.get(
            (requirements, _situation(probe)),
            lambda: self._planned(probe, requirements),
        )
        return _plan_for(probe, made)

    def plan_without_tags(self, probe: Probe, requirements: Requirements) -> Plan | None:
        """Return the plan, or the None, of `planner.plan_without_tags`, and raise what it raises."""
        made = self._without_tags.get(
            (requirements, _situation(probe)),
            lambda: planner.plan_without_tags(probe, requirements, self.catalogue, self.options),
        )
        return None if made is None else _plan_for(probe, made)

    def oddities(self, probe: Probe) -> tuple[str, ...]:
        """Return what `consistency.oddities` returns for this virtualenv."""
        # the message about stranded packages contains their path
        path = (probe.target.path, probe.stranded) if probe.stranded else None
        return self._odd.get((_situation(probe), path), lambda: consistency.oddities(probe))

    def _planned(self, probe: Probe, requirements: Requirements) -> Plan:
        made = planner.plan(probe, requirements, self.catalogue, self.options)
        if self.hashes is None or made.status is not Status.CHANGES:
            return made
        found = of_plan(made, probe, self.catalogue, self.hashes)
        return replace(made, overlaps=found, warnings=(*made.warnings, *map(spoken, found)))


def _plan_for(probe: Probe, made: Plan) -> Plan:
    """A plan that was made for a virtualenv in the same situation, for this one."""
    return replace(made, target=probe.target, fingerprint=probe.fingerprint)


def _situation(probe: Probe) -> Hashable:
    """Everything in a probe that a plan depends on, except its target and fingerprint."""
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

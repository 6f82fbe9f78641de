"""Resolver: resolvelib searches for versions that together meet all requirements, in pip's order of preference."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep
from resolvelib.resolvers import Resolution

from envfab.planning.candidates import Candidate, Candidates

# One round pins or unpins one project. Solvable problems of real fleets take a few hundred rounds.
ROUNDS = 20_000
_SHARE_OF_OTHER_ORDERS = 10
_PROMOTED_AFTER = 5


@dataclass(frozen=True, slots=True, eq=False)
class Criterion:
    """A requirement in the search; `origin` is its file and line, or empty if it is a dependency's."""

    name: NormalizedName
    extras: frozenset[NormalizedName]
    specifier: SpecifierSet
    text: str
    origin: str = ""
    exactly: Candidate | None = None

    def met_by(self, candidate: Candidate) -> bool:
        """Return whether `candidate`, which has the same name and extras, meets the criterion."""
        if self.exactly is not None:
            return candidate is self.exactly
        return self.specifier.contains(candidate.version, prereleases=True)


@dataclass(frozen=True, slots=True)
class Cause:
    """A criterion that could not be met together with others, and its candidate; None if it is a direct requirement."""

    criterion: Criterion
    parent: Candidate | None


@dataclass(frozen=True, slots=True)
class ResolutionProblem:
    """What to resolve: criteria of the direct requirements, in their order; constraints and pinned hashes by name.

    Projects in `requested` get the newest version; others stay as installed if that meets the criteria. Criteria in
    `waived` (names and specifiers) count as met.
    """

    criteria: Sequence[Criterion]
    candidates: Candidates
    constraints: Mapping[NormalizedName, SpecifierSet] = field(default_factory=dict)
    hashes: Mapping[NormalizedName, frozenset[str]] = field(default_factory=dict)
    requested: Container[NormalizedName] = frozenset()
    waived: frozenset[tuple[NormalizedName, str]] = frozenset()

    def waives(self, criterion: Criterion) -> bool:
        """Return whether a criterion counts as met, whatever candidates there are."""
        return (
            bool(self.waived)
            and criterion.exactly is None
            and (criterion.name, str(criterion.specifier)) in self.waived
        )

    def matching(self, name: NormalizedName, specifier: SpecifierSet) -> Iterator[Candidate]:
        """Yield the candidates that `specifier`, constraints and pinned hashes allow, the preferred one first."""
        constraint = self.constraints.get(name)
        return self.candidates.matching(
            name,
            specifier if constraint is None else constraint & specifier,
            self.hashes.get(name),
            newest=name in self.requested,
        )


@dataclass(frozen=True, slots=True)
class Solution:
    """A set of candidates that meets all criteria, one for each project, without extras.

    `required_by` has the candidates that require a project, `extras` the extras that they require of it.
    """

    chosen: Mapping[NormalizedName, Candidate]
    required_by: Mapping[NormalizedName, tuple[Candidate, ...]]
    extras: Mapping[NormalizedName, frozenset[NormalizedName]]


@dataclass(frozen=True, slots=True)
class NoSolution:
    """A failed search; `exhausted` if it ended at the limit of rounds, so that there may be a solution.

    `dependents` has, for each project, the projects with a candidate that requires it.
    """

    causes: tuple[Cause, ...]
    dependents: Mapping[NormalizedName, Sequence[str]] = field(default_factory=dict)
    exhausted: bool = False


def criteria_of(requirement: Requirement, origin: str = "") -> Iterator[Criterion]:
    """Yield a requirement's criteria: two for one with extras and a specifier.

    The one without extras lets the specifier narrow the project before its extras are considered.
    """
    name = canonicalize_name(requirement.name)
    extras = frozenset(canonicalize_name(extra) for extra in requirement.extras)
    text = str(requirement).partition(";")[0].strip()
    if extras and requirement.specifier:
        yield Criterion(name, frozenset(), requirement.specifier, text, origin)
    yield Criterion(name, extras, requirement.specifier, text, origin)


def resolve(problem: ResolutionProblem, rounds: int = ROUNDS) -> Solution | NoSolution:
    """Search for the solution that pip would find; if there is none, search in other orders.

    The first search ends after `rounds` rounds, each further one after a tenth of that.
    """
    failure: NoSolution | None = None
    for attempt, order in enumerate(_ORDERS):
        provider = _Provider(problem, order)
        search: Resolution[Criterion, Candidate, str] = Resolution(provider, BaseReporter())
        try:
            state = search.resolve(provider.roots, max_rounds=rounds // _SHARE_OF_OTHER_ORDERS if attempt else rounds)
        except ResolutionImpossible as impossible:
            causes = tuple(Cause(info.requirement, info.parent) for info in impossible.causes)
            if failure is None or failure.exhausted:
                failure = NoSolution(causes, provider.dependents)
            if len(provider.asked) == len(provider.root_keys):
                break  # no project was ever pinned, so another order of search fails as well
        except ResolutionTooDeep:
            failure = failure or NoSolution((), provider.dependents, exhausted=True)
        else:
            return _reached(provider, state.mapping)
    assert failure is not None
    return failure


def _reached(provider: _Provider, mapping: Mapping[str, Candidate]) -> Solution:
    """The candidates reachable from the direct requirements: a search also leaves those that only dropped ones need."""
    chosen: dict[NormalizedName, Candidate] = {}
    required_by: dict[NormalizedName, list[Candidate]] = {}
    extras: dict[NormalizedName, frozenset[NormalizedName]] = {}
    seen = set()
    waiting = [provider.identify(criterion) for criterion in provider.roots]
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        candidate = mapping[key]
        base = candidate.base or candidate
        chosen[candidate.name] = base
        extras[candidate.name] = extras.get(candidate.name, frozenset()) | candidate.extras
        for criterion in provider.get_dependencies(candidate):
            waiting.append(provider.identify(criterion))
            dependents = required_by.setdefault(criterion.name, [])
            if criterion.name != candidate.name and base not in dependents:
                dependents.append(base)
    return Solution(chosen, {name: tuple(parents) for name, parents in required_by.items()}, extras)


Preference = tuple[Any, ...]
Order = Callable[["_Provider", str, Sequence[Criterion]], Preference]


class _Provider(AbstractProvider[Criterion, Candidate, str]):
    """The provider that resolvelib asks; `order` is the preference by which it decides the next project."""

    def __init__(self, problem: ResolutionProblem, order: Order) -> None:
        self.problem = problem
        self.order = order
        # criteria with extras last: those without narrow a project before its extras are considered
        criteria = [criterion for criterion in problem.criteria if not problem.waives(criterion)]
        self.roots = sorted(criteria, key=lambda criterion: bool(criterion.extras))
        self.requested_order: dict[str, int] = {}
        for position, criterion in enumerate(criteria):
            # of the two criteria of a requirement with extras and a specifier, pip ranks only the first
            if not (criterion.extras and criterion.specifier):
                self.requested_order.setdefault(self.identify(criterion), position)
        self.root_keys = frozenset(self.identify(criterion) for criterion in criteria)
        self.asked: set[str] = set()
        self.promoted: set[str] = set()
        self.dependents: dict[NormalizedName, list[str]] = {}
        self._conflicts: Counter[str] = Counter()
        self._dependencies: dict[Candidate, tuple[Criterion, ...]] = {}
        self._met: dict[tuple[Criterion, Candidate], bool] = {}

    def identify(self, requirement_or_candidate: Criterion | Candidate) -> str:
        one = requirement_or_candidate
        return f"{one.name}[{','.join(sorted(one.extras))}]" if one.extras else one.name

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Criterion]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> Callable[[], Iterator[Candidate]] | list[Candidate]:
        self.asked.add(identifier)
        own = list(requirements[identifier])
        if not own:
            return []
        name, extras = own[0].name, own[0].extras
        criteria = own + (list(requirements.get(name, ())) if extras else [])
        excluded = set(incompatibilities.get(identifier, ()))
        exact = {criterion.exactly for criterion in criteria if criterion.exactly is not None}
        if exact:
            given = [self.problem.candidates.with_extras(candidate, extras) for candidate in exact]
            return [one for one in given if one not in excluded and all(criterion.met_by(one) for criterion in own)]
        specifier = SpecifierSet()
        for criterion in criteria:
            specifier &= criterion.specifier

        def matches() -> Iterator[Candidate]:
            for base in self.problem.matching(name, specifier):
                candidate = self.problem.candidates.with_extras(base, extras)
                if candidate not in excluded:
                    yield candidate

        return matches

    def is_satisfied_by(self, requirement: Criterion, candidate: Candidate) -> bool:
        # resolvelib asks about the same pair again in every round
        pair = (requirement, candidate)
        if pair not in self._met:
            self._met[pair] = requirement.met_by(candidate)
        return self._met[pair]

    def get_dependencies(self, candidate: Candidate) -> tuple[Criterion, ...]:
        if candidate not in self._dependencies:
            self._dependencies[candidate] = tuple(self._criteria(candidate))
        return self._dependencies[candidate]

    def _criteria(self, candidate: Candidate) -> Iterator[Criterion]:
        if candidate.base is not None:
            text = f"{candidate.shown_as}=={candidate.version}"
            yield Criterion(candidate.name, frozenset(), SpecifierSet(), text, exactly=candidate.base)
        environment = self.problem.candidates.environment
        for requirement in environment.needed(candidate.requires, candidate.extras & candidate.provides):
            for criterion in criteria_of(requirement):
                if self.problem.waives(criterion):
                    continue
                known = self.dependents.setdefault(criterion.name, [])
                if candidate.shown_as not in known and criterion.name != candidate.name:
                    known.append(candidate.shown_as)
                yield criterion

    def narrow_requirement_selection(
        self,
        identifiers: Iterable[str],
        resolutions: Mapping[str, Candidate],
        candidates: Mapping[str, Iterator[Candidate]],  # noqa: ARG002 -- resolvelib passes it by name
        information: Mapping[str, Iterator[Any]],  # noqa: ARG002 -- resolvelib passes it by name
        backtrack_causes: Sequence[Any],
    ) -> Iterable[str]:
        at_odds = set()
        for info in backtrack_causes:
            for one in (info.requirement, info.parent):
                if one is None:
                    continue
                key = self.identify(one)
                at_odds.add(key)
                if key not in resolutions:
                    self._conflicts[key] += 1
                    if self._conflicts[key] >= _PROMOTED_AFTER:
                        self.promoted.add(key)
        waiting = list(identifiers)
        return [key for key in waiting if key in at_odds] or [key for key in waiting if key in self.promoted] or waiting

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Candidate],  # noqa: ARG002 -- resolvelib passes it by name
        candidates: Mapping[str, Iterator[Candidate]],  # noqa: ARG002 -- resolvelib passes it by name
        information: Mapping[str, Iterator[Any]],
        backtrack_causes: Sequence[Any],  # noqa: ARG002 -- resolvelib passes it by name
    ) -> Preference:
        return self.order(self, identifier, [info.requirement for info in information[identifier]])


def _as_pip(provider: _Provider, identifier: str, criteria: Sequence[Criterion]) -> Preference:
    """pip's order: often in conflict, one candidate, pinned, bounded above, requested early; then by name."""
    operators = [(one.operator, one.version) for criterion in criteria for one in criterion.specifier]
    return (
        identifier not in provider.promoted,
        not any(criterion.exactly for criterion in criteria),
        not any(operator[:2] == "==" and "*" not in version for operator, version in operators),
        not any(
            operator in ("<", "<=", "~=") or (operator == "==" and "*" in version) for operator, version in operators
        ),
        provider.requested_order.get(identifier, math.inf),
        not operators,
        identifier,
    )


def _by_name(_provider: _Provider, identifier: str, _criteria: Sequence[Criterion]) -> Preference:
    return (identifier,)


def _by_name_backwards(_provider: _Provider, identifier: str, _criteria: Sequence[Criterion]) -> Preference:
    return tuple(-ord(character) for character in identifier)


def _dependencies_first(provider: _Provider, identifier: str, criteria: Sequence[Criterion]) -> Preference:
    return (identifier in provider.root_keys, -len(criteria), identifier)


_ORDERS: tuple[Order, ...] = (_as_pip, _dependencies_first, _by_name, _by_name_backwards)

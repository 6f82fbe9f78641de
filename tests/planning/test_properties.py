"""What holds for every plan, over generated wheelhouses and virtualenvs."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envfab.models.probe import Probe
from envfab.models.requirements import Entry, Requirements
from envfab.planning.plan import ActionKind, Options, Plan, Status
from envfab.planning.plan_json import from_json, plan_key, to_json
from envfab.planning.planner import plan, plan_without_tags
from tests.planning.catalogue import distribution, interpreter, probe, requirements
from tests.planning.generated import EXTRA, Case, generate
from tests.planning.soundness import applied, unmet

pythons = st.sampled_from(["2.7.18", "3.6.15", "3.8.10", "3.11.7", "3.13.1"])
cases = st.builds(generate, st.integers(0, 10**9), st.just("cp311-cp311-linux_x86_64"))


def situation(case: Case, python: str) -> tuple[Probe, Requirements]:
    """A generated case on an interpreter."""
    there = [distribution(f"{one.name}=={one.version}", one.requires, [EXTRA]) for one in case.installed]
    return probe(*there, python=interpreter(python)), requirements(*case.requirements, constraints=case.constraints)


def done(made: Plan) -> bool:
    """Whether a plan may be carried out."""
    return made.status is not Status.BLOCKED


@settings(deadline=None)
@given(cases, pythons, st.booleans())
def test_a_plan_meets_every_requirement(case: Case, python: str, prune: bool) -> None:
    """An independent judge finds nothing that the requirements, at any remove, lack afterwards."""
    there, required = situation(case, python)
    made = plan(there, required, case.catalogue(), Options(prune=prune, force=True))
    if done(made):
        assert unmet(applied(made, there, case.catalogue()), required) == []


@settings(deadline=None)
@given(cases, pythons, st.booleans())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(case: Case, python: str, prune: bool) -> None:
    """Deploying twice changes nothing the second time."""
    there, required = situation(case, python)
    options = Options(prune=prune, force=True)
    made = plan(there, required, case.catalogue(), options)
    if done(made):
        again = plan(applied(made, there, case.catalogue()), required, case.catalogue(), options)
        assert (again.status, again.actions) == (Status.CURRENT, ())


@settings(deadline=None)
@given(cases, pythons)
def test_nothing_whole_is_broken(case: Case, python: str) -> None:
    """Without `--force`, what an installed distribution needed and had, it still has."""
    there, required = situation(case, python)
    made = plan(there, required, case.catalogue())
    if not done(made):
        return
    after = applied(made, there, case.catalogue())
    changed = {action.name for action in made.actions}
    for name, one in there.distributions.items():
        if name in changed:
            continue
        for needed in one.requires:
            line = requirements(str(needed))
            assert unmet(alone(there), line) or not unmet(alone(after), line)


def alone(there: Probe) -> Probe:
    """The virtualenv without dependencies, so that one requirement is judged by itself."""
    return replace(there, distributions={name: replace(one, requires=()) for name, one in there.distributions.items()})


@settings(deadline=None)
@given(cases, pythons, st.data())
def test_only_leaves_all_others_alone(case: Case, python: str, data: st.DataObject) -> None:
    """Whatever `--only` names, nothing else is touched, and nothing whole is broken by it."""
    there, required = situation(case, python)
    known = sorted({entry.name for entry in counting(required, there)} | there.distributions.keys())
    if not known:
        return
    only = frozenset(data.draw(st.sets(st.sampled_from(known), min_size=1)))
    made = plan(there, required, case.catalogue(), Options(only=only))
    assert {action.name for action in made.actions} <= only


def counting(required: Requirements, there: Probe) -> list[Entry]:
    """The entries that count for the target."""
    return [
        entry
        for entry in required.entries
        if entry.requirement.marker is None
        or entry.requirement.marker.evaluate({**there.interpreter.markers, "extra": ""})
    ]


@settings(deadline=None)
@given(cases, pythons)
def test_a_plan_without_tags_is_the_plan_with_them(case: Case, python: str) -> None:
    """Either the tags are asked for, or they would have changed nothing of what is done."""
    there, required = situation(case, python)
    unknown = replace(there, interpreter=interpreter(python, known_tags=False))
    without = plan_without_tags(unknown, required, case.catalogue())
    if without is None:
        return
    made = plan(there, required, case.catalogue())
    assert (without.status, without.actions) == (made.status, made.actions)


@settings(deadline=None)
@given(cases, pythons)
def test_plans_are_stable(case: Case, python: str) -> None:
    """The same situation gives the same plan, whatever order things were found in; it survives JSON."""
    there, required = situation(case, python)
    made = plan(there, required, case.catalogue())
    turned = replace(there, distributions=dict(reversed(list(there.distributions.items()))))
    catalogue = case.catalogue()
    for releases in catalogue.by_name.values():
        releases.reverse()
    assert plan(turned, required, catalogue) == made
    assert from_json(to_json(made)) == made
    assert plan_key(from_json(to_json(made))) == plan_key(made)


@settings(deadline=None)
@given(cases, pythons)
def test_pruning_leaves_what_is_required_and_nothing_else(case: Case, python: str) -> None:
    """Afterwards every distribution is reached from the requirements."""
    there, required = situation(case, python)
    made = plan(there, required, case.catalogue(), Options(prune=True, force=True))
    if not done(made):
        return
    after = applied(made, there, case.catalogue())
    removed = {action.name for action in made.actions if action.kind is ActionKind.REMOVE}
    assert removed.isdisjoint(after.distributions)
    for name in after.distributions:
        fewer = {other: one for other, one in after.distributions.items() if other != canonicalize_name(name)}
        assert unmet(replace(after, distributions=fewer), required)

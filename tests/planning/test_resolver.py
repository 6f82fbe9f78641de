"""The search for versions that suit everybody."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from envfab.planning.blocked_reasons import explain
from envfab.planning.candidates import Candidates
from envfab.planning.marker_environment import Environment
from envfab.planning.plan import Status
from envfab.planning.planner import plan
from envfab.planning.resolver import NoSolution, ResolutionProblem, Solution, criteria_of, resolve
from tests.planning.catalogue import DictCatalogue, distribution, interpreter, probe, requirements, wheelhouse


def problem(catalogue: DictCatalogue, *lines: str) -> ResolutionProblem:
    """What is to be resolved for an empty virtualenv."""
    entries = requirements(*lines).entries
    criteria = [criterion for entry in entries for criterion in criteria_of(entry.requirement, entry.origin)]
    candidates = Candidates(Environment(interpreter()), {}, catalogue)
    return ResolutionProblem(criteria, candidates, requested=frozenset(entry.name for entry in entries))


def chosen(outcome: Solution | NoSolution) -> list[str]:
    """A solution in short."""
    assert isinstance(outcome, Solution)
    return sorted(str(candidate) for candidate in outcome.chosen.values())


def pigeons(number: int) -> DictCatalogue:
    """One pigeon more than there are holes: no solution, and many ways to look for one."""
    catalogue = DictCatalogue()
    for pigeon in range(number + 1):
        for hole in range(1, number + 1):
            catalogue.add(f"pigeon{pigeon}=={hole}", [f"hole{hole}=={pigeon + 1}"])
            catalogue.add(f"hole{hole}=={pigeon + 1}")
    return catalogue


def test_an_older_version_is_taken_where_the_newest_suits_nobody_else() -> None:
    """The search goes back on a choice."""
    catalogue = wheelhouse({"a==2": ["c>=2"], "a==1": ["c"], "b==1": ["c<2"], "c==1": [], "c==2": []})
    assert chosen(resolve(problem(catalogue, "a", "b"))) == ["a 1", "b 1", "c 1"]


def test_what_pip_would_miss_is_found() -> None:
    """pip's order of search jumps over `p2 1.0` here; another order finds it before a conflict is called one."""
    catalogue = wheelhouse(
        {
            "p0==2.1": ["p2[fast]>=1.0"],
            "p1==1.0.1": ["p2==1.1"],
            "p2==1.0": [],
            "p2==2.1": ["p7[fast]>=2.0rc1", "p6"],
            "p4==1.0": ["p3"],
            "p6==1.2": ["p4[fast]"],
            "p7==3.0": ["p1>=1.0"],
        }
    )
    made = plan(probe(), requirements("p0~=2.0", constraints=["p1~=1.0"]), catalogue)
    assert [f"{action.name} {action.version}" for action in made.actions] == ["p0 2.1", "p2 1.0"]


def test_dropped_candidates_leave_nothing_behind() -> None:
    """What only a version that was given up wanted is not installed."""
    catalogue = wheelhouse(
        {"a==2": ["only-of-two", "c>=2"], "a==1": [], "b==1": ["c<2"], "c==1": [], "c==2": [], "only-of-two==1": []}
    )
    assert chosen(resolve(problem(catalogue, "a", "b"))) == ["a 1", "b 1", "c 1"]


@pytest.mark.parametrize("lines", [["a"], ["b", "a"], ["a[x]", "b[x]"]])
def test_circles_end(lines: Iterable[str]) -> None:
    """Projects that require each other, extras too, are resolved like others."""
    catalogue = DictCatalogue()
    catalogue.add("a==1", ["b[x]", 'c ; extra == "x"'], extras=["x"])
    catalogue.add("b==1", ["a", 'a[x] ; extra == "x"'], extras=["x"])
    catalogue.add("c==1", ["a[x]"])
    assert chosen(resolve(problem(catalogue, *lines))) == ["a 1", "b 1", "c 1"]


def test_a_project_is_not_its_own_dependent() -> None:
    """`Django[fast]` depends on Django in the search, and on nobody's screen."""
    catalogue = wheelhouse(["argon2==1"])
    catalogue.add("Django==5.2", ['argon2 ; extra == "fast"', 'Django[fast] ; extra == "all"'], extras=["fast", "all"])
    made = plan(probe(), requirements("Django[all]"), catalogue)
    assert [(action.name, action.reason, action.required_by) for action in made.actions] == [
        ("argon2", "required by Django", ("Django",)),
        ("django", "requirements.txt:1", ()),
    ]


def test_an_extra_that_is_not_declared_brings_nothing() -> None:
    """As with pip: without `Provides-Extra`, a marker that asks for it counts for nothing."""
    catalogue = wheelhouse({"a==1": ['b ; extra == "fast"', 'c ; extra != "fast"'], "b==1": [], "c==1": []})
    assert chosen(resolve(problem(catalogue, "a[fast]"))) == ["a 1", "c 1"]


def test_all_extras_of_a_project_are_of_one_version() -> None:
    """Two that are asked for from two sides do not split it."""
    catalogue = DictCatalogue()
    for version in ("1", "2"):
        catalogue.add(f"a=={version}", [f'x{version} ; extra == "x"', f'y{version} ; extra == "y"'], extras=["x", "y"])
    catalogue.add("b==1", ["a[y]<2"])
    catalogue.add("x1==1")
    catalogue.add("y1==1")
    catalogue.add("x2==1")
    assert chosen(resolve(problem(catalogue, "a[x]", "b"))) == ["a 1", "b 1", "x1 1", "y1 1"]


def test_a_pre_release_is_no_way_out_of_a_conflict() -> None:
    """While a final release fits the range, no pre-release is tried."""
    catalogue = wheelhouse({"a==1.0": ["gone"], "a==2.0rc1": []})
    assert plan(probe(), requirements("a"), catalogue).status is Status.BLOCKED


def test_a_yanked_release_is_no_way_out_of_a_conflict() -> None:
    """While a pin has another wheel to choose, the withdrawn one is not tried."""
    catalogue = wheelhouse({"a==1.0+corp1": ["gone"]})
    catalogue.add("a==1.0", yanked="eats data")
    assert plan(probe(), requirements("a==1.0"), catalogue).status is Status.BLOCKED


def test_the_best_of_a_pin_that_names_yanked_wheels_only() -> None:
    """One a version, the newest first, as with others."""
    catalogue = DictCatalogue()
    catalogue.add("a==1.0", yanked="first")
    catalogue.add("a==1.0", yanked="second", build="2")
    made = plan(probe(), requirements("a==1.0"), catalogue)
    assert [action.wheel.build for action in made.actions if action.wheel] == [(2, "")]
    assert made.warnings == ("a 1.0 is pinned and was yanked: second",)


def test_an_installed_dependency_gives_way_where_it_must() -> None:
    """It is preferred, not sacred."""
    there = probe(distribution("b==1", ["c<2"]), "c==1")
    catalogue = wheelhouse({"a==1": ["b", "c>=2"], "b==1": ["c<2"], "b==2": ["c"], "c==1": [], "c==2": []})
    made = plan(there, requirements("a"), catalogue)
    assert [f"{action.name} {action.version}" for action in made.actions] == ["a 1", "b 2", "c 2"]


def test_the_search_ends_at_its_bound() -> None:
    """What could take for ever is given up, and says what helps."""
    asked = problem(pigeons(4), *(f"pigeon{number}" for number in range(5)))
    outcome = resolve(asked, rounds=20)
    assert isinstance(outcome, NoSolution)
    assert outcome.exhausted
    assert explain(outcome, asked) == (
        (),
        ("the search for a set of versions was given up, too many steps: pin some of the requirements with ==",),
    )
    certain = resolve(asked)
    assert isinstance(certain, NoSolution)
    assert not certain.exhausted

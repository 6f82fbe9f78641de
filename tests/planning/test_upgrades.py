"""Newer dependencies: they stay as they are, are told, and are taken by `--upgrade`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.utils import canonicalize_name

from envfab.errors import UsageError
from envfab.planning.plan import EVERYTHING, Newer, Options, Plan, Status
from envfab.planning.planner import plan, plan_without_tags
from tests.planning.catalogue import DictCatalogue, distribution, interpreter, probe, requirements, wheelhouse
from tests.planning.test_planner import steps

HOUSE = {"django==5.2": ["asgiref>=3.7", "sqlparse"], "asgiref==3.7": [], "asgiref==3.9": [], "sqlparse==0.4": []}
THERE = probe(distribution("django==5.2", ["asgiref>=3.7", "sqlparse"]), "asgiref==3.7", "sqlparse==0.4", "other==1.0")


def upgrade(*names: str) -> Options:
    """`--upgrade` with these, or of all."""
    return Options(upgrade=frozenset(canonicalize_name(name) for name in names) or frozenset({EVERYTHING}))


def made(catalogue: DictCatalogue, options: Options | None = None) -> Plan:
    """The plan of a virtualenv that requires Django."""
    return plan(THERE, requirements("django"), catalogue, options or Options())


def test_a_dependency_that_suits_all_stays_and_the_newer_one_is_told() -> None:
    """As pip's only-if-needed; the plan is current, and says what `--upgrade` would take."""
    current = made(wheelhouse(HOUSE))
    assert (current.status, current.newer) == (Status.CURRENT, (Newer("asgiref", "3.7", "3.9"),))


@pytest.mark.parametrize("names", [(), ("asgiref",), ("AsgiRef", "sqlparse")])
def test_upgrade_takes_the_newest_of_all_or_of_those(names: tuple[str, ...]) -> None:
    """And the plan carries what was asked for, with the reason at the action."""
    upgraded = made(wheelhouse(HOUSE), upgrade(*names))
    assert steps(upgraded) == ["upgrade asgiref 3.7 → 3.9"]
    assert upgraded.actions[0].reason == "required by django, --upgrade"
    assert upgraded.newer == ()
    assert upgraded.upgrade == tuple(sorted(canonicalize_name(name) for name in names or ("*",)))


def test_what_was_not_named_stays() -> None:
    """And is still told."""
    named = made(wheelhouse(HOUSE | {"sqlparse==0.5": []}), upgrade("sqlparse"))
    assert steps(named) == ["upgrade sqlparse 0.4 → 0.5"]
    assert named.newer == (Newer("asgiref", "3.7", "3.9"),)


def test_what_others_rule_out_is_neither_taken_nor_told() -> None:
    """What is said to be there is what `--upgrade` would take."""
    strict = HOUSE | {"django==5.2": ["asgiref>=3.7,<3.8", "sqlparse"]}
    there = replace(
        THERE,
        distributions={
            **THERE.distributions,
            canonicalize_name("django"): distribution("django==5.2", ["asgiref<3.8"]),
        },
    )
    done = plan(there, requirements("django"), wheelhouse(strict))
    assert (done.status, done.newer) == (Status.CURRENT, ())
    assert plan(there, requirements("django"), wheelhouse(strict), upgrade()).actions == ()


@pytest.mark.parametrize("how", ["yanked", "pre-release", "Python", "tag"])
def test_what_would_not_be_chosen_is_not_told(how: str) -> None:
    """Withdrawn releases, pre-releases, and what does not fit the interpreter."""
    catalogue = wheelhouse({name: requires for name, requires in HOUSE.items() if name != "asgiref==3.9"})
    catalogue.add(
        "asgiref==4.0rc1" if how == "pre-release" else "asgiref==4.0",
        yanked="bad" if how == "yanked" else None,
        requires_python=">=3.13" if how == "Python" else None,
        tag="cp313-cp313-linux_x86_64" if how == "tag" else "py3-none-any",
    )
    assert made(catalogue).newer == ()


def test_tags_are_asked_for_only_where_they_decide() -> None:
    """A wheel for every Python 3 needs no question; one for some machine does."""
    unknown = replace(THERE, interpreter=interpreter(known_tags=False))
    made_without = plan_without_tags(
        unknown, requirements("django==5.2"), wheelhouse({k: v for k, v in HOUSE.items() if k != "asgiref==3.9"})
    )
    assert made_without is not None
    assert made_without.newer == ()
    catalogue = wheelhouse(HOUSE)
    catalogue.add("sqlparse==0.5", tag="cp311-cp311-manylinux2014_x86_64")
    assert plan_without_tags(unknown, requirements("django==5.2"), catalogue) is None


def test_upgrade_takes_what_is_installed_and_no_requirement_leads_to() -> None:
    """Where it is named; without names it is left alone."""
    catalogue = wheelhouse({**HOUSE, "other==2.0": []})
    assert steps(made(catalogue, upgrade("other"))) == ["upgrade other 1.0 → 2.0"]
    assert "other" not in {action.name for action in made(catalogue, upgrade()).actions}


def test_upgrade_of_what_nobody_knows_is_refused() -> None:
    """A spelling mistake must not look like an up-to-date virtualenv."""
    with pytest.raises(UsageError, match=r"--upgrade asgriref: it is neither required nor installed"):
        made(wheelhouse(HOUSE), upgrade("asgriref"))


def test_upgrade_goes_with_only() -> None:
    """What `--only` leaves alone cannot be upgraded, and is refused where it is named."""
    only = Options(only=frozenset({canonicalize_name("asgiref")}), upgrade=frozenset({EVERYTHING}))
    assert steps(made(wheelhouse(HOUSE | {"sqlparse==0.5": []}), only)) == ["upgrade asgiref 3.7 → 3.9"]
    with pytest.raises(UsageError, match="--upgrade sqlparse: --only does not name it"):
        made(wheelhouse(HOUSE), replace(only, upgrade=frozenset({canonicalize_name("sqlparse")})))


def test_several_are_told_by_name() -> None:
    """Whatever order they were found in."""
    catalogue = wheelhouse(
        {"django==5.2": ["b", "a", "c"], **{f"{name}=={version}": [] for name in "cab" for version in "12"}}
    )
    there = probe(distribution("django==5.2", ["b", "a", "c"]), "a==1", "b==1", "c==2")
    assert [one.shown_as for one in plan(there, requirements("django"), catalogue).newer] == ["a", "b"]


def test_what_only_leaves_alone_is_not_told() -> None:
    """The command that it names would be refused."""
    only = Options(only=frozenset({canonicalize_name("sqlparse")}))
    assert made(wheelhouse(HOUSE), only).newer == ()


def test_a_newer_pre_release_is_told_of_a_pre_release() -> None:
    """As plans take it."""
    catalogue = wheelhouse({"django==5.2": ["a"], "a==2.0rc1": [], "a==2.0rc2": []})
    there = probe(distribution("django==5.2", ["a"]), "a==2.0rc1")
    assert plan(there, requirements("django"), catalogue).newer == (Newer("a", "2.0rc1", "2.0rc2"),)


def test_nothing_is_searched_where_nothing_is_newer() -> None:
    """An up-to-date virtualenv reads the METADATA of no wheel."""
    catalogue = wheelhouse({"django==5.2": ["asgiref"], "asgiref==3.7": []})
    plan(probe(distribution("django==5.2", ["asgiref"]), "asgiref==3.7"), requirements("django==5.2"), catalogue)
    assert catalogue.read == []

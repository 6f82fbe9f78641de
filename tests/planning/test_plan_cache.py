"""Alike virtualenvs are planned once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from packaging.utils import NormalizedName, canonicalize_name

from envfab.config.target import Target
from envfab.errors import UsageError
from envfab.models.distribution import Distribution, Origin
from envfab.models.probe import Probe
from envfab.models.wheel import Release
from envfab.planning.plan import Options
from envfab.planning.plan_cache import Plans
from envfab.planning.planner import plan
from tests.planning.catalogue import DictCatalogue, distribution, interpreter, probe, requirements, wheelhouse

OTHER = Target("shop", "web2", "/srv/shop/venv")


class CountingCatalogue(DictCatalogue):
    """Counts how often a project is looked up: once a plan."""

    asked = 0

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        self.asked += 1
        return super().releases(name)


class SlowCatalogue(CountingCatalogue):
    """Takes its time, so that others come meanwhile."""

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        time.sleep(0.05)
        return super().releases(name)


def test_the_same_situation_is_worked_out_once_and_belongs_to_each() -> None:
    """Ten alike web servers cost one plan; each has its own target and fingerprint in it."""
    catalogue = CountingCatalogue()
    catalogue.add("a==2")
    plans = Plans(catalogue, Options())
    first = probe("a==1")
    second = replace(probe("a==1", target=OTHER), fingerprint="another")
    made = plans.plan(first, requirements("a"))
    asked = catalogue.asked
    again = plans.plan(second, requirements("a"))
    assert catalogue.asked == asked > 0
    assert made == plan(first, requirements("a"), catalogue)
    assert again == replace(made, target=OTHER, fingerprint="another")


@pytest.mark.parametrize(
    ("there", "lines"),
    [
        (probe("a==1.1"), ["a"]),
        (probe("a==1", python=interpreter("3.8.10")), ["a"]),
        (probe("a==1", python=interpreter(platform_machine="aarch64")), ["a"]),
        (probe(distribution("a==1", ["b"])), ["a"]),
        (probe("a==1", outside=[distribution("b==1")]), ["a"]),
        (probe("a==1", leftovers=["~a"]), ["a"]),
        (probe("a==1", duplicates=["a"]), ["a"]),
        (probe("a==1"), ["a<3"]),
    ],
)
def test_whatever_could_matter_makes_another_situation(there: Probe, lines: list[str]) -> None:
    """A plan is never another virtualenv's."""
    catalogue = CountingCatalogue()
    catalogue.add("a==2")
    plans = Plans(catalogue, Options())
    plans.plan(probe("a==1"), requirements("a"))
    asked = catalogue.asked
    plans.plan(there, requirements(*lines))
    assert catalogue.asked > asked


def test_that_a_plan_depends_on_tags_is_found_out_once() -> None:
    """It is so for every virtualenv in the same situation."""
    catalogue = CountingCatalogue()
    catalogue.add("a==2")
    plans = Plans(catalogue, Options())
    there = probe("a==1", python=interpreter(known_tags=False))
    assert plans.plan_without_tags(there, requirements("a")) is None
    asked = catalogue.asked
    assert plans.plan_without_tags(replace(there, target=OTHER), requirements("a")) is None
    assert catalogue.asked == asked > 0
    assert plans.plan(probe("a==1"), requirements("a")).actions


def test_a_plan_without_tags_belongs_to_each_virtualenv() -> None:
    """It has its own target, as plans with tags have."""
    plans = Plans(wheelhouse(["a==1"]), Options())
    there = probe("a==1", python=interpreter(known_tags=False))
    for target in (there.target, OTHER):
        made = plans.plan_without_tags(replace(there, target=target), requirements("a"))
        assert made is not None
        assert made.target == target


def test_who_comes_while_a_plan_is_made_waits_for_it() -> None:
    """Twenty hosts that answer at the same moment cost one plan, too."""
    everybody = threading.Barrier(20)
    catalogue = SlowCatalogue()
    catalogue.add("a==2")
    plans = Plans(catalogue, Options())

    def one(number: int) -> Target:
        there = probe("a==1", target=Target("shop", f"web{number}", "/srv/shop/venv"))
        everybody.wait()
        return plans.plan(there, requirements("a")).target

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(one, range(20)))) == 20
    lookups = catalogue.asked
    plan(probe("a==1"), requirements("a"), catalogue)
    assert catalogue.asked == 2 * lookups


def test_what_went_wrong_is_not_remembered() -> None:
    """A mistake names the virtualenv that it is about, so that each is looked at."""
    plans = Plans(wheelhouse(["a==2"]), Options(reinstall=frozenset({canonicalize_name("b")})))
    for target in (OTHER, Target("shop", "web3", "/srv/shop/venv")):
        with pytest.raises(UsageError, match=str(target)):
            plans.plan(probe("a==1", target=target), requirements("a"))


def test_oddities_of_alike_virtualenvs_are_found_once() -> None:
    """What is odd about one is odd about all that are like it, and is the same object."""
    plans = Plans(wheelhouse([]), Options())
    there = probe(distribution("a==1", ["b"]))
    found = plans.oddities(there)
    assert found == ("broken before this deployment: a requires b, which is not installed",)
    assert plans.oddities(replace(there, target=OTHER)) is found
    assert plans.oddities(probe(distribution("a==1", ["b"]), "b==1")) == ()


def test_distributions_that_read_the_same_are_one_object() -> None:
    """Twenty virtualenvs with Django 5.2 hold one parsed Django 5.2 among them; another origin makes another."""
    one = Distribution.build("Django", "5.2", ("asgiref>=3",))
    assert Distribution.build("Django", "5.2", ("asgiref>=3",)) is one
    assert Distribution.build("Django", "5.2", ("asgiref>=3",), origin=Origin.EDITABLE) != one

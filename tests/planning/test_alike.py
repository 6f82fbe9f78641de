"""Alike virtualenvs are planned once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from packaging.utils import NormalizedName

from envfab.facts.probe import Probe
from envfab.facts.wheel import Release
from envfab.fleet import Target
from envfab.planning.alike import Plans
from envfab.planning.candidates import TagsNeeded
from envfab.planning.plan import Options
from envfab.planning.planner import plan
from tests.planning.catalogue import DictCatalogue, distribution, house, interpreter, probe, requirements

OTHER = Target("shop", "web2", "/srv/shop/venv")


class CountingCatalogue(DictCatalogue):
    """Counts how often a project is looked up: once a plan."""

    asked = 0

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        self.asked += 1
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


def test_tags_are_asked_for_as_ever() -> None:
    """A plan that could not be made is not remembered."""
    plans = Plans(house(["a==2"]), Options())
    there = probe("a==1", python=interpreter(known_tags=False))
    for _ in range(2):
        with pytest.raises(TagsNeeded):
            plans.plan(there, requirements("a"))
    assert plans.plan(probe("a==1"), requirements("a")).actions

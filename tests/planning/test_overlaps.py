"""Files that two distributions have with different content: what a plan says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from envfab.models.probe import Probe
from envfab.models.wheel import Wheel
from envfab.planning.overlaps import Hashes, overlaps, spoken
from envfab.planning.plan import Options, Overlap, Plan, Status
from envfab.planning.plan_cache import Plans
from tests.planning.catalogue import DictCatalogue, probe, requirements, wheelhouse


class Records:
    """The RECORDs of wheels by `NAME==VERSION`, and which of them were read."""

    def __init__(self, files: Mapping[str, Mapping[str, str]]) -> None:
        self._files = files
        self.read: list[str] = []

    def __call__(self, wheel: Wheel) -> Hashes:
        spec = f"{wheel.shown_as}=={wheel.version}"
        self.read.append(spec)
        return files(self._files.get(spec, {}))


def files(said: Mapping[str, str]) -> Hashes:
    """The files of packages with these paths, and contents in short."""
    return {("packages", path): f"sha256={content}" for path, content in said.items()}


def planned(there: Probe, catalogue: DictCatalogue, records: Records, *required: str, prune: bool = False) -> Plan:
    """The plan for a virtualenv."""
    return Plans(catalogue, Options(prune=prune), records).plan(there, requirements(*required))


def test_a_wheel_replaces_a_file_of_what_is_installed() -> None:
    """A warning names both, and that the new one wins."""
    records = Records({"Alpha==1": {"x.py": "1", "same.py": "1"}, "beta==1": {"x.py": "2", "same.py": "1"}})
    plan = planned(probe("Alpha==1"), wheelhouse(["Alpha==1", "beta==1"]), records, "beta")
    assert plan.overlaps == (Overlap("Alpha", "beta", ("x.py",)),)
    assert plan.warnings == ("x.py differs between Alpha and beta: the file of beta will be installed",)
    assert plan.status is Status.CHANGES


def test_of_wheels_that_come_together_the_later_one_wins() -> None:
    """Later in the order in which they are composed, which is that of the actions."""
    records = Records({"a==1": {"x.py": "1"}, "b==1": {"x.py": "2"}, "c==1": {"x.py": "3"}})
    plan = planned(probe(), wheelhouse(["c==1", "b==1", "a==1"]), records, "c", "a", "b")
    assert [str(action.name) for action in plan.actions] == ["a", "b", "c"]
    assert plan.overlaps == (Overlap("a", "b", ("x.py",)), Overlap("b", "c", ("x.py",)))


@pytest.mark.parametrize("prune", [False, True])
def test_what_goes_has_no_files_any_more(*, prune: bool) -> None:
    """Neither its own version from before, nor what is removed, is in the way."""
    records = Records({"a==1": {"x.py": "1"}, "a==2": {"x.py": "2"}, "old==1": {"x.py": "3"}})
    plan = planned(probe("a==1", "old==1"), wheelhouse(["a==1", "a==2", "old==1"]), records, "a", prune=prune)
    assert plan.overlaps == (() if prune else (Overlap("old", "a", ("x.py",)),))


def test_a_plan_with_nothing_to_install_reads_no_record() -> None:
    """Neither where all is current, nor where something is only removed."""
    records = Records({})
    catalogue = wheelhouse(["a==1", "old==1"])
    assert planned(probe("a==1"), catalogue, records, "a").status is Status.CURRENT
    assert planned(probe("a==1", "old==1"), catalogue, records, "a", prune=True).status is Status.CHANGES
    assert records.read == []


def test_what_is_installed_from_elsewhere_is_not_known() -> None:
    """The wheelhouse has another version of it only, or none that fits this interpreter."""
    records = Records({spec: {"x.py": spec} for spec in ("a==1", "a==2", "b==1", "c==1")})
    catalogue = wheelhouse(["a==2", "b==1"])
    catalogue.add("c==1", tag="cp27-cp27mu-win32")
    assert planned(probe("a==1", "c==1"), catalogue, records, "b").overlaps == ()
    assert records.read == ["b==1"]


def test_alike_virtualenvs_read_records_once() -> None:
    """As they are planned once."""
    records = Records({})
    plans = Plans(wheelhouse(["a==1"]), Options(), records)
    there = probe()
    first = plans.plan(there, requirements("a"))
    assert plans.plan(replace(there, fingerprint="other"), requirements("a")).actions == first.actions
    assert records.read == ["a==1"]


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [("sha256=a", "sha256=b", True), ("sha256=a", "sha256=a", False), ("sha256=a", "sha512=b", False)],
)
def test_only_hashes_of_one_kind_are_compared(one: str, other: str, *, differ: bool) -> None:
    """Those of different algorithms may be of the same content."""
    place = ("packages", "x.py")
    assert bool(overlaps([("a", {place: one})], [("b", {place: other})])) is differ


def test_many_files_are_counted() -> None:
    """Two are named."""
    found = Overlap("a", "b", tuple(f"{number}.py" for number in range(5)))
    assert spoken(found) == "0.py, 1.py and 3 more files differ between a and b: the files of b will be installed"

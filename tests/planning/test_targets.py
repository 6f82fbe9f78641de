"""Plans for interpreters that are not the one that makes them."""

from __future__ import annotations

import platform
from dataclasses import replace

import pytest
from packaging.version import Version

from envfab.errors import EnvfabError
from envfab.models.interpreter import Interpreter
from envfab.planning.plan import Status
from envfab.planning.planner import plan
from tests.planning.catalogue import DictCatalogue, distribution, interpreter, probe, requirements, tags

TARGETS = ("2.7.18", "3.6.15", "3.8.10", "3.11.7", "3.13.1")


def shop() -> DictCatalogue:
    """One wheelhouse for all of them: a pure wheel, compiled ones, and releases that left old Pythons behind."""
    catalogue = DictCatalogue()
    catalogue.add("Shop==1.0", ["Engine", 'backport ; python_version < "3.7"'], tag="py2.py3-none-any")
    catalogue.add("Shop==2.0", ["Engine>=2"], tag="py3-none-any", requires_python=">=3.8")
    catalogue.add("backport==1.0", tag="py2.py3-none-any")
    catalogue.add("Engine==1.0", tag="py2.py3-none-any")
    for python, abi in (("cp27", "cp27mu"), ("cp36", "cp36m"), ("cp38", "cp38"), ("cp311", "cp311")):
        catalogue.add("Engine==2.0", tag=f"{python}-{abi}-manylinux2014_x86_64")
    catalogue.add("Engine==2.0", tag="cp38-abi3-manylinux2014_x86_64", build="1")
    catalogue.add("Engine==2.1", tag="cp311-cp311-win_amd64")
    return catalogue


@pytest.mark.parametrize(
    ("python", "wheels"),
    [
        ("2.7.18", ["backport-1.0-py2.py3-none-any", "engine-2.0-cp27-cp27mu-manylinux2014_x86_64", "shop-1.0-py2.py3-none-any"]),
        ("3.6.15", ["backport-1.0-py2.py3-none-any", "engine-2.0-cp36-cp36m-manylinux2014_x86_64", "shop-1.0-py2.py3-none-any"]),
        ("3.8.10", ["engine-2.0-cp38-cp38-manylinux2014_x86_64", "shop-2.0-py3-none-any"]),
        ("3.11.7", ["engine-2.0-cp311-cp311-manylinux2014_x86_64", "shop-2.0-py3-none-any"]),
        ("3.13.1", ["engine-2.0-1-cp38-abi3-manylinux2014_x86_64", "shop-2.0-py3-none-any"]),
    ],
)  # fmt: skip
def test_each_target_gets_its_own_wheels_of_one_wheelhouse(python: str, wheels: list[str]) -> None:
    """Tags, Requires-Python and markers are the target's, down to the dependencies."""
    made = plan(probe(python=interpreter(python)), requirements("Shop"), shop())
    assert [action.wheel.filename.removesuffix(".whl") for action in made.actions if action.wheel] == wheels


@pytest.mark.parametrize("python", TARGETS)
def test_markers_of_requirements_are_the_targets(python: str) -> None:
    """A line for another Python is no line at all, for requirements and constraints alike."""
    catalogue = DictCatalogue()
    for name in ("old", "new", "here"):
        catalogue.add(f"{name}==1.0")
        catalogue.add(f"{name}==2.0")
    required = requirements(
        'old ; python_version < "3"',
        'new ; python_version >= "3"',
        f'here ; python_full_version == "{platform.python_version()}"',
        constraints=['old<2 ; python_version < "3"', 'new<2 ; python_full_version == "3.8.10"'],
    )
    made = plan(probe(python=interpreter(python)), required, catalogue)
    expected = {"2.7.18": ["old 1.0"], "3.8.10": ["new 1.0"]}.get(python, ["new 2.0"])
    expected += ["here 2.0"] if python == platform.python_version() else []
    assert sorted(f"{action.shown_as} {action.version}" for action in made.actions) == sorted(expected)


def test_the_platform_of_the_target_counts() -> None:
    """Markers know more than the version."""
    catalogue = DictCatalogue()
    catalogue.add("a==1.0", ['winloop ; sys_platform == "win32"', 'arm ; platform_machine == "aarch64"'])
    catalogue.add("arm==1.0")
    arm = interpreter("3.11.7", platform_machine="aarch64")
    made = plan(probe(python=arm), requirements("a"), catalogue)
    assert [action.name for action in made.actions] == ["a", "arm"]


def test_a_release_candidate_of_python_counts_as_its_release() -> None:
    """Like pip: `Requires-Python: >=3.14` admits 3.14.0rc1."""
    catalogue = DictCatalogue()
    catalogue.add("a==1.0", requires_python=">=3.13")
    candidate = Interpreter(Version("3.13.0rc1"), "CPython", interpreter("3.13.0").markers, tags("3.13.0"))
    assert plan(probe(python=candidate), requirements("a"), catalogue).status is Status.CHANGES


def test_a_comparison_without_sense_does_not_count() -> None:
    """A marker that compares with no version is no reason to stop, in the wheelhouse or in the virtualenv."""
    catalogue = DictCatalogue()
    catalogue.add("a==1.0", ['gone ; platform_release >= "6.1-custom"'])
    there = probe(distribution("b==1.0", ['gone ; platform_version > "x y"']))
    assert plan(there, requirements("a"), catalogue).status is Status.CHANGES


def test_an_incomplete_marker_environment_is_refused() -> None:
    """packaging would fill the gap from the Python that runs this program."""
    complete = interpreter("3.8.10")
    without = {name: value for name, value in complete.markers.items() if name != "sys_platform"}
    with pytest.raises(EnvfabError, match=r"^CPython 3\.8\.10: the marker environment lacks sys_platform\n"):
        plan(probe(python=replace(complete, markers=without)), requirements("a"), DictCatalogue())

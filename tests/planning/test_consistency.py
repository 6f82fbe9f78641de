"""What is odd about what is installed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envfab.models.distribution import Origin
from envfab.models.probe import Stranded
from envfab.planning.consistency import oddities, unmet
from tests.planning.catalogue import distribution, probe


def test_a_virtualenv_of_wheels_that_go_together_has_no_oddities() -> None:
    """Nothing is told where there is nothing to tell."""
    assert oddities(probe(distribution("Django==5.2", ["asgiref>=3"]), "asgiref==3.8")) == ()


def test_installations_that_no_wheel_made_are_named_by_kind() -> None:
    """One line a kind, with the names as published."""
    there = probe(
        distribution("Zebra==1.0", origin=Origin.EDITABLE),
        distribution("ant==2.0", origin=Origin.EDITABLE),
        distribution("old==0.1", origin=Origin.EGG_INFO),
        distribution("far==3", origin=Origin.DIRECT_URL),
        "plain==1.0",
    )
    assert oddities(there) == (
        "installed by other means (editable): ant 2.0, Zebra 1.0",
        "installed by other means (direct URL): far 3",
        "installed by other means (egg-info): old 0.1",
    )


def test_requirements_that_were_not_met_before_are_told() -> None:
    """Absent or of another version; what the system provides counts as there."""
    there = probe(
        distribution("a==1", ["b>=2", "c", "d"]),
        "b==1.0",
        outside=[distribution("d==1", origin=Origin.OUTSIDE)],
    )
    assert unmet(there) == {"a requires b>=2, but 1.0 is installed", "a requires c, which is not installed"}
    assert oddities(there) == (
        "broken before this deployment: a requires b>=2, but 1.0 is installed",
        "broken before this deployment: a requires c, which is not installed",
    )


@pytest.mark.parametrize(("packages", "are", "them"), [(1, "1 package is", "it"), (12, "12 packages are", "them")])
def test_packages_of_another_minor_version_are_told_with_what_to_do(packages: int, are: str, them: str) -> None:
    """Install anew and remove the old folder, or go back to the old interpreter."""
    there = probe()
    path = f"{there.target.path}/lib/python3.9"
    assert oddities(replace(there, stranded=Stranded("lib/python3.9", packages))) == (
        f"{are} in lib/python3.9, which bin/python (Python 3.11) does not use: deploy installs the requirements for"
        f" Python 3.11, then remove {them} with rm -r {path}; or make bin/python a link to python3.9 again",
    )

"""What is newer, where, and within what is required."""

from __future__ import annotations

from envfab.fetch.outdated import outdated
from tests.planning.catalogue import DictCatalogue, distribution, probe, requirements, wheelhouse


def told(*there: object, lines: tuple[str, ...] = (), **sources: DictCatalogue) -> list[tuple[object, ...]]:
    """(name, installed, newest in each source, allowed) of all that is outdated."""
    found = outdated(probe(*there), requirements(*lines), sources)  # type: ignore[arg-type]  # strings and distributions
    return [
        (one.shown_as, str(one.installed), {key: str(value) for key, value in one.newest.items()},
         str(one.allowed) if one.allowed else None)
        for one in found
    ]  # fmt: skip


def test_tells_each_source_and_what_is_allowed() -> None:
    """Newest in the wheelhouse, newest in the index, and the newest of either that requirements and dependents allow."""
    here, there = (
        wheelhouse(["shop==1.1", "basket==2.0", "six==1.0"]),
        wheelhouse(["shop==1.2", "shop==2.0", "basket==2.5"]),
    )
    installed = [distribution("shop==1.0"), distribution("Basket==1.0"), "six==1.0",
                 distribution("till==1.0", ["basket<2.1"])]  # fmt: skip
    assert told(*installed, lines=("shop<2",), wheelhouse=here, index=there) == [
        ("Basket", "1.0", {"wheelhouse": "2.0", "index": "2.5"}, "2.0"),
        ("shop", "1.0", {"wheelhouse": "1.1", "index": "2.0"}, "1.2"),
    ]


def test_pinned_and_unusable_releases_are_not_offered() -> None:
    """A pin allows nothing newer; yanked, foreign and unsupported wheels and pre-releases are not newer at all."""
    assert told("shop==1.0", lines=("shop==1.0",), wheelhouse=wheelhouse(["shop==1.1"])) == [
        ("shop", "1.0", {"wheelhouse": "1.1"}, None)
    ]
    catalogue = wheelhouse(["shop==1.0", "shop==2.0rc1"])
    catalogue.add("shop==1.1", yanked="broken")
    catalogue.add("shop==1.2", tag="cp38-cp38-manylinux2014_x86_64")
    catalogue.add("shop==1.3", requires_python="<3")
    assert told("shop==1.0", wheelhouse=catalogue) == []


def test_what_only_the_requirements_name_is_allowed() -> None:
    """A pinned release that was withdrawn, or a pre-release that is asked for, is newer for whoever names it."""
    catalogue = wheelhouse(["shop==1.0", "shop==2.0rc1"])
    catalogue.add("shop==1.1", yanked="broken")
    assert told("shop==1.0", lines=("shop==1.1",), wheelhouse=catalogue) == [("shop", "1.0", {}, "1.1")]
    assert told("shop==1.0", lines=("shop>=2.0rc1",), wheelhouse=catalogue) == [("shop", "1.0", {}, "2.0rc1")]


def test_a_constraint_counts() -> None:
    """What -c says narrows what is allowed."""
    found = outdated(
        probe("six==1.0"), requirements(constraints=["six<1.5"]), {"wheelhouse": wheelhouse(["six==1.4", "six==2"])}
    )
    assert [str(one.allowed) for one in found] == ["1.4"]

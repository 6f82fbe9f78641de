"""The requirements of a pyproject.toml: dependencies, extras, and the dependency groups of PEP 735."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from envfab.errors import RequirementsError
from envfab.models.requirements import Requirements, parse

GROUPS = """
[dependency-groups]
web = ["gunicorn>=23", {include-group = "Data-Base"}]
data_base = ["psycopg"]
all = [{include-group = "web"}, {include-group = "data-base"}, "sentry-sdk ; python_version >= '3'"]
broken = ["gunicorn=23", "fine"]
round = [{include-group = "about"}]
about = [{include-group = "round"}]
lost = [{include-group = "nowhere"}]
odd = [{set-phasers-to = "stun"}]
url = ["shop @ https://me:secret@example.org/shop.whl"]
"""

PROJECT = """
[project]
name = "shop"
dependencies = ["Django>=5"]
[project.optional-dependencies]
Fast_IO = ["uvloop"]
"""


def read(text: str, groups: Sequence[str] | None = None, extras: Sequence[str] = ()) -> Requirements:
    """The requirements of one pyproject.toml."""
    return parse(["pyproject.toml"], lambda _name: text, groups=groups, extras=extras)


def lines(requirements: Requirements) -> list[str]:
    """The entries with where they stand."""
    return [f"{entry.origin}: {entry.requirement}" for entry in requirements.entries]


def refusal(text: str, groups: Sequence[str] | None = None, extras: Sequence[str] = ()) -> str:
    """What is said of a file that is refused."""
    with pytest.raises(RequirementsError) as caught:
        read(text, groups, extras)
    return str(caught.value)


def test_a_group_is_its_requirements_and_those_it_includes() -> None:
    """Names are compared as PEP 735 has it; what is included twice is required once."""
    assert lines(read(GROUPS, ["WEB"])) == [
        "pyproject.toml:web: gunicorn>=23",
        "pyproject.toml:data-base: psycopg",
    ]
    assert len(read(GROUPS, ["all"]).entries) == 3


def test_a_project_brings_its_dependencies_and_chosen_extras() -> None:
    """Beside the groups that are chosen."""
    assert lines(read(PROJECT + GROUPS, ["data_base"], ["fast.io"])) == [
        "pyproject.toml:dependencies: Django>=5",
        "pyproject.toml:Fast_IO: uvloop",
        "pyproject.toml:data-base: psycopg",
    ]
    assert lines(read(PROJECT)) == ["pyproject.toml:dependencies: Django>=5"]


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("round", "the group 'round' cannot be used: the groups include each other: round → about → round"),
        ("lost", "'nowhere' not found"),
        ("odd", "Invalid dependency group item"),
        ("broken", "the group 'broken' cannot be used: "),
        ("url", "names a URL"),
    ],
)
def test_a_group_that_cannot_be_used_is_refused(group: str, said: str) -> None:
    """Circles, groups that are not there, and what is no requirement, in a short message without secrets."""
    message = refusal(GROUPS, [group])
    assert message.startswith("pyproject.toml:")
    assert said in message
    assert "secret" not in message
    assert len(message) < 400


def test_groups_that_nobody_chose_are_not_looked_into() -> None:
    """As PEP 735 wants it: what is wrong with another group is no matter."""
    assert len(read(GROUPS, ["data-base"]).entries) == 1


def test_a_file_of_which_nothing_is_chosen_is_refused() -> None:
    """An empty set of requirements would mean that nothing has to be installed."""
    assert refusal(GROUPS).startswith(
        "pyproject.toml: it has no dependencies of a project, and no group or extra of it is chosen\n"
        "  choose with groups=[…] or extras=[…]: group web, group data_base"
    )
    assert refusal("[tool.ruff]\n").endswith("add a [dependency-groups]")


def test_an_extra_may_stand_for_others_of_the_project() -> None:
    """`all = ["shop[fast-io,more]"]` is no requirement on a wheel of the project itself."""
    text = PROJECT + 'more = ["orjson", "Shop[all]"]\nall = ["shop[fast-io, more]"]\nlost = ["shop[none]"]\n'
    assert lines(read(text, extras=["all"])) == [
        "pyproject.toml:dependencies: Django>=5",
        "pyproject.toml:Fast_IO: uvloop",
        "pyproject.toml:more: orjson",
    ]
    assert refusal(text, extras=["lost"]) == "pyproject.toml:lost: 'shop[none]': there is no extra none"


def test_a_chosen_group_that_is_empty_is_told_as_such() -> None:
    """Not as none that is chosen."""
    text = "[dependency-groups]\nnone = []\n"
    assert refusal(text, ["none"]).startswith("pyproject.toml: it has no dependencies of a project, and none of it")


def test_an_unknown_group_or_extra_is_refused() -> None:
    """With those that there are."""
    assert (
        refusal(PROJECT, ["web"]) == "pyproject.toml: no group 'web'\n  a pylock.toml or a pyproject.toml can have some"
    )
    assert refusal(PROJECT, extras=["fast"]) == "pyproject.toml: no extra 'fast'\n  there are fast-io"


def test_two_groups_of_one_name_are_refused() -> None:
    """PEP 735: names that differ in spelling alone are an error."""
    assert "Duplicate dependency group names" in refusal('[dependency-groups]\na-b = ["x"]\na_b = ["y"]\n', ["a-b"])


def test_dynamic_dependencies_are_told() -> None:
    """Whoever builds the project knows them; nobody else does."""
    text = '[project]\nname = "shop"\ndynamic = ["dependencies"]\n[dependency-groups]\nweb = ["gunicorn"]\n'
    assert read(text, ["web"]).notes == ("pyproject.toml: dependencies of the project are dynamic and were not read",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[project", "is not a valid pyproject.toml: "),
        ("project = 5", "project must be a table"),
        ('[project]\ndependencies = "Django"', "must be a list of requirements"),
        ("[project]\ndependencies = [5]", "must be a list of requirements"),
        (f"a = {'1' * 5000}", "is not a valid pyproject.toml: "),
        ("a = " + "[" * 5000, "it is nested too deeply"),
        (f'[project]\ndependencies = ["shop=={"1" * 5000}"]', "a number of more than 100 digits"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, said: str) -> None:
    """One short error that names the file."""
    message = refusal(text)
    assert message.startswith("pyproject.toml")
    assert said in message
    assert len(message) < 400


def test_groups_that_double_what_they_include_are_read_at_once() -> None:
    """Sixty groups, each of which includes the next twice, would be more requirements than there is memory."""
    groups = "".join(
        f"g{number} = [{{include-group = 'g{number + 1}'}}, {{include-group = 'g{number + 1}'}}]\n"
        for number in range(60)
    )
    assert len(read(f"[dependency-groups]\n{groups}g60 = ['Django']\n", ["g0"]).entries) == 1


def test_a_chain_of_groups_ends() -> None:
    """One error, not a traceback."""
    groups = "".join(f"g{number} = [{{include-group = 'g{number + 1}'}}]\n" for number in range(1200))
    assert "more than 100 groups include each other" in refusal(f"[dependency-groups]\n{groups}g1200 = []\n", ["g0"])

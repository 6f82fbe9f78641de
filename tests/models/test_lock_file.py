"""Lock files by PEP 751: what is taken from them, what is left for planning, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from envfab.errors import RequirementsError
from envfab.models.requirements import Requirements, parse

LOCK = """
lock-version = "1.0"
created-by = "somebody"
packages = [
    {name = "shop", version = "1.0", marker = "python_version < '3.9'", wheels = [
        {path = "shop-1.0-py3-none-any.whl", hashes = {sha256 = "AAAA", md5 = "abc"}},
        {url = "https://example.org/shop-1.0-py2-none-any.whl", hashes = {sha256 = "bbbb"}},
    ]},
]
""".replace("AAAA", "A" * 64).replace("bbbb", "b" * 64)

PDM = """
lock-version = "1.0"
created-by = "pdm"
requires-python = ">=3.9"
environments = ["sys_platform == 'linux'"]
extras = ["fast-io"]
dependency-groups = ["default", "dev"]
default-groups = ["default"]
packages = []
"""


def locked(text: str, groups: Sequence[str] | None = None, extras: Sequence[str] = ()) -> Requirements:
    """The requirements of one lock file."""
    return parse(["pylock.toml"], lambda _name: text, groups=groups, extras=extras)


@pytest.mark.parametrize("name", ["pylock.toml", "locks/pylock.prod.toml"])
def test_a_lock_is_pins_with_hashes(name: str) -> None:
    """A file named as PEP 751 wants is read as a lock: versions, markers, every wheel's SHA-256."""
    requirements = parse([name], lambda _name: LOCK)
    (entry,) = requirements.entries
    assert str(entry.requirement) == "shop==1.0"
    assert entry.locked is not None
    assert str(entry.locked.marker) == 'python_version < "3.9"'
    assert entry.hashes == {"a" * 64, "b" * 64}
    assert entry.origin == f"{name}:shop"
    assert requirements.locks == (entry.locked.lock,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lock-version = ", "pylock.toml: is not a valid lock file: "),
        ('lock-version = "1.0"', "pylock.toml: is not a valid lock file: Missing required value in 'created-by'"),
        ('lock-version = "2.0"\ncreated-by = "x"\npackages = []', "pylock.toml: is not a valid lock file: "),
        (
            f'lock-version = "1.{"0" * 5000}"\ncreated-by = "x"\npackages = []',
            "pylock.toml: is not a valid lock file: ",
        ),
        ("a = " + "[" * 5000, "pylock.toml: is not a valid lock file: it is nested too deeply"),
        (f"a = {'1' * 5000}", "pylock.toml: is not a valid lock file: "),
        (LOCK.replace("3.9", "3." + "9" * 200), "pylock.toml:shop: its marker "),
        (LOCK.replace('"1.0", marker', f'"{"1" * 200}", marker'), "pylock.toml: is not a valid lock file: "),
    ],
)
def test_what_is_no_lock_is_refused(text: str, message: str) -> None:
    """Damage, a format to come and numbers without end are one short error that names the file and the package."""
    with pytest.raises(RequirementsError) as caught:
        locked(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "shop"\nversion = "1.0"\n'
            '[packages.sdist]\nurl = "https://example.org/shop-1.0.tar.gz"\nhashes = {sha256 = "a"}',
            "it is not locked to wheels of one version",
        ),
        (
            'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "shop"\ndirectory = {path = "."}',
            "it is not locked to wheels of one version",
        ),
        (LOCK.replace("sha256", "sha3_256"), "none of its wheels has a SHA-256; lock it again"),
    ],
)
def test_what_cannot_be_deployed_is_kept_for_planning(text: str, problem: str) -> None:
    """Whether it matters depends on the target: a package may be locked for another system."""
    (entry,) = locked(text).entries
    assert entry.locked is not None
    assert entry.locked.problem == problem


def test_a_version_may_stand_in_the_wheels_names_alone() -> None:
    """PEP 751 leaves it out where it is not known."""
    (entry,) = locked(LOCK.replace('version = "1.0", ', "")).entries
    assert str(entry.requirement) == "shop==1.0"


def test_what_the_lock_demands_is_kept_for_planning() -> None:
    """Which Python and which environments it is for."""
    (lock,) = locked(PDM).locks
    assert str(lock.requires_python) == ">=3.9"
    assert list(map(str, lock.environments or ())) == ['sys_platform == "linux"']


@pytest.mark.parametrize(
    ("groups", "extras", "chosen"),
    [
        (None, [], ({"default"}, set())),
        ([], [], (set(), set())),
        (["dev"], [], ({"dev"}, set())),
        (["Default", "dev"], ["fast.io"], ({"default", "dev"}, {"fast-io"})),
    ],
)
def test_groups_and_extras_are_chosen(
    groups: Sequence[str] | None, extras: Sequence[str], chosen: tuple[set[str], set[str]]
) -> None:
    """The default groups without a choice, those that are named with one; spelling does not matter."""
    (lock,) = locked(PDM, groups, extras).locks
    assert (set(lock.groups), set(lock.extras)) == chosen


@pytest.mark.parametrize(
    ("groups", "extras", "message"),
    [
        (["prod"], [], "pylock.toml: no group 'prod'\n  there are default, dev"),
        (None, ["slow", "fast-io"], "pylock.toml: no extra 'slow'\n  there are fast-io"),
    ],
)
def test_an_unknown_choice_is_refused(groups: Sequence[str] | None, extras: Sequence[str], message: str) -> None:
    """A spelling mistake would leave packages out in silence."""
    with pytest.raises(RequirementsError) as caught:
        locked(PDM, groups, extras)
    assert str(caught.value) == message


def test_a_choice_needs_a_file_that_has_some() -> None:
    """A plain requirements file has neither groups nor extras."""
    with pytest.raises(RequirementsError) as caught:
        parse(["shop.txt"], lambda _name: "Django", groups=["dev"])
    assert str(caught.value) == "shop.txt: no group 'dev'\n  a pylock.toml or a pyproject.toml can have some"

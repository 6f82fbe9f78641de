"""Lock files held against targets, as PEP 751 wants it; and requirements of which nothing applies."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from envfab.models.interpreter import Interpreter
from envfab.models.requirements import Requirements, parse
from envfab.planning.plan import Options, Plan, Status
from envfab.planning.planner import plan
from tests.planning.catalogue import DictCatalogue, interpreter, probe, requirements, wheelhouse
from tests.planning.test_planner import steps

DJANGO = wheelhouse(["django==5.2", "asgiref==3.8", "ruff==1.0"])

PDM = """
lock-version = "1.0"
created-by = "pdm"
extras = ["asgi"]
dependency-groups = ["dev"]
default-groups = ["default"]
"""


def package(name: str, version: str, marker: str = "", more: str = "") -> str:
    """A package of a lock, with the wheel that the wheelhouse has."""
    filename = f"{name}-{version}-py2.py3-none-any.whl"
    (wheel,) = [
        release.wheel
        for releases in DJANGO.by_name.values()
        for release in releases
        if release.wheel.filename == filename
    ]
    return (
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        + (f'marker = "{marker}"\n' if marker else "")
        + more
        + f'wheels = [{{url = "https://e.org/{filename}", hashes = {{sha256 = "{wheel.sha256}"}}}}]\n'
    )


LOCK = (
    PDM
    + package("django", "5.2", "'default' in dependency_groups")
    + package("asgiref", "3.8", "'asgi' in extras or 'dev' in dependency_groups")
    + package("ruff", "1.0", "'dev' in dependency_groups")
)


def locked(text: str, groups: Sequence[str] | None = None, extras: Sequence[str] = ()) -> Requirements:
    """The requirements of one lock file."""
    return parse(["pylock.toml"], lambda _name: text, groups=groups, extras=extras)


def made(
    required: Requirements,
    python: Interpreter | None = None,
    catalogue: DictCatalogue = DJANGO,
    there: Sequence[str] = (),
    options: Options | None = None,
) -> Plan:
    """The plan for a virtualenv."""
    return plan(probe(*there, python=python), required, catalogue, options or Options())


def why_blocked(required: Requirements, python: Interpreter | None = None) -> str:
    """What blocks the plan."""
    blocked = made(required, python)
    assert blocked.status is Status.BLOCKED
    assert not blocked.actions
    return "\n".join(blocked.conflicts)


@pytest.mark.parametrize(
    ("groups", "extras", "installed"),
    [
        (None, [], ["django"]),
        (None, ["asgi"], ["asgiref", "django"]),
        (["dev"], [], ["asgiref", "ruff"]),
        (["default", "dev"], [], ["asgiref", "django", "ruff"]),
    ],
)
def test_packages_are_chosen_by_groups_and_extras(
    groups: Sequence[str] | None, extras: Sequence[str], installed: list[str]
) -> None:
    """Default groups without a choice; a lock as PDM writes it was planned as nothing at all."""
    assert [action.name for action in made(locked(LOCK, groups, extras)).actions] == installed


def test_a_lock_of_which_nothing_is_chosen_blocks() -> None:
    """It would be an up-to-date virtualenv, and `--prune` would remove everything."""
    assert why_blocked(locked(LOCK, groups=[])) == (
        "pylock.toml: none of its 3 packages applies to this target\n"
        "  choose with groups=[…] or extras=[…]: extra asgi, group dev, group default"
    )


@pytest.mark.parametrize("groups", [None, []])
def test_a_lock_as_constraints_asks_for_nothing(groups: Sequence[str] | None) -> None:
    """It was refused as one of which nothing applies; where something does, its versions and hashes hold."""
    texts = {"requirements.txt": "django\n-c pylock.toml\n", "pylock.toml": ""}
    texts["pylock.toml"] = PDM + package("django", "5.2", "'default' in dependency_groups")
    required = parse(["requirements.txt"], texts.__getitem__, groups=groups)
    done = made(required, catalogue=wheelhouse(["django==5.2", "django==6.0"]))
    assert [str(action.version) for action in done.actions] == ["6.0" if groups == [] else "5.2"]


def test_requirements_of_which_none_applies_block() -> None:
    """A file that names requirements, all of them for other interpreters, is a mistake too."""
    lines = ["django ; python_version < '3'", "asgiref ; sys_platform == 'win32'"]
    assert (
        why_blocked(requirements(*lines)) == "none of the 2 requirements in requirements.txt applies to CPython 3.11.7"
    )
    pruned = made(requirements(*lines), there=["django==5.2"], options=Options(prune=True))
    assert (pruned.status, pruned.actions) == (Status.BLOCKED, ())


def test_a_file_that_names_no_requirement_is_no_mistake() -> None:
    """Whoever requires nothing says so by an empty file."""
    assert made(requirements("# nothing yet")).status is Status.CURRENT


def test_the_locks_requires_python_blocks() -> None:
    """With what it requires, and what there is; a release candidate counts as what it will be."""
    text = LOCK.replace("extras =", 'requires-python = ">=3.12"\nextras =')
    assert why_blocked(locked(text)) == "pylock.toml requires Python >=3.12; this interpreter is 3.11.7"
    assert made(locked(text), interpreter("3.12.0rc1")).status is Status.CHANGES


def test_a_packages_requires_python_blocks() -> None:
    """PEP 751 wants an error, not another package; of one that does not apply it does not matter."""
    text = PDM + package("django", "5.2", more='requires-python = ">=3.12"\n')
    assert why_blocked(locked(text)) == "pylock.toml:django requires Python >=3.12; this interpreter is 3.11.7"
    text = LOCK + package("asgiref", "3.8", "sys_platform == 'win32'", 'requires-python = ">=3.12"\n')
    assert made(locked(text)).status is Status.CHANGES


def test_environments_block_where_none_is_the_targets() -> None:
    """A lock for other machines has other packages."""
    text = LOCK.replace("extras =", "environments = [\"sys_platform == 'win32'\", \"os_name == 'nt'\"]\nextras =")
    assert why_blocked(locked(text)) == (
        'pylock.toml is not for this environment, only for\n  sys_platform == "win32"\n  os_name == "nt"'
    )
    assert made(locked(text.replace("win32", "linux"))).status is Status.CHANGES


def test_two_entries_of_a_package_block_where_both_apply() -> None:
    """PEP 751: the ambiguity is an error."""
    two = wheelhouse(["django==5.2", "django==5.1"])
    assert two.by_name
    entry = package("django", "5.2")
    text = PDM + entry + entry.replace("5.2", "5.1")
    assert why_blocked(locked(text)) == "pylock.toml has more than one django for this target: django==5.2, django==5.1"
    apart = entry.replace("wheels", "marker = \"sys_platform == 'win32'\"\nwheels")
    assert made(locked(PDM + entry + apart)).status is Status.CHANGES


def test_what_is_locked_to_no_wheel_blocks_only_where_it_applies() -> None:
    """A lock may have the project itself as a folder, for the group of its developers."""
    folder = '[[packages]]\nname = "shop"\nmarker = "%s"\ndirectory = {path = "."}\n'
    applies = folder % "'dev' in dependency_groups"
    assert made(locked(LOCK + applies)).status is Status.CHANGES
    assert why_blocked(locked(LOCK + applies, groups=["dev"])) == (
        "pylock.toml:shop: it is not locked to wheels of one version"
    )


def test_what_a_lock_lacks_is_told() -> None:
    """A lock names all that it needs; what else its packages want comes out of the wheelhouse, and the plan says so."""
    catalogue = DictCatalogue()
    catalogue.add("django==5.2", ["asgiref"], sha256=DJANGO.by_name[next(iter(DJANGO.by_name))][0].wheel.sha256)
    catalogue.add("asgiref==3.8")
    done = made(locked(PDM + package("django", "5.2")), catalogue=catalogue)
    assert steps(done) == ["install asgiref 3.8", "install django 5.2"]
    assert done.warnings == ("asgiref 3.8 is required by django but is not in pylock.toml",)


def test_a_marker_that_cannot_be_evaluated_is_no_silence() -> None:
    """The package might be needed."""
    from envfab.errors import EnvfabError

    text = PDM + package("django", "5.2", "extra == 'x'")
    with pytest.raises(EnvfabError, match=r"^pylock\.toml: cannot evaluate the marker"):
        made(locked(text))

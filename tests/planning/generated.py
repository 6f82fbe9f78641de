"""Generated wheelhouses, virtualenvs and requirements: one `Case` a seed, always the same one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import Version

from tests.planning.catalogue import DictCatalogue

EXTRA = "fast"
_VERSIONS = ("0.9", "1.0", "1.0.1", "1.1", "1.2", "1.2+corp1", "2.0rc1", "2.0", "2.1", "3.0b2", "3.0")
_PRE_RELEASES = ("2.0rc1", "3.0b2")
_RANGES = ("", "", "", ">=1.0", ">=1.1", "<3", "<2.1", ">=1,<3", "!=2.0", "~=1.0", "~=2.0", "==1.*", ">=2.0rc1")
_TIGHT = ("==1.1", "==2.0", "==1.2", "<1.1", ">=2.1", ">=3", "==1.0", "===2.0")
_MARKERS = (
    'python_version >= "3.8"',
    'python_version < "3.0"',
    'sys_platform == "linux"',
    'sys_platform == "win32"',
    'platform_python_implementation == "CPython" or python_full_version < "3.6.1"',
)
_PYTHONS = (*[None] * 12, ">=3.8", ">=3", ">=2.7,!=3.0.*", "<3.9", ">=4")


@dataclass(frozen=True)
class WheelSpec:
    """A wheel to be; `tag`, `build` and `yanked` as file name and index have them."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    requires_python: str | None = None
    tag: str = "py3-none-any"
    build: str = ""
    yanked: bool = False

    @property
    def filename(self) -> str:
        return "-".join([self.name, self.version, *([self.build] if self.build else []), self.tag]) + ".whl"


@dataclass(frozen=True)
class InstalledSpec:
    """A distribution that is there already."""

    name: str
    version: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A wheelhouse, a virtualenv and what it must satisfy."""

    seed: int
    wheels: tuple[WheelSpec, ...]
    installed: tuple[InstalledSpec, ...]
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]

    def catalogue(self) -> DictCatalogue:
        """The wheelhouse, in memory."""
        catalogue = DictCatalogue()
        for wheel in self.wheels:
            catalogue.add(
                f"{wheel.name}=={wheel.version}",
                wheel.requires,
                requires_python=wheel.requires_python,
                extras=[EXTRA],
                tag=wheel.tag,
                build=wheel.build,
                yanked="withdrawn" if wheel.yanked else None,
            )
        return catalogue


def generate(seed: int, native_tag: str) -> Case:
    """The case of `seed`; `native_tag` is a tag that the interpreter prefers to `py3-none-any`."""
    dice = random.Random(seed)
    names = [f"p{number}" for number in range(dice.randint(3, 8))]
    wheels = [wheel for name in names for wheel in _project(dice, name, names, native_tag)]
    wanted = dice.sample(names, dice.randint(1, 3))
    wanted += [dice.choice(wanted)] if dice.random() < 0.15 else []
    requirements = [_requirement(dice, name, tight=0.08) for name in wanted]
    constraints = [f"{name}{dice.choice(_RANGES)}" for name in names if dice.random() < 0.08]
    return Case(seed, tuple(wheels), tuple(_installed(dice, names, wheels)), tuple(requirements), tuple(constraints))


def _project(dice: random.Random, name: str, names: Sequence[str], native_tag: str) -> list[WheelSpec]:
    wheels = []
    others = [other for other in names if other != name]
    versions = _PRE_RELEASES if dice.random() < 0.05 else dice.sample(_VERSIONS, dice.randint(2, 6))
    for version in sorted(versions, key=Version):
        requires = tuple(
            _dependency(dice, other) for other in dice.sample(others, min(len(others), dice.choice((0, 0, 1, 1, 2))))
        )
        kinds = [("py3-none-any", "")]
        if dice.random() < 0.2:
            kinds.append(
                dice.choice([(native_tag, ""), ("py3-none-any", "1"), ("py2.py3-none-any", "2b"), ("py2-none-any", "")])
            )
        if dice.random() < 0.05:
            kinds = [("cp27-cp27mu-linux_x86_64", "")]
        for tag, build in kinds:
            yanked = dice.random() < 0.04
            wheels.append(WheelSpec(name, version, requires, dice.choice(_PYTHONS), tag, build, yanked))
    return wheels


def _requirement(dice: random.Random, name: str, tight: float) -> str:
    extras = f"[{EXTRA}]" if dice.random() < 0.2 else ""
    specifier = dice.choice(_TIGHT) if dice.random() < tight else dice.choice(_RANGES)
    marker = f" ; {dice.choice(_MARKERS)}" if dice.random() < 0.15 else ""
    return f"{name}{extras}{specifier}{marker}"


def _dependency(dice: random.Random, name: str) -> str:
    line = _requirement(dice, name, tight=0.06)
    if ";" not in line and dice.random() < 0.2:
        line += f' ; extra == "{EXTRA}"'
    return line


def _installed(dice: random.Random, names: Sequence[str], wheels: Sequence[WheelSpec]) -> list[InstalledSpec]:
    """Nothing for half of the cases; else some of the wheelhouse's versions, or others with dependencies of their own."""
    if dice.random() < 0.5:
        return []
    there = []
    for name in names:
        if dice.random() < 0.5:
            continue
        if dice.random() < 0.7:
            wheel = dice.choice([wheel for wheel in wheels if wheel.name == name])
            there.append(InstalledSpec(name, wheel.version, wheel.requires))
        else:
            others = [other for other in names if other != name]
            requires = (_dependency(dice, dice.choice(others)),) if dice.random() < 0.3 else ()
            there.append(InstalledSpec(name, dice.choice(_VERSIONS), requires))
    return there

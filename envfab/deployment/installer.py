"""What installs into a virtualenv: its own pip, the wheelhouse's pip, or the wheelhouse's uv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from packaging.version import Version

from envfab.errors import WheelError
from envfab.models.distribution import Origin
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.models.wheel import Wheel
from envfab.planning.catalogue import Catalogue
from envfab.planning.lookup import newest_wheel
from envfab.planning.plan import Action, Missing
from envfab.util.versions import version_or_none

PIP = canonicalize_name("pip")
UV = canonicalize_name("uv")
# since then pip takes no wheel whose Requires-Dist it cannot read
STRICT_PIP = Version("24.1")
# uv asks the interpreter about itself with a program that older ones cannot run
OLDEST_FOR_UV = Version("3.8")
# distutils left no list of files that uv could take away
NOT_FOR_UV = (Origin.EGG_INFO, Origin.EDITABLE)


@dataclass(frozen=True, slots=True)
class Installer:
    """A wheel of the wheelhouse that is run on the host, pip's or uv's; without one the virtualenv's own pip."""

    wheel: Wheel | None = None

    @property
    def is_uv(self) -> bool:
        """Whether it is uv."""
        return self.wheel is not None and self.wheel.name == UV

    def and_its_own(self, wheels: Sequence[Wheel]) -> tuple[Wheel, ...]:
        """`wheels`, and the installer's where that is not one of them: all that must be on the host."""
        return (*wheels, *(own for own in (self.wheel,) if own is not None and own not in wheels))

    def __str__(self) -> str:
        if self.wheel is None:
            return "pip"
        return f"uv {self.wheel.version}" if self.is_uv else f"pip {self.wheel.version} of the wheelhouse"


OWN_PIP = Installer()


def choose(wanted: str, actions: Sequence[Action], probe: Probe, catalogue: Catalogue) -> Installer | Missing:
    """What to install with where the setting says `wanted`, or what is missing for that; may raise `TagsNeeded`.

    `auto` is uv where the wheelhouse has one that fits and all that it would replace came from wheels, else pip.
    """
    interpreter = probe.interpreter
    if wanted != "pip":
        uv = newest_wheel(UV, interpreter, catalogue) if _runs_uv(interpreter) else None
        if uv is not None and (wanted == "uv" or not _replaces_others(actions, probe)):
            return Installer(uv)
        if wanted == "uv":
            why = (
                "the wheelhouse has no uv wheel that fits it"
                if _runs_uv(interpreter)
                else "uv needs CPython 3.8 or newer"
            )
            return Missing("uv", "the setting installer", why)
    found = _pip(actions, probe, catalogue)
    if isinstance(found, Installer):
        version = found.wheel.version if found.wheel is not None else version_or_none(probe.pip or "")
        refused = _refused_by(version, actions, catalogue)
        if refused is not None:
            return refused
    return found


def _pip(actions: Sequence[Action], probe: Probe, catalogue: Catalogue) -> Installer | Missing:
    interpreter = probe.interpreter
    changing = next((action.wheel for action in actions if action.name == PIP), None)
    if changing is not None:
        return Installer(changing)
    if PIP in probe.distributions:
        return OWN_PIP
    pip = newest_wheel(PIP, interpreter, catalogue)
    why = "the virtualenv has no pip, and the wheelhouse has no pip wheel that fits it"
    return Installer(pip) if pip is not None else Missing("pip", "installing anything", why)


def _refused_by(pip: Version | None, actions: Sequence[Action], catalogue: Catalogue) -> Missing | None:
    """The first wheel that this pip does not install, for its Requires-Dist is not as the standard wants it."""
    if pip is None or pip < STRICT_PIP:
        return None
    for action in actions:
        if action.wheel is not None and not _is_strict(action.wheel, catalogue):
            why = f"pip {pip}, which would install it, refuses wheels with such a Requires-Dist"
            more = "set installer to auto, with a wheel of uv in the wheelhouse, or build the wheel again"
            return Missing(f"{action.shown_as}=={action.version}", action.reason, f"{why}\n{more}")
    return None


def _is_strict(wheel: Wheel, catalogue: Catalogue) -> bool:
    try:
        return catalogue.metadata(wheel).strict
    except WheelError:
        # the wheelhouse has it no more, and the virtualenv keeps it: it was installed before
        return True


def _runs_uv(interpreter: Interpreter) -> bool:
    return interpreter.implementation == "CPython" and interpreter.version >= OLDEST_FOR_UV


def _replaces_others(actions: Sequence[Action], probe: Probe) -> bool:
    there = [probe.distributions.get(action.name) for action in actions]
    return any(one is not None and one.origin in NOT_FOR_UV for one in there)

"""The actions of a rollback: from what is installed now to what was installed before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.models.distribution import Distribution
from envfab.models.wheel import Wheel
from envfab.planning.plan import Action, ActionKind
from envfab.util.versions import version_or_none

Find = Callable[[NormalizedName, Version], Wheel | None]

REASON = "as it was before"
GONE = "it was not there before"


def restoring(
    now: Mapping[NormalizedName, Distribution],
    before: Mapping[NormalizedName, tuple[str, str]],
    find: Find,
    unsound: Set[NormalizedName] = frozenset(),
) -> tuple[tuple[Action, ...], tuple[str, ...]]:
    """Return (the actions that turn `now` into `before`, what has no wheel, such as `Django 5.1.3`).

    `before` has (name as published, version) by canonical name. `find` returns the wheel of a version, or None.
    Distributions that are `unsound` are installed again, even in the right version.
    """
    actions, lost = [], []
    for name in sorted(now.keys() | before.keys()):
        there, was = now.get(name), before.get(name)
        if was is None and there is not None:
            actions.append(Action(ActionKind.REMOVE, name, there.shown_as, there.version_text, None, GONE))
        elif was is not None and (there is None or there.version_text != was[1] or name in unsound):
            wheel = _find(name, was[1], find)
            if wheel is None:
                lost.append(f"{was[0]} {was[1]}")
                continue
            kind = _kind(there, wheel.version)
            actions.append(Action(kind, name, was[0], there.version_text if there else None, wheel, REASON))
    return tuple(actions), tuple(lost)


def switching(
    now: Mapping[NormalizedName, Distribution], before: Mapping[NormalizedName, tuple[str, str]]
) -> tuple[Action, ...]:
    """Return the changes that come with a switch to a generation that has `before` (as in `restoring`)."""
    actions = []
    for name in sorted(now.keys() | before.keys()):
        there, was = now.get(name), before.get(name)
        if was is None and there is not None:
            actions.append(Action(ActionKind.REMOVE, name, there.shown_as, there.version_text, None, GONE))
        elif was is not None and (there is None or there.version_text != was[1]):
            version = version_or_none(was[1])
            kind = _kind(there, version) if version is not None else ActionKind.REINSTALL
            installed = there.version_text if there else None
            actions.append(Action(kind, name, was[0], installed, None, REASON, restored=version))
    return tuple(actions)


def _find(name: NormalizedName, version: str, find: Find) -> Wheel | None:
    known = version_or_none(version)
    return find(name, known) if known is not None else None


def _kind(there: Distribution | None, version: Version) -> ActionKind:
    if there is None:
        return ActionKind.INSTALL
    if there.version is None or version > there.version:
        return ActionKind.UPGRADE
    return ActionKind.DOWNGRADE if version < there.version else ActionKind.REINSTALL

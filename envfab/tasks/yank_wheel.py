"""The task `yank_wheel`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.signing_key import tell_signing_key


def task(fleet: Fleet) -> Any:
    """`yank_wheel` for `fleet`."""

    @ours(
        "wheel",
        True,
        wheel="what to withdraw: NAME==VERSION, or the file name of one wheel; repeatable",
        reason="the reason, which plans and the index show",
    )
    def yank_wheel(c: Context, wheel: Iterable[str] = (), reason: str = "", json: bool = False) -> None:
        """Withdraw a release, with a reason: new plans use it only where == pins it."""
        run = TaskContext(fleet, c, json)
        named = list(wheel)
        if not named:
            raise UsageError("yank_wheel needs a release", hint="fab yank_wheel Django==5.2.1 --reason 'loses data'")
        wheelhouse, yanked = run.open_wheelhouse(), []
        for what in named:
            # what names nothing is told before what else is missing
            wheelhouse.why_yanked(what)
        if not reason.strip():
            raise UsageError(
                "yank_wheel needs a reason",
                hint=f"fab yank_wheel {shlex.quote(named[0])} --reason TEXT",
            )
        with run.console as console:
            for what, fresh in wheelhouse.yank_all(named, reason).items():
                for one in fresh:
                    console.print(f"yanked   {one.shown_as} {one.version}   {one.filename}")
                    yanked.append({"name": one.shown_as, "version": str(one.version), "wheel": one.filename})
                if not fresh:
                    console.print(f"{what} was yanked already: {'; '.join(wheelhouse.why_yanked(what))}")
            tell_signing_key(console, wheelhouse.signers)
            if json:
                console.json({"format": 1, "yanked": yanked, "reason": reason})

    return yank_wheel

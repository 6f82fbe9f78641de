"""The task `sign_wheels`."""

from __future__ import annotations

from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count


def task(fleet: Fleet) -> Any:
    """`sign_wheels` for `fleet`."""

    @ours()
    def sign_wheels(c: Context, yes: bool = False, json: bool = False) -> None:
        """Sign the lines of the release log that no allowed signer signed, after showing them."""
        run = TaskContext(fleet, c, json)
        signers = run.log_signers()
        if signers is None:
            raise UsageError(
                "the fleet has no signers, so that nothing need be signed", hint="say Fleet(signers='allowed_signers')"
            )
        key = signers.require_key()
        with run.console as console:
            signing = run.open_wheelhouse().to_sign_again(signers)
            for one in signing.found:
                console.print(f"line {one.number}: {one.record}")
                console.print(f"    {one.why}", "dim")
            if signing.found:
                which = f"{count(len(signing.found), 'line')} with {key.fingerprint} ({key.path})"
                if not yes:
                    console.require_terminal("sign_wheels")
                    if not console.confirm(f"Sign {which}?"):
                        raise Exit(code=1)
                run.open_wheelhouse().sign_again(signing)
                console.print(f"signed {which}")
            else:
                console.print("every release and yank is signed by an allowed signer")
            if json:
                lines = [{"line": one.number, "record": one.record, "why": one.why} for one in signing.found]
                console.json({"format": 1, "signed": lines, "key": key.fingerprint})

    return sign_wheels

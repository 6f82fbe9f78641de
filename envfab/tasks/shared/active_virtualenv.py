"""The active virtualenv of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from envfab.config.host import Host
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.errors import UsageError


def active_virtualenv() -> Member:
    """Return the active virtualenv (`$VIRTUAL_ENV`) of this machine, for its owner, as a member of no fleet.

    Raises `UsageError` where none is active.
    """
    path = os.environ.get("VIRTUAL_ENV", "")
    if not os.path.isabs(path):
        raise UsageError("no virtualenv is active: VIRTUAL_ENV is not set", hint="activate one first")
    virtualenv = Virtualenv(path)
    try:
        owner = Path(virtualenv.path).owner()
    except (OSError, KeyError):
        owner = str(os.getuid())
    return Member(Target(owner, "localhost", virtualenv.path), Host("localhost"), virtualenv, owner)


def existing(member: Member) -> Member:
    """Return the member; raises `UsageError` where its virtualenv was removed or moved since it was activated."""
    path = member.target.path
    try:
        os.stat(os.path.join(path, "bin", "python"))
    except (FileNotFoundError, NotADirectoryError):
        what = "no virtualenv is there any more, or its interpreter is gone"
        raise UsageError(what, where=f"VIRTUAL_ENV={path}", hint="activate another one") from None
    except OSError:
        # the agent says what is in its way
        pass
    return member

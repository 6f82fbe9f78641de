"""The status of a virtualenv that could not be planned for."""

from __future__ import annotations

import pytest

from envfab.errors import (
    AgentError,
    Disconnected,
    EnvfabError,
    HostKeyError,
    InternalError,
    Unreachable,
    Unusable,
    VirtualenvMissing,
)
from envfab.planning.plan import Status, status_without


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unreachable("nothing listens at web1 port 22"), Status.UNREACHABLE),
        (HostKeyError("its key is not known"), Status.UNREACHABLE),
        (Disconnected("the connection ended"), Status.UNREACHABLE),
        (VirtualenvMissing("there is no /srv/v/bin/python"), Status.MISSING),
        (Unusable("sudo refused the password for user shop"), Status.BLOCKED),
        (AgentError("invalid reply of the agent"), Status.BLOCKED),
        (InternalError("internal error: KeyError"), Status.BLOCKED),
    ],
)
def test_only_what_was_not_reached_is_called_unreachable(error: EnvfabError, status: Status) -> None:
    """A host that answers and cannot be worked with is blocked; a virtualenv that does not exist is missing."""
    assert status_without(error) is status

"""The note that a virtualenv's host is out of service: `.envfab/drained.json` is there until the host was put back."""

from __future__ import absolute_import

import os

from .files import MEMORY, open_own, remembered
from .json_codec import dumps
from .metadata import parsed
from .protocol import native
from .wheel_cache import discard, sync

NAME = "drained.json"
MOST = 1 << 16


def drained(agent, request, body):
    """Note, before the host is taken out of service, for which deployment (`note`) that is done."""
    folder = os.path.join(agent.path, MEMORY)
    discard(os.path.join(folder, NAME + ".new"))
    with os.fdopen(open_own(agent.path, NAME + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as stream:
        stream.write(dumps(request["note"]).encode("utf-8"))
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(os.path.join(folder, NAME + ".new"), os.path.join(folder, NAME))
    sync(folder)
    return {}


def undrained(agent, request, body):
    """Remove the note, after the host was put back; it may be gone.

    A note of a deployment that is not among `deployments` stays: another run has taken the host out since.
    """
    path = agent.path = native(request["path"])
    folder = os.path.join(path, MEMORY)
    note = parsed(remembered(path, NAME, MOST))
    whose = note.get("deployment") if isinstance(note, dict) else None
    if os.path.isdir(folder) and (whose is None or whose in request["deployments"]):
        discard(os.path.join(folder, NAME))
        sync(folder)
    return {}


OPERATIONS = {"drained": drained, "undrained": undrained}

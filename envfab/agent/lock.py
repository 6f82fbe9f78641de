"""The lock of a virtualenv, for one deployment at a time: an flock, which the kernel frees with its last holder."""

from __future__ import absolute_import

import errno
import fcntl
import os
import time

from .json_codec import dumps
from .metadata import parsed
from .files import DIRECTORY, MEMORY, open_own, own_folder, read
from .protocol import Problem, native
from .probe import HOLDER, PAUSES, is_held, probe_if_changed


def lock(agent, request, body):
    """Take the lock and check whether the virtualenv changed since the stamp `known`: `{"probe": … or None}`.

    Children that change the virtualenv inherit the descriptor (`subprocesses.call`), so that one whose agent is gone
    keeps the lock until it ends.
    """
    path = native(request["path"])
    folder = own_folder(path)
    descriptor = open_own(path, "lock", os.O_RDWR | os.O_CREAT)
    set_inherited(descriptor, False)
    if not taken(descriptor):
        holder = parsed(read(descriptor, HOLDER))
        os.close(descriptor)
        raise Problem("locked", "another deployment is under way", holder=holder)
    if is_held(folder):
        holder = parsed(read(descriptor, HOLDER))
        os.close(descriptor)
        raise Problem("locked", "a command of another deployment still runs", holder=holder)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, dumps(request["holder"]).encode("utf-8"))
    agent.lock = descriptor
    return {"probe": probe_if_changed(agent, request, body)}


def taken(descriptor):
    """Try to take the lock, several times, since probes hold it for a moment; return whether that succeeded."""
    for pause in PAUSES:
        time.sleep(pause)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except EnvironmentError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                os.close(descriptor)
                raise
    return False


def hold(agent, request, body):
    """Hold a virtualenv whose owner's agent has the lock, so that it is locked until this agent ends as well.

    For the agent of a project's user, whose migrations may outlive the owner's agent. It cannot write to the folder
    `.envfab`, so it takes a lock on the folder itself.
    """
    try:
        descriptor = os.open(os.path.join(native(request["path"]), MEMORY), DIRECTORY)
    except EnvironmentError:
        # the folder is not accessible to this user: there is only the lock of the owner's agent
        return {}
    set_inherited(descriptor, False)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    agent.lock = descriptor
    return {}


def set_inherited(descriptor, inherited):
    """Set whether children inherit the descriptor, on 2.7 and 3.x."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
    flags = flags & ~fcntl.FD_CLOEXEC if inherited else flags | fcntl.FD_CLOEXEC
    fcntl.fcntl(descriptor, fcntl.F_SETFD, flags)


OPERATIONS = {"lock": lock, "hold": hold}

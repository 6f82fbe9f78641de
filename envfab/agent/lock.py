"""One deployment at a time in a virtualenv: an flock that the kernel frees when its last writer is gone."""

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
    """Take the lock, and look under it whether the virtualenv is still as `known` says: `{"probe": …}`, None if it is.

    The descriptor is what `processes.call(writes=True)` hands to children that write, so that an orphaned
    pip keeps the lock until it is done.
    """
    path = native(request["path"])
    folder = own_folder(path)
    descriptor = open_own(path, "lock", os.O_RDWR | os.O_CREAT)
    set_inherited(descriptor, False)
    if not taken(descriptor):
        holder = parsed(read(descriptor, HOLDER))
        os.close(descriptor)
        raise Problem("locked", "another deployment is at work", holder=holder)
    if is_held(folder):
        holder = parsed(read(descriptor, HOLDER))
        os.close(descriptor)
        raise Problem("locked", "what another deployment started is still at work", holder=holder)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, dumps(request["holder"]).encode("utf-8"))
    agent.lock = descriptor
    return {"probe": probe_if_changed(agent, request, body)}


def taken(descriptor):
    """Whether the lock could be had: at once, or when those who only looked whether it is held are gone."""
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
    """Hold a virtualenv of somebody else who has the lock: nobody gets the lock before this is let go, too.

    For the agent of a project's user, whose migrations may outlive the owner's agent. It can read the folder
    but not write to it, and so holds the folder itself.
    """
    try:
        descriptor = os.open(os.path.join(native(request["path"]), MEMORY), DIRECTORY)
    except EnvironmentError:
        # a folder that others may not look into: the virtualenv's own lock is all there is
        return {}
    set_inherited(descriptor, False)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    agent.lock = descriptor
    return {}


def set_inherited(descriptor, inherited):
    """Whether children get the descriptor, the same way on 2.7 and 3.x."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
    flags = flags & ~fcntl.FD_CLOEXEC if inherited else flags | fcntl.FD_CLOEXEC
    fcntl.fcntl(descriptor, fcntl.F_SETFD, flags)


OPERATIONS = {"lock": lock, "hold": hold}

"""Safe reading and writing of files that others may have made: never waits for a pipe, reads a limited size.

In `.envfab`, no link is followed, and no file of another user is written.
"""

from __future__ import absolute_import

import errno
import os
import stat

from .protocol import Problem, text

MEMORY = ".envfab"
DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY
ROOT = 0
# the host's own allowed signers of releases; see `releases`
OWN_SIGNERS = "/etc/envfab/allowed_signers"


def content(path, most, whole=True):
    """The bytes of a regular file, links followed; None if it cannot be read or has more than `most` bytes.

    Without `whole`, the first `most` bytes of a larger file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except EnvironmentError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        found = read(descriptor, most + 1 if whole else most)
        return found if len(found) <= most else None
    except EnvironmentError:
        return None
    finally:
        os.close(descriptor)


def is_as_noted(file, size, time):
    """Whether there is a regular file of that size, in bytes, and that time, in whole seconds."""
    status = regular(file)
    return status is not None and has(status, size, time)


def regular(file):
    """The status of a regular file; None if there is none."""
    try:
        status = os.lstat(file)
    except EnvironmentError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def has(status, size, time):
    """Whether the file of a status has that size, in bytes, and that time, in whole seconds."""
    return status.st_size == size and int(status.st_mtime) == time


def read(descriptor, most):
    """Read from a descriptor to the end, at most `most` bytes."""
    pieces = []
    while most:
        piece = os.read(descriptor, min(most, 1 << 20))
        if not piece:
            break
        most -= len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def remembered(path, name, most):
    """The bytes of a file in `.envfab` of the virtualenv at `path`; None if it does not exist or cannot be opened.

    Raises `Problem` if it is not a regular file of the owner, or has more than `most` bytes.
    """
    try:
        descriptor = open_own(path, name, os.O_RDONLY)
    except EnvironmentError:
        return None
    try:
        found = read(descriptor, most + 1)
    finally:
        os.close(descriptor)
    if len(found) > most:
        raise refused(os.path.join(path, MEMORY, name), "has more than %d bytes" % most)
    return found


def open_own(path, name, flags):
    """Open a file in `.envfab` of the virtualenv at `path`, and return its descriptor; a new file is readable by all.

    Raises `Problem` if it is a link, a pipe or another user's file, EnvironmentError if it cannot be opened.
    """
    folder = memory(path)
    file = os.path.join(path, MEMORY, name)
    try:
        descriptor = os.open(file, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except EnvironmentError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise refused(file, "is a symbolic link")
        if error.errno == errno.ENXIO:
            raise refused(file, "is not a regular file")
        raise
    try:
        check(file, os.fstat(descriptor), folder or memory(path), flags & (os.O_WRONLY | os.O_RDWR))
    except (EnvironmentError, Problem):
        os.close(descriptor)
        raise
    return descriptor


def check(file, status, folder, writes):
    """Check an open file by its status and that of its folder; raises `Problem` or EnvironmentError.

    Only the owner's agent writes; root is trusted. Other users may read (`fab register` in an active virtualenv), and
    trust the folder's owner.
    """
    if stat.S_ISDIR(status.st_mode):
        raise EnvironmentError(errno.EISDIR, os.strerror(errno.EISDIR), file)
    if not stat.S_ISREG(status.st_mode):
        raise refused(file, "is not a regular file")
    me = os.geteuid()
    if writes and folder.st_uid not in (me, ROOT):
        what = "%s belongs to %s, not to %s: name its owner as `user` in the fabfile, or change its owner (chown)"
        raise Problem("memory", what % (text(os.path.dirname(file)), account(folder.st_uid), account(me)))
    if status.st_uid not in (me, ROOT, folder.st_uid):
        raise refused(file, "belongs to %s" % account(status.st_uid))
    if writes and status.st_nlink > 1:
        raise refused(file, "has several hard links")


def memory(path):
    """The status of the virtualenv's `.envfab`, None if it does not exist; raises `Problem` if it is not a folder."""
    folder = os.path.join(path, MEMORY)
    try:
        status = os.lstat(folder)
    except EnvironmentError:
        # or it is not accessible; opening a file in it raises the right error
        return None
    refuse_other_than_folder(folder, status)
    return status


def refuse_other_than_folder(folder, status):
    """Raise `Problem` if it is a link or a file."""
    if stat.S_ISLNK(status.st_mode):
        raise refused(folder, "is a symbolic link")
    if not stat.S_ISDIR(status.st_mode):
        raise refused(folder, "is not a folder")


def own_folder(path, *names):
    """The virtualenv's `.envfab`, or a folder in it, which is made if it does not exist."""
    folder = os.path.join(path, MEMORY, *names)
    try:
        os.mkdir(folder, 0o755)
        sync_folder(os.path.dirname(folder))
    except EnvironmentError as error:
        if error.errno != errno.EEXIST:
            raise
    refuse_other_than_folder(folder, os.lstat(folder))
    return folder


def sync_folder(folder):
    """See to it that what a folder lists is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refused(file, what):
    """The problem with a file in `.envfab`, and what to do about it."""
    return Problem("memory", "%s %s; move it away" % (text(file), what))


def account(number):
    """The name of a user, or `user NUMBER` if it has none."""
    import pwd

    try:
        return text(pwd.getpwuid(number).pw_name)
    except KeyError:
        return "user %d" % number

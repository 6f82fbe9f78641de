"""Opening files that others may have put there: a pipe is not waited for, and nothing is read without an end.

What is in `.envfab` is the owner's own: no link out of it is followed, and no file of somebody else is written to.
"""

from __future__ import absolute_import

import errno
import os
import stat

from .protocol import Problem, text

MEMORY = ".envfab"
DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY
ROOT = 0


def content(path, most, whole=True):
    """The bytes of a regular file, links followed; None where there is none, or more than `most` of them.

    Without `whole` the first `most` are enough.
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
    try:
        status = os.lstat(file)
    except EnvironmentError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == size and int(status.st_mtime) == time


def read(descriptor, most):
    """What comes from a descriptor, `most` bytes of it at most."""
    pieces = []
    while most:
        piece = os.read(descriptor, min(most, 1 << 20))
        if not piece:
            break
        most -= len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def remembered(path, name, most):
    """What the virtualenv at `path` has in a file of its memory; None where it has none that can be read.

    Raises `Problem` where that is no file of its owner, or larger than `most` bytes.
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
    """A descriptor of a file in the memory of the virtualenv at `path`; a new one is readable by all.

    Raises `Problem` where that is a link, a pipe, or somebody else's, and EnvironmentError where it cannot be opened.
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
    """Raise what is wrong with an open file of that status, in a folder of that status.

    Only its owner's agent writes, and root is trusted by all. Others may read (`fab register`, by whoever works in a
    virtualenv): they believe whoever owns the folder.
    """
    if stat.S_ISDIR(status.st_mode):
        raise EnvironmentError(errno.EISDIR, os.strerror(errno.EISDIR), file)
    if not stat.S_ISREG(status.st_mode):
        raise refused(file, "is not a regular file")
    me = os.geteuid()
    if writes and folder.st_uid not in (me, ROOT):
        what = "%s belongs to %s, and not to %s: name its owner as `user` in the fabfile, or change whose it is"
        raise Problem("memory", what % (text(os.path.dirname(file)), account(folder.st_uid), account(me)))
    if status.st_uid not in (me, ROOT, folder.st_uid):
        raise refused(file, "belongs to %s" % account(status.st_uid))
    if writes and status.st_nlink > 1:
        raise refused(file, "has another name elsewhere")


def memory(path):
    """The status of the virtualenv's folder of memory, None where there is none; `Problem` where it is something else."""
    folder = os.path.join(path, MEMORY)
    try:
        status = os.lstat(folder)
    except EnvironmentError:
        # or not to be looked into: opening says which
        return None
    refuse_other_than_folder(folder, status)
    return status


def refuse_other_than_folder(folder, status):
    """Raise `Problem` where that is a link, or a file."""
    if stat.S_ISLNK(status.st_mode):
        raise refused(folder, "is a symbolic link")
    if not stat.S_ISDIR(status.st_mode):
        raise refused(folder, "is not a folder")


def own_folder(path, *names):
    """The virtualenv's folder of memory, or one in it, made where it is not there."""
    folder = os.path.join(path, MEMORY, *names)
    try:
        os.mkdir(folder, 0o755)
    except EnvironmentError as error:
        if error.errno != errno.EEXIST:
            raise
    refuse_other_than_folder(folder, os.lstat(folder))
    return folder


def refused(file, what):
    """What is in the way, and what to do about it."""
    return Problem("memory", "%s %s; move it away" % (text(file), what))


def account(number):
    """A user's name, or its number where it has none."""
    import pwd

    try:
        return text(pwd.getpwuid(number).pw_name)
    except KeyError:
        return "user %d" % number

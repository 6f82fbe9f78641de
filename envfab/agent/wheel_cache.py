"""Wheels by their SHA-256, shared by all virtualenvs of one owner on a host."""

from __future__ import absolute_import

import errno
import hashlib
import os
import stat
import time

from .protocol import Problem, native, text

# seconds after which a half-written file is nobody's
ABANDONED = 3600


def folder(path):
    """The owner's wheel cache, made where it is not there: under the home, or in the virtualenv without one.

    HOME counts first, as for other programs; but sudo and the like may leave somebody else's in it.
    """
    # the history is asked for without that module
    from .subprocesses import account

    home = account()[1]
    for base in (os.environ.get("HOME", ""), home):
        place = in_home(base)
        if place:
            return place
    place = os.path.join(path, ".envfab", "cache", "wheels")
    try:
        os.makedirs(place, 0o755)
    except EnvironmentError:
        # there already, or told below
        pass
    if os.access(place, os.W_OK | os.X_OK):
        return place
    raise Problem("os", "no folder for wheels: neither %s nor %s can be written" % (text(home), text(path)))


def in_home(home):
    """The cache below a home, made where it is not there; None where it cannot be used, or not only the owner can.

    Programs out of it are run, and bytecode out of it is imported: nobody else may put any there. The wheels
    themselves are compared with their digest each time.
    """
    if not os.path.isabs(home):
        return None
    place = home
    for name in (".cache", "envfab", "wheels"):
        if not is_private(place):
            return None
        place = os.path.join(place, name)
        try:
            os.mkdir(place, 0o700)
        except EnvironmentError as error:
            if error.errno != errno.EEXIST:
                return None
    return place if os.access(place, os.W_OK | os.X_OK) else None


def is_private(folder):
    """Whether nobody but this user, and root, can change what is in a folder."""
    try:
        status = os.stat(folder)
    except EnvironmentError:
        return False
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def sweep(place):
    """Remove what uploads that were killed left behind."""
    for name in os.listdir(place):
        full = os.path.join(place, name)
        try:
            if name.startswith(".") and os.stat(full).st_mtime < time.time() - ABANDONED:
                os.unlink(full)
        except EnvironmentError:
            continue


def store(agent, request, body):
    """Take one wheel (the request's body) into the cache; it gets its name only once its SHA-256 is right."""
    place = folder(native(request["path"]))
    sha256 = native(request["sha256"])
    sweep(place)
    temporary = os.path.join(place, ".%s.%d" % (sha256, os.getpid()))
    seen = hashlib.sha256()
    try:
        with open(temporary, "wb") as stream:
            for chunk in body.chunks():
                seen.update(chunk)
                stream.write(chunk)
        if seen.hexdigest() != sha256:
            raise Problem("corrupt", "%s came with another SHA-256 than it was sent with" % request["filename"])
        os.rename(temporary, os.path.join(place, sha256))
    except EnvironmentError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Problem("os", "no space left on %s" % text(place), errno=error.errno)
        raise
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return {}


def checked(file, wheel):
    """The file of a wheel in the cache; one that is no longer what it was is removed, and a `Problem`."""
    if sha256_of(file) != wheel["sha256"]:
        os.unlink(file)
        raise Problem("corrupt", "%s is damaged in the cache; it was removed from there" % wheel["filename"])
    return file


def sync(path):
    """See to it that a file, or what a folder lists, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path):
    """See to it that all of the file system that `path` is on is on the disk (syncfs(2)); False where that cannot be asked.

    One file after another, the disk is asked to flush for each, which takes it a millisecond or more.
    """
    try:
        import ctypes

        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, AttributeError, OSError):
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return syncfs(descriptor) == 0
    finally:
        os.close(descriptor)


def discard(file):
    """Remove a file where it is there."""
    try:
        os.unlink(file)
    except EnvironmentError as error:
        if error.errno != errno.ENOENT:
            raise


def is_whole(file, sha256):
    """Whether a file is there and has that digest."""
    return os.path.isfile(file) and sha256_of(file) == sha256


def sha256_of(path):
    """The digest of a file, in hex."""
    seen = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            seen.update(chunk)
    return seen.hexdigest()


OPERATIONS = {"store": store}

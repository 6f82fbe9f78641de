"""The cache of wheels by their SHA-256, shared by all virtualenvs of one owner on a host."""

from __future__ import absolute_import

import binascii
import errno
import hashlib
import os
import stat
import time

from .protocol import Problem, native, text

# seconds after which an incomplete file is removed
ABANDONED = 3600


def folder(path):
    """The folder of the owner's cache, made if it does not exist: in the home folder, or else in the virtualenv.

    HOME counts first, as for other programs; but sudo may leave another user's HOME, which `in_home` refuses.
    """
    # imported here, since the history is read without that module
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
        # it exists, or the error is raised below
        pass
    if os.access(place, os.W_OK | os.X_OK):
        return place
    raise Problem("os", "cannot store wheels: neither %s nor %s is writable" % (text(home), text(path)))


def in_home(home):
    """The cache in a home folder, made if it does not exist; None if it cannot be used, or others can write to it.

    Programs in it are run and bytecode in it is imported, so no other user may be able to put any there. Wheels
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


def existing(path):
    """Return the path at which the owner's cache is or would be made, without making it."""
    # as in `folder`
    from .subprocesses import account

    for home in (os.environ.get("HOME", ""), account()[1]):
        if os.path.isabs(home) and may_be_used(home):
            return os.path.join(home, ".cache", "envfab", "wheels")
    return os.path.join(path, ".envfab", "cache", "wheels")


def may_be_used(home):
    """Return whether `in_home` accepts this home, or would after making the missing folders."""
    place = home
    for name in (".cache", "envfab", "wheels"):
        if not is_private(place):
            return False
        below = os.path.join(place, name)
        if not os.path.isdir(below):
            break
        place = below
    return os.access(place, os.W_OK | os.X_OK)


def is_private(folder):
    """Whether only this user and root can change the contents of a folder."""
    try:
        status = os.stat(folder)
    except EnvironmentError:
        return False
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def draft_name():
    """A name that no other agent takes, also not one of another host, or container, that shares the home."""
    return "%d-%s" % (os.getpid(), native(binascii.hexlify(os.urandom(8)).decode("ascii")))


def sweep(place):
    """Remove the incomplete files of uploads that were killed."""
    for name in os.listdir(place):
        full = os.path.join(place, name)
        try:
            if name.startswith(".") and os.stat(full).st_mtime < time.time() - ABANDONED:
                os.unlink(full)
        except EnvironmentError:
            continue


def store(agent, request, body):
    """Store a wheel, the request's body; it gets its name only after its SHA-256 was checked."""
    place = folder(native(request["path"]))
    sha256 = native(request["sha256"])
    sweep(place)
    temporary = os.path.join(place, ".%s.%s" % (sha256, draft_name()))
    seen = hashlib.sha256()
    try:
        with open(temporary, "wb") as stream:
            for chunk in body.chunks():
                seen.update(chunk)
                stream.write(chunk)
        if seen.hexdigest() != sha256:
            raise Problem("corrupt", "the SHA-256 of %s does not match: it was damaged on the way" % request["filename"])
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
    """The file of a wheel in the cache; if it does not match its digest, it is removed and a `Problem` is raised."""
    if sha256_of(file) != wheel["sha256"]:
        os.unlink(file)
        raise Problem("corrupt", "%s was damaged in the cache and was removed; try again" % wheel["filename"])
    return file


def sync(path):
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path):
    """Flush the file system of `path` to the disk (syncfs(2)); false if that is not supported.

    Flushing file after file takes the disk a millisecond or more for each.
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
    """Remove a file if it exists."""
    try:
        os.unlink(file)
    except EnvironmentError as error:
        if error.errno != errno.ENOENT:
            raise


def is_whole(file, sha256):
    """Whether a file exists and has that digest."""
    return os.path.isfile(file) and sha256_of(file) == sha256


def sha256_of(path):
    """The SHA-256 of a file, in hex."""
    seen = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            seen.update(chunk)
    return seen.hexdigest()


OPERATIONS = {"store": store}

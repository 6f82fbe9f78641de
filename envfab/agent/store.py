"""Wheels unpacked, compiled and verified once, for all virtualenvs of one owner on a host.

    ~/.cache/envfab/store/<SHA-256 of the wheel>-<cache tag and magic number>-<umask>/
"""

from __future__ import absolute_import

import errno
import fcntl
import os
import shutil
import sys
import time

from . import bytecode, wheel_cache
from .lock import set_inherited
from .protocol import PY2, Problem, native, text
from .space import room, size_of
from .unpack import is_whole, read_tree, unpack

DAY = 86400
# beside a wheel in the cache, and in the store of who compiled it
BYTECODE = ".bytecode"


def folder(path):
    """The owner's store: beside his wheel cache."""
    place = os.path.join(os.path.dirname(wheel_cache.folder(path)), "store")
    if not os.path.isdir(place):
        os.mkdir(place, 0o700)
    return place


def interpreter():
    """The cache tag and magic number of this interpreter: what compiled files hang on."""
    if PY2:
        import imp

        tag = "%s-%d%d" % (("pypy" if "PyPy" in sys.version else "cpython",) + sys.version_info[:2])
        return "%s-%s" % (tag, "".join("%02x" % ord(byte) for byte in imp.get_magic()))
    import importlib.util

    return "%s-%s" % (sys.implementation.cache_tag, importlib.util.MAGIC_NUMBER.hex())


def key(sha256, request):
    """What a tree is called: another interpreter, umask or wish for bytecode makes another one."""
    return "%s-%s-%03o%s" % (native(sha256), interpreter(), request["umask"], "" if request["compile"] else "-source")


def tree_of(path, sha256, request):
    """The folder of a wheel's tree."""
    return os.path.join(folder(path), key(sha256, request))


def missing(agent, request, body):
    """Which of the wheels `hashes` have to be sent, since they are neither unpacked here nor whole in the cache.

    `interpreter` in the answer is what bytecode hangs on; `store` and `virtualenv` are the `room` there is for both.
    One whose files were changed since is thrown away, to be unpacked again.
    """
    path = agent.path = native(request["path"])
    cache = wheel_cache.folder(path)
    hold(agent)
    # what others left there goes in any case, and makes room
    wheel_cache.sweep(cache)
    sweep(folder(path))
    lacking = []
    for sha256 in request["hashes"]:
        place = tree_of(path, sha256, request)
        if os.path.isdir(place):
            if is_whole(place):
                os.utime(place, None)
                continue
            shutil.rmtree(place)
        if not wheel_cache.is_whole(os.path.join(cache, native(sha256)), sha256):
            lacking.append(sha256)
    return {"lacking": lacking, "interpreter": interpreter(), "store": room(folder(path)), "virtualenv": room(path)}


def fill(agent, request, body):
    """Unpack the wheels `wheels` ({"sha256", "filename"}) of the cache, where they are not unpacked yet.

    `lacking` in the answer are the digests of those that are not in the cache any more: another deployment of this owner
    unpacked them, for another interpreter.
    """
    path = agent.path
    hold(agent)
    sweep(folder(path))
    lacking = []
    for wheel in request["wheels"]:
        if os.path.isdir(tree_of(path, wheel["sha256"], request)):
            continue
        cached = os.path.join(wheel_cache.folder(path), native(wheel["sha256"]))
        try:
            unpack_cached(path, cached, wheel, request)
        except EnvironmentError as error:
            if error.errno == errno.ENOENT and not os.path.exists(cached):
                lacking.append(wheel["sha256"])
                continue
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Problem("os", "no space left on %s" % text(folder(path)), errno=error.errno)
            raise
    return {"lacking": lacking}


def unpack_cached(path, cached, wheel, request):
    """Make the tree of a wheel of the cache, which then goes from there."""
    place, final = folder(path), tree_of(path, wheel["sha256"], request)
    draft = os.path.join(place, ".%d" % os.getpid())
    shutil.rmtree(draft, ignore_errors=True)
    try:
        sent = received(bytecode_of(cached))
        unpack(wheel_cache.checked(cached, wheel), draft, request["umask"], request["compile"], sent)
    except Problem as problem:
        # in the cache it is called after its digest
        message = problem.message.replace(native(wheel["sha256"]), native(wheel["filename"]))
        raise Problem(problem.kind, message, **problem.details)
    try:
        os.rename(draft, final)
    except EnvironmentError:
        # somebody else was faster
        shutil.rmtree(draft, ignore_errors=True)
        if not os.path.isdir(final):
            raise
    wheel_cache.sync(place)
    # unpacked it is of more use, and can be had again
    wheel_cache.discard(cached)
    wheel_cache.discard(bytecode_of(cached))


def hold(agent):
    """Keep others from cleaning the store, as long as this agent lives."""
    if agent.store is None:
        agent.store = os.open(folder(agent.path), os.O_RDONLY)
        set_inherited(agent.store, False)
        flock(agent.store, fcntl.LOCK_SH)


def is_mine_alone(agent):
    """Whether no other agent holds the store; none can, from then on, until this one ends."""
    if agent.store is None:
        agent.store = os.open(folder(agent.path), os.O_RDONLY)
        set_inherited(agent.store, False)
    return flock(agent.store, fcntl.LOCK_EX | fcntl.LOCK_NB)


def let_go(agent):
    """Hold the store no longer."""
    if agent.store is not None:
        os.close(agent.store)
        agent.store = None


def flock(descriptor, how):
    """Lock a file: False where others have; a file system without locks is taken as it is."""
    try:
        fcntl.flock(descriptor, how)
    except EnvironmentError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True


def received(file):
    """The bytecode that came with a wheel; none where none came, or not whole."""
    try:
        with open(file, "rb") as stream:
            return bytecode.unpacked(stream.read())
    except (EnvironmentError, ValueError, TypeError):
        return {}


def bytecode_of(cached):
    """Where the bytecode of a wheel in the cache lies, until it is unpacked; one that is left there is swept up later."""
    return os.path.join(os.path.dirname(cached), "." + os.path.basename(cached) + BYTECODE)


def take_bytecode(agent, request, body):
    """Take the bytecode of the wheel `sha256` (the request's body), whose own digest is `digest`, for `fill`."""
    cached = os.path.join(wheel_cache.folder(agent.path), native(request["sha256"]))
    temporary = "%s.%d" % (bytecode_of(cached), os.getpid())
    if not os.path.isfile(cached):
        # the wheel did not come
        return {}
    try:
        with open(temporary, "wb") as stream:
            for chunk in body.chunks():
                stream.write(chunk)
        if wheel_cache.sha256_of(temporary) == request["digest"]:
            os.rename(temporary, bytecode_of(cached))
    finally:
        wheel_cache.discard(temporary)
    return {}


def compile_wheel(agent, request, body):
    """Unpack and compile the wheel at `wheel`, on the managing machine: `{"packed": …}`, the file with its bytecode.

    `{"packed": None}` where this interpreter is not of the kind `interpreter`.
    """
    agent.path = native(request["path"])
    if interpreter() != request["interpreter"]:
        return {"packed": None}
    place = folder(agent.path)
    final = os.path.join(place, key(request["sha256"], {"umask": 0o022, "compile": True}))
    if not os.path.isfile(final + BYTECODE):
        sweep(place)
        draft = os.path.join(place, ".%d" % os.getpid())
        shutil.rmtree(draft, ignore_errors=True)
        if wheel_cache.sha256_of(native(request["wheel"])) != request["sha256"]:
            raise Problem("corrupt", "%s is not what was logged" % request["wheel"])
        unpack(native(request["wheel"]), draft, 0o022, True)
        try:
            data = bytecode.packed_tree(draft, read_tree(draft), read_all)
            with open(draft + BYTECODE, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(draft + BYTECODE, final + BYTECODE)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            wheel_cache.discard(draft + BYTECODE)
    os.utime(final + BYTECODE, None)
    return {"packed": text(final + BYTECODE)}


def read_all(file):
    """The bytes of a file."""
    with open(file, "rb") as stream:
        return stream.read()


def sweep(place):
    """Remove what was not unpacked to its end."""
    for name in os.listdir(place):
        full = os.path.join(place, name)
        if name.startswith(".") and os.lstat(full).st_mtime < time.time() - wheel_cache.ABANDONED:
            shutil.rmtree(full, ignore_errors=True)
            if os.path.isfile(full):
                wheel_cache.discard(full)


def purge(path, days):
    """Remove the trees that no generation links to and that were not used for so many days: (trees, bytes) of them."""
    place = folder(path)
    trees = size = 0
    for name in os.listdir(place):
        full = os.path.join(place, name)
        try:
            if os.stat(full).st_mtime >= time.time() - days * DAY:
                continue
            if name.endswith(BYTECODE):
                size += os.stat(full).st_size
                os.unlink(full)
            elif not is_linked(full):
                size += size_of(full)
                shutil.rmtree(full)
                trees += 1
        except EnvironmentError:
            # somebody else's agent was at it
            continue
    return trees, size


def existing(path):
    """Where the owner's store is, or would be made; nothing is made here."""
    # as in `wheel_cache.folder`
    from .subprocesses import account

    for home in (os.environ.get("HOME", ""), account()[1]):
        if os.path.isabs(home) and may_be_used(home):
            return os.path.join(home, ".cache", "envfab", "store")
    return os.path.join(path, ".envfab", "cache", "store")


def may_be_used(home):
    """Whether `wheel_cache.in_home` takes this home, or would once it has made what is not there."""
    place = home
    for name in (".cache", "envfab", "wheels"):
        if not wheel_cache.is_private(place):
            return False
        below = os.path.join(place, name)
        if not os.path.isdir(below):
            break
        place = below
    return os.access(place, os.W_OK | os.X_OK)


def measure(agent, request, body):
    """How many trees the owner's store has, and their bytes, as noted in each: `{"wheels", "bytes"}`."""
    place = existing(native(request["path"]))
    names = os.listdir(place) if os.path.isdir(place) else []
    trees = [os.path.join(place, name) for name in names if not name.startswith(".")]
    trees = [full for full in trees if os.path.isdir(full)]
    return {"wheels": len(trees), "bytes": sum(map(size_of, trees))}


def clean(agent, request, body):
    """Remove the trees that no generation uses, with `all` every one: `{"removed", "freed", "left"}`, trees and bytes.

    What a generation has links to stays on the disk until that goes as well.
    """
    agent.path = native(request["path"])
    place = folder(agent.path)
    if not is_mine_alone(agent):
        raise Problem("store", "a deployment is at work with %s; try again once it has ended" % text(place))
    removed, freed = purge(agent.path, 0)
    left = [os.path.join(place, name) for name in os.listdir(place)]
    if request["all"]:
        for full in left:
            shutil.rmtree(full, ignore_errors=True)
            if os.path.isfile(full):
                wheel_cache.discard(full)
        removed, left = removed + len(left), []
    return {"removed": removed, "freed": freed, "left": sum(map(size_of, left))}


def is_linked(place):
    """Whether a generation has links to the files of a tree: one of them tells, if it is there."""
    said = read_tree(place)
    files = [os.path.join(place, native(one[0]), native(one[1])) for one in said["files"]] if said else []
    return any(os.path.exists(file) and os.stat(file).st_nlink > 1 for file in files)


OPERATIONS = {
    "missing": missing,
    "fill": fill,
    "bytecode": take_bytecode,
    "compile": compile_wheel,
    "measure": measure,
    "clean": clean,
}

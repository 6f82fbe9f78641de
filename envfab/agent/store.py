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

from . import bytecode_archive, wheel_cache
from .lock import set_inherited
from .protocol import PY2, Problem, native, text
from .releases import require_released
from .space import room, size_of
from .unpack import is_whole, read_tree, unpack

DAY = 86400
# beside a wheel in the cache, and in the store of who compiled it
BYTECODE = ".bytecode"


def folder(path):
    """Return the owner's store, beside the wheel cache; make it if necessary."""
    place = os.path.join(os.path.dirname(wheel_cache.folder(path)), "store")
    try:
        os.mkdir(place, 0o700)
    except EnvironmentError as error:
        # other agents of the owner may make it at the same time
        if error.errno != errno.EEXIST:
            raise
    return place


def interpreter():
    """Return the cache tag and magic number of this interpreter, on which bytecode depends (PEP 3147)."""
    if PY2:
        import imp

        tag = "%s-%d%d" % (("pypy" if "PyPy" in sys.version else "cpython",) + sys.version_info[:2])
        return "%s-%s" % (tag, "".join("%02x" % ord(byte) for byte in imp.get_magic()))
    import importlib.util

    return "%s-%s" % (sys.implementation.cache_tag, importlib.util.MAGIC_NUMBER.hex())


def key(sha256, request):
    """Return the name of a tree, which depends on the wheel, the interpreter, the umask and the setting `compile`."""
    return "%s-%s-%03o%s" % (native(sha256), interpreter(), request["umask"], "" if request["compile"] else "-source")


def remove(place, reads):
    """Remove a damaged tree, which another agent of the owner may be removing, or unpacking anew, at the same time.

    `reads` is as in `is_whole`.
    """
    aside = os.path.join(os.path.dirname(place), "." + wheel_cache.draft_name())
    try:
        os.rename(place, aside)
    except EnvironmentError as error:
        if error.errno != errno.ENOENT:
            raise
        return
    if is_whole(aside, reads):
        # another agent has unpacked it anew meanwhile
        try:
            os.rename(aside, place)
        except EnvironmentError as error:
            # and once more
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    shutil.rmtree(aside, ignore_errors=True)


def tree_of(path, sha256, request):
    """Return the folder of a wheel's tree."""
    return os.path.join(folder(path), key(sha256, request))


def missing(agent, request, body):
    """Find which of the wheels `hashes` must be sent, since they are neither unpacked nor complete in the cache.

    In the answer, `lacking` are their digests, `interpreter` is the key on which bytecode depends, `store` and
    `virtualenv` are the `room` of both. Trees whose files were changed are removed, to be unpacked again; with `read`,
    also those that were changed by an edit that keeps size and time.
    """
    path = agent.path = native(request["path"])
    cache = wheel_cache.folder(path)
    hold(agent)
    # remove leftovers first, which frees space
    wheel_cache.sweep(cache)
    sweep(folder(path))
    lacking = []
    for sha256 in request["hashes"]:
        place = tree_of(path, sha256, request)
        if os.path.isdir(place):
            if is_whole(place, request.get("read")):
                os.utime(place, None)
                continue
            remove(place, request.get("read"))
        if not wheel_cache.is_whole(os.path.join(cache, native(sha256)), sha256):
            lacking.append(sha256)
    return {"lacking": lacking, "interpreter": interpreter(), "store": room(folder(path)), "virtualenv": room(path)}


def fill(agent, request, body):
    """Unpack the wheels `wheels` ({"sha256", "filename"}) from the cache, unless they are unpacked already.

    In the answer, `lacking` are the digests of those that are no longer in the cache: another deployment of this owner
    unpacked them, for another interpreter. Raises `Problem` of kind "os" if the disk is full, and those of `unpack`.
    """
    path = agent.path
    require_released(agent, request["wheels"])
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
    """Unpack a wheel of the cache into its tree, and remove it from the cache."""
    place, final = folder(path), tree_of(path, wheel["sha256"], request)
    draft = os.path.join(place, "." + wheel_cache.draft_name())
    try:
        sent = received(bytecode_of(cached))
        unpack(wheel_cache.checked(cached, wheel), draft, request["umask"], request["compile"], sent)
    except Problem as problem:
        # in the cache, a wheel is named by its digest
        message = problem.message.replace(native(wheel["sha256"]), native(wheel["filename"]))
        raise Problem(problem.kind, message, **problem.details)
    try:
        os.rename(draft, final)
    except EnvironmentError:
        # another agent was faster
        shutil.rmtree(draft, ignore_errors=True)
        if not os.path.isdir(final):
            raise
    wheel_cache.sync(place)
    # the tree replaces it, and it can be sent again
    wheel_cache.discard(cached)
    wheel_cache.discard(bytecode_of(cached))


def hold(agent):
    """Keep other agents from cleaning the store while this agent runs."""
    if agent.store is None:
        agent.store = os.open(folder(agent.path), os.O_RDONLY)
        set_inherited(agent.store, False)
        flock(agent.store, fcntl.LOCK_SH)


def is_mine_alone(agent):
    """Return whether no other agent holds the store; if so, none can until this agent ends or lets go."""
    if agent.store is None:
        agent.store = os.open(folder(agent.path), os.O_RDONLY)
        set_inherited(agent.store, False)
    return flock(agent.store, fcntl.LOCK_EX | fcntl.LOCK_NB)


def let_go(agent):
    """Stop holding the store."""
    if agent.store is not None:
        os.close(agent.store)
        agent.store = None


def flock(descriptor, how):
    """Lock a file; return False if another process has locked it, True also if the file system has no locks."""
    try:
        fcntl.flock(descriptor, how)
    except EnvironmentError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True


def received(file):
    """Return the bytecode that was sent with a wheel; an empty dict if there is none, or if it is damaged."""
    try:
        with open(file, "rb") as stream:
            return bytecode_archive.unpacked(stream.read())
    except (EnvironmentError, ValueError, TypeError):
        return {}


def bytecode_of(cached):
    """Return the path of the bytecode of a wheel in the cache; `sweep` removes leftovers."""
    return os.path.join(os.path.dirname(cached), "." + os.path.basename(cached) + BYTECODE)


def take_bytecode(agent, request, body):
    """Store the request's body for `fill`: the bytecode of the wheel `sha256`; ignore it if its SHA-256 is not `digest`."""
    cached = os.path.join(wheel_cache.folder(agent.path), native(request["sha256"]))
    temporary = "%s.%s" % (bytecode_of(cached), wheel_cache.draft_name())
    if not os.path.isfile(cached):
        # the wheel was not received
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
    """Compile the wheel at `wheel` on the managing machine: `{"packed": path of the file with its bytecode}`.

    `{"packed": None}` if this interpreter is not of the kind `interpreter`. Raises `Problem` of kind "corrupt" if the
    wheel's SHA-256 is not `sha256`.
    """
    agent.path = native(request["path"])
    if interpreter() != request["interpreter"]:
        return {"packed": None}
    place = folder(agent.path)
    final = os.path.join(place, key(request["sha256"], {"umask": 0o022, "compile": True}))
    if not os.path.isfile(final + BYTECODE):
        sweep(place)
        draft = os.path.join(place, "." + wheel_cache.draft_name())
        if wheel_cache.sha256_of(native(request["wheel"])) != request["sha256"]:
            raise Problem("corrupt", "the SHA-256 of %s does not match the release log: fab verify_wheels tells more" % request["wheel"])
        unpack(native(request["wheel"]), draft, 0o022, True)
        try:
            data = bytecode_archive.packed_tree(draft, read_tree(draft), read_all)
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
    """Return the bytes of a file."""
    with open(file, "rb") as stream:
        return stream.read()


def sweep(place):
    """Remove abandoned drafts: files and folders of agents that ended before they had finished them."""
    for name in os.listdir(place):
        full = os.path.join(place, name)
        try:
            abandoned = name.startswith(".") and os.lstat(full).st_mtime < time.time() - wheel_cache.ABANDONED
        except EnvironmentError:
            # another agent has given it its name since
            continue
        if abandoned:
            shutil.rmtree(full, ignore_errors=True)
            if os.path.isfile(full):
                wheel_cache.discard(full)


def purge(path, days):
    """Remove trees that no generation links to and that were not used for `days` days; return how many, and their bytes."""
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
            # another agent removed it meanwhile, or its files belong to another user
            continue
    return trees, size


def measure(agent, request, body):
    """Count the trees of the owner's store, and their bytes as recorded in each: `{"wheels", "bytes"}`."""
    place = os.path.join(os.path.dirname(wheel_cache.existing(native(request["path"]))), "store")
    names = os.listdir(place) if os.path.isdir(place) else []
    trees = [os.path.join(place, name) for name in names if not name.startswith(".")]
    trees = [full for full in trees if os.path.isdir(full)]
    return {"wheels": len(trees), "bytes": sum(map(size_of, trees))}


def clean(agent, request, body):
    """Remove the trees that no generation uses, or with `all` every tree.

    Returns `{"removed": trees, "freed": bytes, "left": bytes}`. Files that a generation links to stay on the disk until
    the generation is removed as well. Raises `Problem` of kind "store" while a deployment uses the store.
    """
    agent.path = native(request["path"])
    place = folder(agent.path)
    if not is_mine_alone(agent):
        raise Problem("store", "%s is in use by a deployment: try again when it has ended" % text(place))
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
    """Return whether a generation links to files of a tree, by their number of links."""
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

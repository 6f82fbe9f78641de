"""Bytecode that is compiled once a wheel and interpreter, and shared by all virtualenvs of one owner on a host.

A `.pyc` holds its source's time and size (PEP 552), and the interpreter passes over one that does not fit. Where
the sources are links to the same file, so can the `.pyc` be; where they are copies, each gets a copy that names its
own source's time. The path that was compiled is inside, too; the import system puts the right one in its place.

The interpreter does not pass over a `.pyc` that fits and was cut off: its module cannot be imported any more. So what
is kept has a RECORD of its own, and what is not as it says is not used.
"""

from __future__ import absolute_import

import csv
import errno
import fcntl
import hashlib
import importlib.util
import marshal
import os
import py_compile
import shutil
import struct
import sys
import sysconfig
import types
import warnings

from .wheel_cache import discard, sync
from .install import canonical, content, digest
from .protocol import describe

# flags, the source's time and its size come after the magic number
HEADER = struct.Struct("<4sIII")
# a disk is asked to write so many files at once, and does it in one go
SYNCED_AT_ONCE = 16


def bytecode(shared, wheels, link):
    """Give what was installed from `wheels` its `.pyc` files, which are kept in the folder `shared`: what went wrong.

    What nobody is compiling is compiled first, and only then is waited for the others: agents at work at the same time
    divide the wheels among themselves.
    """
    kept = os.path.join(shared, "%s-%s" % (sys.implementation.cache_tag, importlib.util.MAGIC_NUMBER.hex()))
    homes = dist_infos()
    waiting = []
    for wheel in wheels:
        dist_info = homes.get(canonical(wheel["name"]))
        if dist_info is not None:
            waiting.append(CompiledPackage(dist_info, os.path.join(kept, wheel["sha256"]), link))
    problems = []
    for wait in (False, True):
        waiting = [package for package in waiting if not package.share_or_say(wait, problems)]
    return "".join(problems)


def dist_infos():
    """The `.dist-info` folders of a virtualenv by canonical name; their versions may be spelled in other ways."""
    found = {}
    for folder in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if name.endswith(".dist-info"):
                found[canonical(name.partition("-")[0])] = os.path.join(folder, name)
    return found


class CompiledPackage(object):
    """A distribution in a virtualenv, and the place where the `.pyc` files of its wheel are kept."""

    def __init__(self, dist_info, place, link):
        self.dist_info = dist_info
        self.folder = os.path.dirname(dist_info)
        self.place = place
        self.link = link
        # `.pyc`: (its source, the source's hash as RECORD writes it)
        self.sources = {}

    def share_or_say(self, wait, problems):
        """`share`, and True where that fails: bytecode is a help and never a need, whatever happens.

        With a full disk, say, files stay uncompiled, and the interpreter compiles what it imports. What is half done
        is of no harm, for each `.pyc` gets its name when it is whole, or is removed.
        """
        try:
            return self.share(wait)
        except Exception as error:
            said = describe(error) if isinstance(error, EnvironmentError) else repr(error)
            problems.append("%s: not all of it has bytecode: %s\n" % (os.path.basename(self.dist_info), said))
            return True

    def share(self, wait):
        """Take the `.pyc` files that are kept, or compile and keep them; False where somebody else is at that."""
        self.sources = dict(sources(self.dist_info))
        if self.take():
            return True
        try:
            os.makedirs(os.path.dirname(self.place), 0o755, exist_ok=True)
            lock = locked(self.place + ".lock", wait)
        except BlockingIOError:
            return False
        except EnvironmentError:
            # nothing can be kept, or the file system is one without locks: everybody compiles for himself
            self.compile()
            return True
        with lock:
            if not self.take():
                compiled = self.compile()
                if compiled is not None:
                    self.keep(compiled)
        return True

    def take(self):
        """Put what is kept into the virtualenv; False where nothing is, or not all of it as it was."""
        kept = self.kept()
        if kept is None:
            return False
        self.put(kept, self.place, self.folder, self.link and self.is_linked(kept))
        return True

    def kept(self):
        """The paths of the `.pyc` files that are kept; None where there are none or one of them is damaged."""
        try:
            with open(os.path.join(self.place, "RECORD"), encoding="utf-8", newline="") as stream:
                rows = list(csv.reader(stream))
        except (EnvironmentError, ValueError, csv.Error):
            return None
        # to load them would tell, too, but takes longer and is nothing to do with bytes of which nothing is known
        if all(len(row) == 2 and is_as_recorded(os.path.join(self.place, row[0]), row[1]) for row in rows):
            return [compiled for compiled, _ in rows if compiled in self.sources]
        return None

    def is_linked(self, kept):
        """Whether what is kept names the times of these very files; one tells, for a wheel is unpacked as a whole."""
        for compiled in kept:
            try:
                _, _, time, size = HEADER.unpack_from(content(os.path.join(self.place, compiled)))
                return (time, size) == times(os.path.join(self.folder, self.sources[compiled][0]))
            except FileNotFoundError:
                continue
        return False

    def compile(self):
        """Compile the sources where they are: the paths of the `.pyc` files, or None where they are not to be kept.

        What does not compile is left, as pip leaves it. What is not as RECORD says is left as well, and then nothing
        is kept: it must be of the wheel, and all of it. A `.pyc` that lies there already is of who knows what.
        """
        made, sound = [], True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for compiled, (source, recorded) in self.sources.items():
                file, target = os.path.join(self.folder, source), os.path.join(self.folder, compiled)
                discard(target)
                if not is_as_recorded(file, recorded):
                    sound = False
                elif compiles(file, target):
                    made.append(compiled)
        return made if sound else None

    def keep(self, compiled):
        """Keep what was compiled, all or nothing, in the place of what is there, which is not whole."""
        draft = self.place + ".part"
        shutil.rmtree(draft, ignore_errors=True)
        os.mkdir(draft)
        try:
            self.put(compiled, self.folder, draft, self.link)
            record = os.path.join(draft, "RECORD")
            with open(record, "w", encoding="utf-8", newline="") as stream:
                rows = ((path, "sha256=" + digest("sha256", content(os.path.join(draft, path)))) for path in compiled)
                csv.writer(stream).writerows(rows)
            sync_all([os.path.join(draft, path) for path in compiled] + [record])
            shutil.rmtree(self.place, ignore_errors=True)
            os.rename(draft, self.place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def put(self, compiled, there, here, link):
        """Put the `.pyc` files `compiled` that are below the folder `there` below the folder `here`, too."""
        folders = set()
        for path in compiled:
            target = os.path.join(here, path)
            folder = os.path.dirname(target)
            if folder not in folders:
                os.makedirs(folder, exist_ok=True)
                folders.add(folder)
            try:
                put(os.path.join(there, path), target, os.path.join(self.folder, self.sources[path][0]), link)
            except FileNotFoundError:
                continue


def sources(dist_info):
    """The Python files of a distribution, out of its RECORD: (path of the `.pyc`, (path, hash)).

    Those whose `.pyc` came with the wheel are left out: that is in RECORD, and has to stay as it is.
    """
    with open(os.path.join(dist_info, "RECORD"), encoding="utf-8", newline="") as stream:
        rows = dict(row[:2] for row in csv.reader(stream) if len(row) > 1)
    for path, recorded in rows.items():
        if path.endswith(".py") and not path.startswith(("/", "..")):
            compiled = importlib.util.cache_from_source(path)
            if compiled not in rows:
                yield compiled, (path, recorded)


def is_as_recorded(file, recorded):
    """Whether a file has the hash that RECORD has for it."""
    algorithm, _, expected = recorded.partition("=")
    try:
        return algorithm in hashlib.algorithms_available and digest(algorithm, content(file)) == expected
    except EnvironmentError:
        return False


def compiles(file, target):
    """Compile a source, whatever SOURCE_DATE_EPOCH says: whether there is a `.pyc` now, and a whole one."""
    whole = False
    try:
        py_compile.compile(
            file, cfile=target, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP
        )
        whole = is_loadable(target)
    except (py_compile.PyCompileError, ValueError):
        pass
    finally:
        if not whole:
            discard(target)
    return whole


def is_loadable(compiled):
    """Whether a `.pyc` is whole and of this interpreter: on a full disk py_compile may write less and say nothing."""
    data = content(compiled)
    try:
        magic, flags, _, _ = HEADER.unpack_from(data)
        code = marshal.loads(data[HEADER.size :])
    except (struct.error, EOFError, ValueError, TypeError):
        return False
    return magic == importlib.util.MAGIC_NUMBER and flags == 0 and isinstance(code, types.CodeType)


def times(source):
    """A source's time and size as a `.pyc` holds them."""
    status = os.stat(source)
    return int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF


def locked(file, wait):
    """A file, open and locked; raises BlockingIOError where somebody else has it and is not to be waited for."""
    stream = open(file, "w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except EnvironmentError:
        stream.close()
        raise
    return stream


def put(compiled, target, source, link):
    """A link to a `.pyc`, or a copy for this source; raises FileNotFoundError where there is none."""
    if link:
        try:
            return link_anew(compiled, target)
        except EnvironmentError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
    data = content(compiled)
    magic, flags, _, _ = HEADER.unpack_from(data)
    draft = "%s.%d" % (target, os.getpid())
    try:
        with open(draft, "wb") as stream:
            stream.write(HEADER.pack(magic, flags, *times(source)))
            stream.write(data[HEADER.size :])
        os.rename(draft, target)
    finally:
        discard(draft)


def link_anew(file, target):
    """A hard link at `target`, in the place of whatever file is there, or is put there by a service at this moment."""
    try:
        return os.link(file, target)
    except FileExistsError:
        pass
    draft = "%s.%d" % (target, os.getpid())
    discard(draft)
    os.link(file, draft)
    try:
        os.rename(draft, target)
    finally:
        # where both are links to the same file a rename does nothing
        discard(draft)


def sync_all(files):
    """See to it that files are on the disk."""
    # takes some time to load, and is only needed for what is new on a host
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
        list(pool.map(sync, files))

"""Bytecode that is compiled once a wheel and interpreter, and shared by all virtualenvs of one owner on a host.

A `.pyc` holds its source's time and size (PEP 552), and the interpreter passes over one that does not fit. Where
the sources are links to the same file, so can the `.pyc` be; where they are copies, each gets a copy that names its
own source's time. The path that was compiled is inside, too; the import system puts the right one in its place.
"""

from __future__ import absolute_import

import csv
import errno
import fcntl
import hashlib
import importlib.util
import os
import py_compile
import shutil
import struct
import sys
import sysconfig
import warnings

from .installing import canonical, content, digest

# flags, the source's time and its size come after the magic number
HEADER = struct.Struct("<4sIII")


def bytecode(shared, wheels, link):
    """Give what was installed from `wheels` its `.pyc` files; they are kept in the folder `shared`.

    What nobody is compiling is compiled first, and only then is waited for the others: agents at work at the same time
    divide the wheels among themselves.
    """
    kept = os.path.join(shared, "%s-%s" % (sys.implementation.cache_tag, importlib.util.MAGIC_NUMBER.hex()))
    os.makedirs(kept, 0o755, exist_ok=True)
    homes = dist_infos()
    waiting = []
    for wheel in wheels:
        dist_info = homes.get(canonical(wheel["name"]))
        if dist_info is not None:
            package = Package(dist_info, os.path.join(kept, wheel["sha256"]), link)
            if not package.share(wait=False):
                waiting.append(package)
    for package in waiting:
        package.share(wait=True)


def dist_infos():
    """The `.dist-info` folders of a virtualenv by canonical name; their versions may be spelled in other ways."""
    found = {}
    for folder in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if name.endswith(".dist-info"):
                found[canonical(name.partition("-")[0])] = os.path.join(folder, name)
    return found


class Package(object):
    """A distribution in a virtualenv, and the place where the `.pyc` files of its wheel are kept."""

    def __init__(self, dist_info, place, link):
        self.folder = os.path.dirname(dist_info)
        self.place = place
        self.link = link
        # source: (its hash as RECORD writes it, its `.pyc`)
        self.sources = dict(sources(dist_info))

    def share(self, wait):
        """Take the `.pyc` files that are kept, or compile and keep them; False where somebody else is at that."""
        if os.path.isdir(self.place):
            self.put(self.place, self.folder, self.link and self.is_linked())
            return True
        with open(self.place + ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except EnvironmentError as error:
                if not wait and error.errno in (errno.EACCES, errno.EAGAIN):
                    return False
                # a file system without locks: everybody compiles for himself
                self.compile()
                return True
            if os.path.isdir(self.place):
                self.put(self.place, self.folder, self.link and self.is_linked())
            else:
                self.compile()
                self.keep()
        return True

    def is_linked(self):
        """Whether what is kept names the times of these very files; one tells, for a wheel is unpacked as a whole."""
        for source, (_, compiled) in self.sources.items():
            try:
                with open(os.path.join(self.place, compiled), "rb") as stream:
                    _, _, time, size = HEADER.unpack(stream.read(HEADER.size))
            except FileNotFoundError:
                # not everything that ends in .py compiles
                continue
            return (time, size) == times(os.path.join(self.folder, source))
        return False

    def compile(self):
        """Compile the sources where they are; what does not compile is left, as pip leaves it.

        What is not as RECORD says is left as well: what is kept must be of the wheel.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for source, (recorded, _) in self.sources.items():
                file = os.path.join(self.folder, source)
                if not is_as_recorded(file, recorded):
                    continue
                try:
                    py_compile.compile(file, doraise=True)
                except (py_compile.PyCompileError, ValueError):
                    continue

    def keep(self):
        """Keep what was compiled, all or nothing."""
        draft = self.place + ".part"
        shutil.rmtree(draft, ignore_errors=True)
        os.mkdir(draft)
        self.put(self.folder, draft, self.link)
        os.rename(draft, self.place)

    def put(self, there, here, link):
        """Put the `.pyc` files that are below the folder `there` below the folder `here`, too."""
        folders = set()
        for source, (_, compiled) in self.sources.items():
            target = os.path.join(here, compiled)
            folder = os.path.dirname(target)
            if folder not in folders:
                os.makedirs(folder, exist_ok=True)
                folders.add(folder)
            try:
                put(os.path.join(there, compiled), target, os.path.join(self.folder, source), link)
            except FileNotFoundError:
                continue


def sources(dist_info):
    """The Python files of a distribution, out of its RECORD: (path, (hash, path of the `.pyc`))."""
    with open(os.path.join(dist_info, "RECORD"), encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            if len(row) > 1 and row[0].endswith(".py") and not row[0].startswith(("/", "..")):
                yield row[0], (row[1], importlib.util.cache_from_source(row[0]))


def is_as_recorded(file, recorded):
    """Whether a file has the hash that RECORD has for it."""
    algorithm, _, expected = recorded.partition("=")
    try:
        return algorithm in hashlib.algorithms_available and digest(algorithm, content(file)) == expected
    except EnvironmentError:
        return False


def times(source):
    """A source's time and size as a `.pyc` holds them."""
    status = os.stat(source)
    return int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF


def put(compiled, target, source, link):
    """A link to a `.pyc`, or a copy for this source; raises FileNotFoundError where there is none."""
    if link:
        try:
            return link_anew(compiled, target)
        except EnvironmentError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
    with open(compiled, "rb") as stream:
        data = stream.read()
    magic, flags, _, _ = HEADER.unpack(data[: HEADER.size])
    draft = "%s.%d" % (target, os.getpid())
    with open(draft, "wb") as stream:
        stream.write(HEADER.pack(magic, flags, *times(source)))
        stream.write(data[HEADER.size :])
    os.rename(draft, target)


def link_anew(file, target):
    """A hard link at `target`, in the place of whatever file is there."""
    try:
        os.link(file, target)
    except FileExistsError:
        os.unlink(target)
        os.link(file, target)

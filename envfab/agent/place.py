"""Putting an unpacked wheel, its tree, into a virtualenv's folders: links, and what each virtualenv has of its own."""

from __future__ import absolute_import

import errno
import hashlib
import os
import shutil
import stat

from . import entry_points
from .files import MEMORY
from .protocol import PY2, Problem, native, text
from .unpack import tree, write_file
from .wheel_cache import discard
from .safe_zip import shown
from .wheel_file import encoded

# what says that a file cannot be linked, and copying is to be tried
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
INTERPRETER = b"#!python"


def place(folder, root, scheme, python, requested, link):
    """Put the tree at `folder` into the folder `root`, the paths of `scheme` being relative to that.

    Returns the paths, relative to `root`, of all files that are there now. Nothing is synced: the composed folder is, as a
    whole. Raises `Problem` for what would lie elsewhere than in `root`, and EnvironmentError for what the disk does not do.
    """
    found = tree(folder)
    if found is None:
        raise Problem("wheel", "%s: is not a whole tree" % text(folder))
    before = os.umask(found["umask"])
    try:
        placing = Placing(folder, root, scheme, found, link)
        placing.run(python, requested)
        return sorted(placing.rows)
    finally:
        os.umask(before)


class Placing(object):
    """One tree on its way into one folder."""

    def __init__(self, folder, root, scheme, found, link):
        self.folder = folder
        self.root = root
        self.real = os.path.realpath(root)
        self.tree = found
        self.link = link
        self.scheme = dict((key, native(path)) for key, path in scheme.items())
        self.scheme["headers"] = os.path.join(self.scheme["headers"], native(found["name"]))
        self.home = self.scheme[found["root"]]
        self.info = os.path.join(self.home, native(found["dist_info"]))
        # the path in `root` → hash and size as RECORD has them
        self.rows = {}
        self.folders = {""}

    def run(self, python, requested):
        """Put all of it there."""
        record = os.path.join(self.info, "RECORD")
        for key, path, recorded, size, _ in self.tree["files"]:
            source, target = self.ends(key, path)
            if key != "scripts" or not self.rewrite(source, target, python):
                self.put(source, target, recorded, size)
        for key, path, _, _ in self.tree["compiled"]:
            source, target = self.ends(key, path)
            self.put(source, target, "", "")
        self.write_scripts(python)
        self.write(os.path.join(self.info, "INSTALLER"), b"envfab\n", None)
        if requested:
            self.write(os.path.join(self.info, "REQUESTED"), b"", None)
        self.write(record, self.record(record), None)
        self.rows[record] = ("", "")

    def ends(self, key, path):
        """Where a file of the tree lies, and where in `root` it belongs."""
        path = native(path)
        return os.path.join(self.folder, native(key), path), os.path.join(self.scheme[key], path)

    def put(self, source, target, recorded, size):
        """A link to a file of the tree, or a copy, in the place of whatever file is there."""
        folder, name = os.path.split(target)
        if target.startswith(os.path.join(MEMORY, "")):
            raise self.wrong("has files in %s, which is envfab's own" % MEMORY)
        self.make_folder(folder)
        target = os.path.join(self.root, target)
        if not (self.link and self.links(source, target)):
            draft = self.draft(target)
            try:
                copy(source, draft)
                os.rename(draft, target)
            finally:
                discard(draft)
        self.rows[os.path.join(folder, name)] = (recorded, size)

    def links(self, source, target):
        """Whether a file could be linked; once the file system says no, no other one is tried."""
        try:
            link_anew(source, target, self.draft(target))
        except EnvironmentError as error:
            if error.errno not in NO_LINKS:
                raise
            self.link = error.errno == errno.EMLINK
            return False
        return True

    def draft(self, target):
        """What a file is called until it is whole."""
        return os.path.join(os.path.dirname(target), ".envfab-%d" % os.getpid())

    def make_folder(self, folder):
        """Make a folder in `root` where it is not there, and those above it; one that leads elsewhere is refused."""
        if folder in self.folders:
            return
        self.make_folder(os.path.dirname(folder))
        place = os.path.join(self.root, folder)
        try:
            os.mkdir(place)
        except EnvironmentError as error:
            if error.errno != errno.EEXIST or not os.path.isdir(place):
                raise
            real = os.path.realpath(place)
            if not real.startswith(os.path.join(self.real, "")):
                raise self.wrong("%s leads to %s, out of the virtualenv; make it a folder" % (text(place), text(real)))
        self.folders.add(folder)

    def wrong(self, what):
        """The problem that says `what` of this distribution."""
        return Problem("wheel", "%s %s: %s" % (self.tree["name"], self.tree["version"], what))

    def rewrite(self, source, target, python):
        """Whether a script asks for the interpreter; if so, it is written with it."""
        with open(source, "rb") as stream:
            if stream.read(len(INTERPRETER)) != INTERPRETER:
                return False
            content = INTERPRETER + stream.read()
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        self.write(target, entry_points.with_interpreter(python, content), mode)
        return True

    def write_scripts(self, python):
        """The scripts of entry points; of one name the last one stays, as with pip, and GUI comes after console."""
        folder = self.scheme["scripts"]
        mode = 0o666 & ~self.tree["umask"] | 0o555
        for name, module, attribute in self.tree["console"] + self.tree["gui"]:
            target = os.path.normpath(os.path.join(folder, native(name)))
            if not target.startswith(os.path.join(folder, "")):
                raise self.wrong("the script %s would lie outside of the folder of scripts" % shown(name))
            self.write(target, entry_points.script(python, module, attribute), mode)

    def write(self, target, content, mode):
        """A file that the virtualenv has for itself, in the place of whatever file is there."""
        self.make_folder(os.path.dirname(target))
        place = os.path.join(self.root, target)
        draft = self.draft(place)
        try:
            discard(draft)
            write_file(draft, [content], None, mode)
            os.rename(draft, place)
        finally:
            discard(draft)
        self.rows[target] = (encoded("sha256", hashlib.sha256(content).digest()), len(content))

    def record(self, own):
        """The bytes of RECORD, for all that was put there: paths relative to the folder of packages."""
        lines = []
        for target, (recorded, size) in dict(self.rows, **{own: ("", "")}).items():
            inside = target.startswith(os.path.join(self.home, ""))
            path = target[len(self.home) + 1 :] if inside else os.path.relpath(target, self.home)
            lines.append(quoted(path) + (",%s,%s\r\n" % (recorded, size)).encode("ascii"))
        return b"".join(sorted(lines))


def quoted(path):
    """A path as a field of a CSV file, in its bytes."""
    data = path if PY2 else os.fsencode(path)
    return b'"' + data.replace(b'"', b'""') + b'"' if b"," in data or b'"' in data else data


def copy(source, draft):
    """A copy that has the mode and the time, too: bytecode names the time of its source."""
    discard(draft)
    shutil.copyfile(source, draft)
    status = os.stat(source)
    os.chmod(draft, stat.S_IMODE(status.st_mode))
    os.utime(draft, (status.st_mtime, status.st_mtime))


def link_anew(source, target, draft):
    """A hard link at `target`, in the place of whatever file is there: never written through, for others may share it."""
    try:
        return os.link(source, target)
    except EnvironmentError as error:
        if error.errno != errno.EEXIST:
            raise
    discard(draft)
    os.link(source, draft)
    try:
        os.rename(draft, target)
    finally:
        # where both are links to the same file a rename does nothing
        discard(draft)

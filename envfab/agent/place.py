"""Placing an unpacked wheel, its tree, into a generation: by links, and files that each virtualenv has for itself."""

from __future__ import absolute_import

import errno
import hashlib
import os
import re
import shutil
import stat

from . import entry_points
from .files import MEMORY
from .protocol import PY2, Problem, native, text
from .unpack import TREE, parts, read_tree, write_file
from .wheel_cache import discard
from .safe_zip import shown
from .wheel_file import encoded

# errors upon which files are copied instead of linked
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
INTERPRETER = b"#!python"
# names of the virtualenv's interpreter among its scripts
INTERPRETERS = re.compile("(python|pypy)[0-9.]*$")


def place(folder, root, scheme, python, requested, link):
    """Place the tree at `folder` into the folder `root`; the paths in `scheme` are relative to `root`.

    Returns the `Placed` files; paths are relative to `root`, times None for files that are not of the tree. Nothing is flushed to the disk, since the composed generation is flushed as a whole.
    Raises `Problem` for a path that leads out of `root`, and EnvironmentError.
    """
    found = read_tree(folder)
    if found is None:
        raise Problem("wheel", "%s: is incomplete; deploy again" % text(folder))
    before = os.umask(found["umask"])
    try:
        placing = Placing(folder, root, scheme, found, link)
        placing.run(python, requested)
        return placing.rows
    finally:
        os.umask(before)


class Placed(dict):
    """Files that were placed: path → (hash as in RECORD, size, time).

    `mode` is that of files of the tree, except those in `others`, which may be executed; None if it is not known.
    """

    mode = None
    others = frozenset()


class Placing(object):
    """The placing of one tree into one folder."""

    def __init__(self, folder, root, scheme, found, link):
        self.below = parts(folder)
        self.tree_file = os.path.join(folder, TREE)
        self.root = root
        self.below_root = os.path.join(root, "")
        self.real = os.path.realpath(root)
        self.tree = found
        self.link = link
        self.scheme = dict((key, native(path)) for key, path in scheme.items())
        self.scheme["headers"] = os.path.join(self.scheme["headers"], native(found["name"]))
        self.home = self.scheme[found["root"]]
        self.info = os.path.join(self.home, native(found["dist_info"]))
        # the beginnings of paths in `root`, by key
        self.places = dict((key, path and os.path.join(path, "")) for key, path in self.scheme.items())
        self.rows = Placed()
        self.folders = {""}

    def run(self, python, requested):
        """Place all files, and write those that each virtualenv has for itself."""
        record = os.path.join(self.info, "RECORD")
        for key, path, recorded, size, time in self.tree["files"]:
            path = native(path)
            source, target = self.below[key] + path, self.places[key] + path
            if key != "scripts" or not self.rewrite(source, target, python):
                self.put(source, target)
                self.rows[target] = (recorded, size, time)
        for key, path, size, time in self.tree["compiled"]:
            path = native(path)
            target = self.places[key] + path
            self.put(self.below[key] + path, target)
            # RECORD has no hashes of bytecode
            self.rows[target] = ("", "", time)
        self.write_scripts(python)
        self.write(os.path.join(self.info, "INSTALLER"), b"envfab\n", None)
        if requested:
            self.write(os.path.join(self.info, "REQUESTED"), b"", None)
        self.write(record, self.record(record), None)
        self.rows[record] = ("", "", None)
        if "executable" in self.tree:
            self.rows.mode = stat.S_IMODE(os.lstat(self.tree_file).st_mode)
            self.rows.others = frozenset(self.places[key] + native(path) for key, path in self.tree["executable"])

    def put(self, source, target):
        """Link or copy a file of the tree, replacing whatever file is there."""
        self.refuse_interpreter(target)
        self.make_folder(target[: target.rfind(os.sep) + 1].rstrip(os.sep))
        target = self.below_root + target
        if not (self.link and self.links(source, target)):
            draft = self.draft(target)
            try:
                copy(source, draft)
                os.rename(draft, target)
            finally:
                discard(draft)

    def links(self, source, target):
        """Try to link a file; false if that is not possible: further files are then copied, too.

        Only if this file has too many links are others still linked.
        """
        try:
            os.link(source, target)
        except EnvironmentError as error:
            if error.errno == errno.EEXIST:
                return self.links_instead(source, target)
            if error.errno not in NO_LINKS:
                raise
            self.link = error.errno == errno.EMLINK
            return False
        return True

    def links_instead(self, source, target):
        """Try to replace a file by a link; it is never written to, since other names may share it."""
        draft = self.draft(target)
        discard(draft)
        if not self.links(source, draft):
            return False
        try:
            os.rename(draft, target)
        finally:
            # if both are links to the same file, rename does nothing
            discard(draft)
        return True

    def draft(self, target):
        """The name of a file until it is complete."""
        return os.path.join(os.path.dirname(target), ".envfab-%d" % os.getpid())

    def make_folder(self, folder):
        """Make a folder in `root` and those above it, if needed; raises `Problem` for one that leads out of `root`."""
        if folder in self.folders:
            return
        if (folder + os.sep).startswith(os.path.join(MEMORY, "")):
            raise self.wrong("has files in %s, which only envfab may use" % MEMORY)
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

    def refuse_interpreter(self, target):
        """Raise `Problem` for a file that would replace the virtualenv's interpreter."""
        folder, name = os.path.split(target)
        if folder == self.scheme["scripts"] and INTERPRETERS.match(name):
            raise self.wrong("has a script in the place of the interpreter %s" % text(target))

    def wrong(self, what):
        """The `Problem` that `what` is wrong with this distribution."""
        return Problem("wheel", "%s %s: %s" % (self.tree["name"], self.tree["version"], what))

    def rewrite(self, source, target, python):
        """Write a script that begins with `#!python` with the interpreter; false for any other file."""
        with open(source, "rb") as stream:
            if stream.read(len(INTERPRETER)) != INTERPRETER:
                return False
            content = INTERPRETER + stream.read()
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        self.write(target, entry_points.with_interpreter(python, content), mode)
        return True

    def write_scripts(self, python):
        """Write the scripts of entry points; of two with one name the last one stays, as with pip; GUI after console."""
        folder = self.scheme["scripts"]
        mode = 0o666 & ~self.tree["umask"] | 0o555
        for name, module, attribute in self.tree["console"] + self.tree["gui"]:
            target = os.path.normpath(os.path.join(folder, native(name)))
            if not target.startswith(os.path.join(folder, "")):
                raise self.wrong("the script %s would be outside of the folder of scripts" % shown(name))
            self.write(target, entry_points.script(python, module, attribute), mode)

    def write(self, target, content, mode):
        """Write a file that the virtualenv has for itself, replacing whatever file is there."""
        self.refuse_interpreter(target)
        self.make_folder(os.path.dirname(target))
        place = os.path.join(self.root, target)
        draft = self.draft(place)
        try:
            discard(draft)
            write_file(draft, [content], None, mode)
            os.rename(draft, place)
        finally:
            discard(draft)
        self.rows[target] = (encoded("sha256", hashlib.sha256(content).digest()), len(content), None)

    def record(self, own):
        """The content of RECORD for all files that were placed, with paths relative to the folder of packages."""
        lines = []
        home = os.path.join(self.home, "")
        for target, (recorded, size, _) in dict(self.rows, **{own: ("", "", None)}).items():
            path = target[len(home) :] if target.startswith(home) else os.path.relpath(target, self.home)
            lines.append("%s,%s,%s\r\n" % (quoted(path), native(recorded), size))
        content = "".join(sorted(lines))
        return content if PY2 else os.fsencode(content)


def quoted(path):
    """A path as a field of a CSV file."""
    return '"' + path.replace('"', '""') + '"' if "," in path or '"' in path else path


def copy(source, draft):
    """Copy a file with its mode and time, since bytecode contains the time of its source."""
    discard(draft)
    shutil.copyfile(source, draft)
    status = os.stat(source)
    os.chmod(draft, stat.S_IMODE(status.st_mode))
    os.utime(draft, (status.st_mtime, status.st_mtime))

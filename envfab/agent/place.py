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
from .unpack import parts, read_tree, write_file
from .wheel_cache import discard
from .safe_zip import shown
from .wheel_file import encoded

# what says that a file cannot be linked, and copying is to be tried
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
INTERPRETER = b"#!python"


def place(folder, root, scheme, python, requested, link):
    """Put the tree at `folder` into the folder `root`, the paths of `scheme` being relative to that.

    Returns path → (hash as RECORD has it, size, time) of all files that are there now. Paths are relative to `root`, and
    times None for what is not of the tree. Nothing is synced: the composed folder is, as a whole. Raises `Problem` for what would lie elsewhere than in `root`, and EnvironmentError for what the disk does not do.
    """
    found = read_tree(folder)
    if found is None:
        raise Problem("wheel", "%s: is not a whole tree" % text(folder))
    before = os.umask(found["umask"])
    try:
        placing = Placing(folder, root, scheme, found, link)
        placing.run(python, requested)
        return placing.rows
    finally:
        os.umask(before)


class Placing(object):
    """One tree on its way into one folder."""

    def __init__(self, folder, root, scheme, found, link):
        self.below = parts(folder)
        self.root = root
        self.below_root = os.path.join(root, "")
        self.real = os.path.realpath(root)
        self.tree = found
        self.link = link
        self.scheme = dict((key, native(path)) for key, path in scheme.items())
        self.scheme["headers"] = os.path.join(self.scheme["headers"], native(found["name"]))
        self.home = self.scheme[found["root"]]
        self.info = os.path.join(self.home, native(found["dist_info"]))
        # what paths in `root` begin with, by key
        self.places = dict((key, path and os.path.join(path, "")) for key, path in self.scheme.items())
        # the path in `root` → hash and size as RECORD has them, and the time
        self.rows = {}
        self.folders = {""}

    def run(self, python, requested):
        """Put all of it there."""
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
            # RECORD vouches for no bytecode
            self.rows[target] = ("", "", time)
        self.write_scripts(python)
        self.write(os.path.join(self.info, "INSTALLER"), b"envfab\n", None)
        if requested:
            self.write(os.path.join(self.info, "REQUESTED"), b"", None)
        self.write(record, self.record(record), None)
        self.rows[record] = ("", "", None)

    def put(self, source, target):
        """A link to a file of the tree, or a copy, in the place of whatever file is there."""
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
        """Whether a file could be linked; once the file system says no, no other one is tried."""
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
        """Whether a link could be made in the place of another file: never written through, for others may share it."""
        draft = self.draft(target)
        discard(draft)
        if not self.links(source, draft):
            return False
        try:
            os.rename(draft, target)
        finally:
            # where both are links to the same file a rename does nothing
            discard(draft)
        return True

    def draft(self, target):
        """What a file is called until it is whole."""
        return os.path.join(os.path.dirname(target), ".envfab-%d" % os.getpid())

    def make_folder(self, folder):
        """Make a folder in `root` where it is not there, and those above it; one that leads elsewhere is refused."""
        if folder in self.folders:
            return
        if (folder + os.sep).startswith(os.path.join(MEMORY, "")):
            raise self.wrong("has files in %s, which is envfab's own" % MEMORY)
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
        self.rows[target] = (encoded("sha256", hashlib.sha256(content).digest()), len(content), None)

    def record(self, own):
        """The bytes of RECORD, for all that was put there: paths relative to the folder of packages."""
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
    """A copy that has the mode and the time, too: bytecode names the time of its source."""
    discard(draft)
    shutil.copyfile(source, draft)
    status = os.stat(source)
    os.chmod(draft, stat.S_IMODE(status.st_mode))
    os.utime(draft, (status.st_mtime, status.st_mtime))

"""Where a virtualenv's packages and scripts lie, and its generations: whole copies, one of which is current.

    .envfab/current -> generations/7
    .envfab/generations/7/         bin, lib/pythonX.Y/site-packages, and the data files of its packages
    bin -> .envfab/current/bin
    lib/pythonX.Y/site-packages -> ../../.envfab/current/lib/pythonX.Y/site-packages
"""

from __future__ import absolute_import

import os
import sys

from .files import MEMORY, account
from .protocol import Problem, native, text

GENERATIONS = os.path.join(MEMORY, "generations")
CURRENT = os.path.join(MEMORY, "current")
# what `current` says before the number
BESIDE = os.path.basename(GENERATIONS)
DIGITS = frozenset("0123456789")
# at the root of a generation, and no file of a package
MANIFEST = ".envfab-manifest.json"
SCAFFOLD = (MANIFEST, "pyvenv.cfg", "lib64")


class Layout(object):
    """The folders of the virtualenv at `path` that are switched, relative to it; `site` are those with packages."""

    def __init__(self, path):
        self.path = path
        self.scripts = self._relative("scripts")
        self.purelib = self._relative("purelib")
        self.platlib = self._relative("platlib")
        self.site = [self.purelib] if self.platlib == self.purelib else [self.purelib, self.platlib]
        self.folders = [self.scripts] + self.site

    def _relative(self, key):
        """A folder of the install scheme, relative to the virtualenv; a link like lib64 is followed up to its parent."""
        # a probe gets along without it
        import sysconfig

        folder = sysconfig.get_path(key)
        parent = os.path.realpath(os.path.dirname(folder))
        found = os.path.relpath(os.path.join(parent, os.path.basename(folder)), os.path.realpath(self.path))
        if found.startswith(os.pardir):
            raise Problem("layout", "%s lies outside of the virtualenv" % text(folder))
        return found

    def root(self, number):
        """The folder of a generation."""
        return os.path.join(self.path, GENERATIONS, str(number))

    def link_to(self, folder):
        """What the link in the place of a switched folder says."""
        up = [os.pardir] * os.path.dirname(folder).count(os.sep) + ([os.pardir] if os.path.dirname(folder) else [])
        return os.path.join(*(up + [CURRENT, folder]))

    def is_linked(self, folder):
        """Whether a switched folder is the link that it is to be."""
        full = os.path.join(self.path, folder)
        return os.path.islink(full) and os.readlink(full) == self.link_to(folder)

    @property
    def is_plain(self):
        """Whether at least one of its folders is a folder still, and not the link to the current generation."""
        return not all(self.is_linked(folder) for folder in self.folders)

    def refuse_foreign_links(self):
        """Raise `Problem` where a folder is a link that somebody else made, or a mount: it cannot be exchanged."""
        for folder in self.folders:
            full = os.path.join(self.path, folder)
            if os.path.islink(full) and not self.is_linked(folder):
                raise Problem("layout", "%s is a symbolic link; make it a folder" % text(full))
            if os.path.realpath(full) in mount_points():
                raise Problem("layout", "%s is a mount; mount the whole virtualenv instead" % text(full))
            if not self.is_linked(folder):
                # it moves, and so it is written to itself, for its `..`
                for needed in (os.path.dirname(full), full):
                    refuse_read_only(needed)

    def scheme(self):
        """Where a wheel's parts go, for `place`."""
        headers = os.path.join("include", "site", python_folder())
        return {
            "purelib": self.purelib,
            "platlib": self.platlib,
            "scripts": self.scripts,
            "headers": headers,
            "data": "",
        }


def refuse_read_only(folder):
    """Raise `Problem` where this user may not write to a folder."""
    if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
        what = "%s cannot be written to by %s: make it writable (chmod), or this user's (chown)"
        raise Problem("layout", what % (text(folder), account(os.geteuid())))


def mount_points():
    """Where file systems are mounted, and folders of one (a bind mount has the same device as what is around it)."""
    # takes long to load, and a probe gets along without it
    import re

    try:
        with open("/proc/self/mounts", "rb") as stream:
            lines = stream.read().splitlines()
    except EnvironmentError:
        return set()
    return set(native(re.sub(br"\\(\d{3})", unescaped, line.split()[1]).decode("utf-8", "replace")) for line in lines)


def unescaped(match):
    """The byte that the kernel writes as `\\040`."""
    return bytes(bytearray([int(match.group(1), 8)]))


def current(path):
    """The number of the current generation; None where there is none."""
    try:
        return number(os.path.basename(os.readlink(os.path.join(path, CURRENT))))
    except EnvironmentError:
        return None


def number(name):
    """The number of the generation whose folder is called so; None for any other name."""
    return int(name) if name and DIGITS.issuperset(name) and (name == "0" or name[0] != "0") else None


def refuse_other_generations(path):
    """Raise `Problem` where the folder of generations is a link, or `current` does not lead to one in it."""
    folder, link = os.path.join(path, GENERATIONS), os.path.join(path, CURRENT)
    if os.path.islink(folder):
        raise Problem("layout", "%s is a symbolic link; put the folder that it leads to in its place" % text(folder))
    if os.path.lexists(link) and (current(path) is None or os.path.dirname(os.readlink(link)) != BESIDE):
        what = "%s does not lead to a generation; let it lead to one: ln -sfn generations/NUMBER %s"
        raise Problem("layout", what % (text(link), text(link)))


def numbers(path):
    """The numbers of the generations that are there, in order."""
    try:
        names = os.listdir(os.path.join(path, GENERATIONS))
    except EnvironmentError:
        return []
    return sorted(found for found in map(number, names) if found is not None)


def python_folder():
    """`python3.11`, as folders of an interpreter's own are called."""
    return "%s%d.%d" % (("pypy" if "PyPy" in sys.version else "python",) + sys.version_info[:2])


def is_below(path, folders):
    """Whether a path is in one of the folders."""
    return any(path.startswith(folder + os.sep) for folder in folders)

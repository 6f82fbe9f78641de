"""The layout of a virtualenv with generations: whole copies of its packages and scripts, one of which is current.

    .envfab/current -> generations/7
    .envfab/generations/7/         bin, lib/pythonX.Y/site-packages, and the data files of its packages
    bin -> .envfab/current/bin
    lib/pythonX.Y/site-packages -> ../../.envfab/current/lib/pythonX.Y/site-packages
"""

from __future__ import absolute_import

import errno
import os
import sys

from .files import MEMORY, account
from .protocol import Problem, native, text

GENERATIONS = os.path.join(MEMORY, "generations")
CURRENT = os.path.join(MEMORY, "current")
# the folder in the target of the link `current`
BESIDE = os.path.basename(GENERATIONS)
DIGITS = frozenset("0123456789")
# files at the root of a generation that belong to no package
MANIFEST = ".envfab-manifest.json"
DEPLOYED, INVENTORY, VERIFIED = ".envfab-deployed.json", ".envfab-inventory.json", ".envfab-verified.json"
OWN = (MANIFEST, DEPLOYED, INVENTORY, VERIFIED)
SCAFFOLD = OWN + tuple(name + ".new" for name in OWN) + ("pyvenv.cfg", "lib64")


class Layout(object):
    """The folders of the virtualenv at `path` that are replaced by links, relative to it; `site` are those of packages."""

    def __init__(self, path):
        self.path = path
        self.scripts = self._relative("scripts")
        self.purelib = self._relative("purelib")
        self.platlib = self._relative("platlib")
        self.site = [self.purelib] if self.platlib == self.purelib else [self.purelib, self.platlib]
        self.folders = [self.scripts] + self.site

    def _relative(self, key):
        """A folder of the install scheme, relative to the virtualenv; links above it, such as lib64, are followed."""
        # imported here, since a probe does not need it
        import sysconfig

        folder = sysconfig.get_path(key)
        parent = os.path.realpath(os.path.dirname(folder))
        found = os.path.relpath(os.path.join(parent, os.path.basename(folder)), os.path.realpath(self.path))
        if found.startswith(os.pardir):
            raise Problem("layout", "%s is outside of the virtualenv" % text(folder))
        return found

    def root(self, number):
        """The folder of a generation."""
        return os.path.join(self.path, GENERATIONS, str(number))

    def link_to(self, folder):
        """The target of the link that replaces a folder."""
        up = [os.pardir] * os.path.dirname(folder).count(os.sep) + ([os.pardir] if os.path.dirname(folder) else [])
        return os.path.join(*(up + [CURRENT, folder]))

    def is_linked(self, folder):
        """Whether a folder was replaced by its link."""
        full = os.path.join(self.path, folder)
        return os.path.islink(full) and os.readlink(full) == self.link_to(folder)

    @property
    def is_plain(self):
        """Whether at least one of its folders was not replaced by a link to the current generation."""
        return not all(self.is_linked(folder) for folder in self.folders)

    def refuse_foreign_links(self):
        """Raise `Problem` if a folder is a link that envfab did not make, or a mount, which cannot be exchanged."""
        for folder in self.folders:
            full = os.path.join(self.path, folder)
            if os.path.islink(full) and not self.is_linked(folder):
                raise Problem("layout", "%s is a symbolic link; make it a folder" % text(full))
            if not self.is_linked(folder):
                # the folder itself must be writable as well: moving it changes its `..`
                for needed in (os.path.dirname(full), full):
                    refuse_read_only(needed)
        self.refuse_mounts()

    def refuse_mounts(self):
        """Raise `Problem` if a folder is a mount, or has one in it, which would be moved along and later removed."""
        for folder in self.folders:
            full = os.path.join(self.path, folder)
            real = os.path.realpath(full)
            for place in mounts_in(real):
                if place == real:
                    raise Problem("layout", "%s is a mount; mount the whole virtualenv instead" % text(full))
                inside = os.path.join(full, os.path.relpath(place, real))
                what = "%s is a mount in a folder that deployments replace; mount it elsewhere and put a symbolic link there"
                raise Problem("layout", what % text(inside))

    def refuse_immovable(self):
        """Raise `Problem` where a folder that is to become a link cannot be renamed, as of a lower layer of an overlay.

        To rename a folder to the name of one that has something in it changes nothing in any case; why it fails tells.
        """
        for folder in self.folders:
            full = os.path.join(self.path, folder)
            if self.is_linked(folder) or not os.path.isdir(full):
                continue
            try:
                os.rename(full, os.path.join(self.path, MEMORY))
            except EnvironmentError as error:
                if error.errno == errno.EXDEV:
                    what = "%s is part of a lower layer (of a container's image, say) and cannot be renamed; copy the virtualenv: "
                    what += "cp -a %s %s.new && rm -r %s && mv %s.new %s"
                    raise Problem("layout", what % ((text(full),) + (text(self.path),) * 5))

    def scheme(self):
        """The install scheme: folders for the parts of a wheel, for `place`."""
        headers = os.path.join("include", "site", python_folder())
        return {
            "purelib": self.purelib,
            "platlib": self.platlib,
            "scripts": self.scripts,
            "headers": headers,
            "data": "",
        }


def refuse_read_only(folder):
    """Raise `Problem` if this user may not write to a folder."""
    if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
        what = "%s cannot write to %s: change its mode (chmod) or its owner (chown)"
        raise Problem("layout", what % (account(os.geteuid()), text(folder)))


def mounts_in(folder):
    """The mount points in a folder, which may be one itself, outermost first."""
    real = os.path.realpath(folder)
    return sorted(place for place in mount_points() if place == real or place.startswith(os.path.join(real, "")))


def mount_points():
    """The mount points; read from the kernel, since a bind mount has the same device as the folder around it."""
    # imported here, since it takes long and a probe does not need it
    import re

    try:
        with open("/proc/self/mounts", "rb") as stream:
            lines = stream.read().splitlines()
    except EnvironmentError:
        return set()
    return set(native(re.sub(br"\\(\d{3})", unescaped, line.split()[1]).decode("utf-8", "replace")) for line in lines)


def unescaped(match):
    """The byte that the kernel escapes as `\\040`."""
    return bytes(bytearray([int(match.group(1), 8)]))


def current(path):
    """The number of the current generation; None if there is none."""
    try:
        return number(os.path.basename(os.readlink(os.path.join(path, CURRENT))))
    except EnvironmentError:
        return None


def number(name):
    """The number of the generation whose folder has this name; None for any other name."""
    return int(name) if name and DIGITS.issuperset(name) and (name == "0" or name[0] != "0") else None


def refuse_other_generations(path):
    """Raise `Problem` if the folder of generations is a link, or `current` does not lead to a generation in it."""
    folder, link = os.path.join(path, GENERATIONS), os.path.join(path, CURRENT)
    if os.path.islink(folder):
        raise Problem("layout", "%s is a symbolic link; replace it by the folder that it leads to" % text(folder))
    if os.path.lexists(link) and (current(path) is None or os.path.dirname(os.readlink(link)) != BESIDE):
        what = "%s does not lead to a generation; correct it: ln -sfn generations/NUMBER %s"
        raise Problem("layout", what % (text(link), text(link)))


def numbers(path):
    """The numbers of the existing generations, in order."""
    try:
        names = os.listdir(os.path.join(path, GENERATIONS))
    except EnvironmentError:
        return []
    return sorted(found for found in map(number, names) if found is not None)


def python_folder():
    """The name of this interpreter's folders: `python3.11`."""
    return "%s%d.%d" % (("pypy" if "PyPy" in sys.version else "python",) + sys.version_info[:2])


def is_below(path, folders):
    """Whether a path is in one of the folders."""
    return any(path.startswith(folder + os.sep) for folder in folders)

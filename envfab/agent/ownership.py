"""Ownership of files: which installed distribution each file belongs to, as recorded by its installer.

Paths are relative to the virtualenv or one of its generations: `lib/python3.11/site-packages/six.py`, `bin/django-admin`.
"""

from __future__ import absolute_import

import csv
import os
import re

from .files import content
from .metadata import MOST, dist_info, egg, egg_info, egg_link, zipped
from .protocol import PY2, Problem, key_of, native, text

COMPILED = re.compile(r"\.(cpython|pypy|jython)[^.]*(\.opt-[^.]+)?\.py[co]$")


class OwnedFiles(object):
    """A distribution in a folder of packages: its canonical name, its version, and its files.

    `files` and `folders` (with everything in them) are relative to the virtualenv; `files` is None if they are not
    known. `lines` are its lines in easy-install.pth.
    """

    def __init__(self, name, shown_as, files, folders=(), lines=(), version=""):
        # hashes by file, as far as the installer recorded them
        self.hashes = files if isinstance(files, dict) else {}
        self.name = name
        self.shown_as = shown_as
        self.version = version
        self.files = None if files is None else set(files)
        self.folders = set(folders)
        self.lines = set(lines)


class FileOwners(object):
    """The distributions that files belong to, of those `there`; of two, the last has a file."""

    def __init__(self, there, site):
        self.files, self.folders = {}, {}
        self.site = [key_of(folder) + "/" for folder in site]
        for one in there:
            self.files.update((key_of(path), one) for path in one.files or ())
            self.folders.update((key_of(folder), one) for folder in one.folders)

    def of(self, path):
        """Return the distribution that a path belongs to, or None."""
        if path in self.files:
            return self.files[path]
        for site in self.site:
            if path.startswith(site):
                # an egg, or what an installer added to a `.dist-info`
                return self.folders.get(site + path[len(site) :].partition("/")[0])
        return None


def installed(root, site):
    """The distributions in the folders `site` of `root`, which is a virtualenv or a generation."""
    found = []
    for folder in site:
        full = os.path.join(root, folder)
        for name in sorted(os.listdir(full)) if os.path.isdir(full) else []:
            one = read(root, folder, name)
            if one is not None:
                found.append(one)
    return found


def read(root, folder, name):
    """The distribution that an entry of a folder of packages describes, or None."""
    full, own = os.path.join(root, folder, name), os.path.join(folder, name)
    if name.endswith(".dist-info"):
        entry = dist_info(full)
        record = os.path.join(full, "RECORD")
        files = recorded(folder, record) if os.path.isfile(record) else set()
        return described(entry, name, files, [own])
    if name.endswith(".egg-info"):
        return described(egg_info(full), name, listed(root, folder, full), [own])
    if name.endswith(".egg-link"):
        source = native((content(full, MOST) or b"").partition(b"\n")[0].strip())
        return described(egg_link(full), name, set([own]), lines=[source])
    if name.endswith(".egg"):
        return described(egg(full), name, egg_scripts(full), [own], ["./" + name, full])
    return None


def described(entry, name, files, folders=(), lines=()):
    """An `OwnedFiles`; a distribution without metadata gets its name from its folder."""
    shown_as = entry["name"] if entry else text(name).partition("-")[0]
    return OwnedFiles(canonical(shown_as), shown_as, files, folders, lines, entry["version"] if entry else "")


def canonical(name):
    """A project's canonical name (PEP 503)."""
    return re.sub("[-_.]+", "-", text(name)).lower()


def rows(record):
    """The rows of a RECORD file."""
    with open(record, "rb") if PY2 else open(record, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        try:
            return [row for row in csv.reader(stream) if row and row[0]]
        except csv.Error as error:
            raise Problem("unowned", "cannot read %s: %s" % (text(record), error))


def recorded(folder, record):
    """The files that a RECORD lists, with their hashes."""
    below = os.path.join(folder, "")
    found = {}
    for row in rows(record):
        path = native(row[0])
        is_plain = not path.startswith((".", os.sep)) and "/." not in path and "//" not in path
        found[below + path if is_plain else os.path.normpath(below + path)] = row[1] if len(row) > 1 else ""
    return found


def listed(root, folder, egg_info_folder):
    """The files of a distribution with an `.egg-info`: those it lists, or else those of its top-level names, or None."""
    names = content(os.path.join(egg_info_folder, "installed-files.txt"), MOST)
    if names is not None:
        here = os.path.join(folder, os.path.basename(egg_info_folder))
        return set(os.path.normpath(os.path.join(here, native(line))) for line in names.splitlines() if line.strip())
    names = content(os.path.join(egg_info_folder, "top_level.txt"), MOST)
    if names is None:
        return None
    shared = (content(os.path.join(egg_info_folder, "namespace_packages.txt"), MOST) or b"").split()
    files = set()
    for name in (native(one) for one in names.split() if one not in shared):
        files.update(os.path.join(folder, name + ending) for ending in (".py", ".pyc", ".pyo"))
        files.update(below(root, os.path.join(folder, name)))
    return files


def below(root, folder):
    """All files in a folder and those below."""
    for here, _, names in os.walk(os.path.join(root, folder)):
        for name in names:
            yield os.path.relpath(os.path.join(here, name), root)


def egg_scripts(path):
    """The scripts that easy_install made for an egg, which are not listed, but whose names the egg has."""
    if os.path.isdir(path):
        scripts = os.path.join(path, "EGG-INFO", "scripts")
        names = set(os.listdir(scripts) if os.path.isdir(scripts) else [])
        entry_points = content(os.path.join(path, "EGG-INFO", "entry_points.txt"), MOST)
    else:
        names, entry_points = set(), zipped(path, "entry_points.txt")
    section = b""
    for line in (entry_points or b"").splitlines():
        line = line.strip()
        if line.startswith(b"["):
            section = line
        elif section in (b"[console_scripts]", b"[gui_scripts]") and b"=" in line:
            names.add(native(line.partition(b"=")[0].strip()))
    return set(os.path.join("bin", name) for name in names if os.sep not in name)


def source_of(path):
    """The `.py` that a `.pyc` at `path` was compiled from."""
    folder, name = os.path.split(path)
    parent, last = os.path.split(folder)
    if last == "__pycache__":
        return os.path.join(parent, COMPILED.sub("", name) + ".py")
    return path[:-1]

"""Changes that others make to a virtualenv's packages and scripts after its next generation was composed from them."""

from __future__ import absolute_import

import os

from .data_files import put, stamp
from .manifest import entries
from .metadata import DESCRIBED, is_leftover
from .probe import last_change
from .protocol import Problem
from .unpack import sync_all


class Observed(object):
    """The folders of packages and scripts when the generation `number` was composed from them.

    `files` has the `stamp` of those in them, by path, `packages` is what `packages` returns, and `times` has the time at
    which each folder changed; without `times` all folders are looked through again. What is in one of the `made` was not
    carried over: files of packages that go, and those of new ones.
    """

    def __init__(self, number, packages, files, times, made):
        self.number = number
        self.packages = packages
        self.files = files
        self.times = times
        self.made = made

    def is_replaced(self, path, source, target):
        """Whether a file that was carried over to `target` has another in its place at `source` since."""
        if any(path in made for made in self.made):
            return False
        try:
            now, then = os.lstat(source), os.lstat(target)
        except EnvironmentError:
            # a command of the deployment removed it
            return False
        # what such a command has written anew stays
        return stamp(now) != self.files[path] and stamp(then) == self.files[path]


def packages(layout):
    """Return what describes the distributions of a virtualenv: {(name of the entry, time at which it changed)}.

    An egg's time is left out: an import makes `__pycache__` in it.
    """
    found = set()
    for folder in (os.path.join(layout.path, one) for one in layout.site):
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if name.endswith(DESCRIBED):
                found.add((name, None if name.endswith(".egg") else last_change(os.path.join(folder, name))))
    return found


def files(layout, times):
    """Yield the paths of the files that are not bytecode, relative to the virtualenv.

    Those in folders that have not changed since `times` are left out.
    """
    folders = [folder for folder in layout.folders if os.path.isdir(os.path.join(layout.path, folder))]
    changed = folders if times is None else [folder for folder in times if is_changed(layout, folder, times[folder])]
    while changed:
        folder = changed.pop()
        for name, is_folder in entries(os.path.join(layout.path, folder)):
            path = os.path.join(folder, name)
            if is_folder and not is_leftover(name):
                if times is None or path not in times:
                    changed.append(path)
            elif not is_folder and not name.endswith((".pyc", ".pyo")):
                yield path


def is_changed(layout, folder, time):
    """Whether a folder, which may be gone, has had entries added or removed since `time`."""
    try:
        return os.stat(os.path.join(layout.path, folder)).st_mtime != time
    except EnvironmentError:
        return False


def carry_new_files(layout, before):
    """Give a new generation the files that were added to the current one, or replaced there, since `before`, an `Observed`.

    Raises `Problem` of kind "changed" if packages were installed or removed, with which the generation was not checked.
    """
    if packages(layout) != before.packages:
        what = "packages were installed or removed by hand during the deployment; deploy again: the next plan takes them into account"
        raise Problem("changed", what)
    folders = set()
    for path in files(layout, before.times):
        source, target = os.path.join(layout.path, path), os.path.join(layout.root(before.number), path)
        if before.is_replaced(path, source, target) if path in before.files else not os.path.lexists(target):
            put(source, target)
            folders.add(os.path.dirname(target))
    sync_all(sorted(folders))

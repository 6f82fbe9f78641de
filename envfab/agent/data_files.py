"""Data files of packages: files outside of the folders that are switched, such as `share/` and `include/`.

A generation has each of them at its path below its root; the virtualenv has a link to that of the current generation.
"""

from __future__ import absolute_import

import errno
import os
import shutil

from .layout import SCAFFOLD, python_folder
from .protocol import Problem, text
from .wheel_cache import discard, sync

PIECE = 1 << 16
DRAFT = ".envfab.new"
# errors of link(2) where a copy helps: another file system or user, too many links, links not supported
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)


def data_files(layout, root):
    """Yield the paths of a generation's data files, relative to its root."""
    for here, folders, names in os.walk(root):
        inside = os.path.relpath(here, root)
        folders[:] = [name for name in folders if os.path.normpath(os.path.join(inside, name)) not in layout.folders]
        linked = [name for name in folders if os.path.islink(os.path.join(here, name))]
        for name in names + linked:
            path = os.path.normpath(os.path.join(inside, name))
            if not is_scaffold(layout, root, path):
                yield path


def is_scaffold(layout, root, path):
    """Return whether a file of a generation, `path` below its `root`, belongs to the generation itself, not to a package."""
    if path in SCAFFOLD or os.path.basename(path) == DRAFT:
        return True
    if os.path.dirname(path) != os.path.join("lib", python_folder()) or not os.path.islink(os.path.join(root, path)):
        return False
    return os.readlink(os.path.join(root, path)) == beside(layout, root, path)


def beside(layout, root, path):
    """Return the target of a generation's link to the file that the virtualenv has at the same `path`."""
    return os.path.join(os.path.relpath(layout.path, os.path.join(root, os.path.dirname(path))), path)


def refresh(layout, root):
    """Update a generation's data files from the virtualenv, where users edit and replace them."""
    for path in list(data_files(layout, root)):
        there, here = os.path.join(layout.path, path), os.path.join(root, path)
        if os.path.lexists(there):
            put(there, here)
        else:
            discard(here)


def put(source, target):
    """Link `target` to a file, or copy a symbolic link, replacing what is there; return whether that changed anything."""
    folder = os.path.dirname(target)
    make_like(os.path.dirname(source), folder)
    # always of the same name, so that one that a crash left is removed
    draft = os.path.join(folder, DRAFT)
    discard(draft)
    if os.path.lexists(target) and same(source, target):
        return False
    try:
        if os.path.islink(source):
            os.symlink(os.readlink(source), draft)
        else:
            link_or_copy(source, draft)
        os.rename(draft, target)
    finally:
        discard(draft)
    return True


def make_like(model, folder):
    """Make a folder and those above it, if they do not exist, each with the mode of the one in `model`."""
    if not os.path.isdir(folder):
        make_like(os.path.dirname(model), os.path.dirname(folder))
        os.mkdir(folder)
        shutil.copymode(model, folder)


def same(one, other):
    """Return whether two paths are of one file, of symbolic links with the same target, or of files with equal content."""
    if os.path.islink(one) or os.path.islink(other):
        return os.path.islink(one) and os.path.islink(other) and os.readlink(one) == os.readlink(other)
    # not by size and time: in wheels that are built reproducibly, all files of all versions have the same time
    return os.path.samefile(one, other) or (os.path.isfile(one) and os.path.isfile(other) and equal(one, other))


def equal(one, other):
    """Return whether two files have the same content."""
    if os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        return all(piece == second.read(PIECE) for piece in iter(lambda: first.read(PIECE), b""))


def stamp(status):
    """Return [size in bytes, time] of a file for a manifest; the time is a string, in nanoseconds where Python tells them."""
    return [status.st_size, repr(getattr(status, "st_mtime_ns", status.st_mtime))]


def link_or_copy(source, target):
    """Make the hard link `target`, or a copy with the same time and mode if links fail; return whether it is a link.

    `target` must not exist. Raises `Problem` of kind "unreadable" if the source may not be read, and EnvironmentError.
    """
    try:
        os.link(source, target)
        return True
    except EnvironmentError as error:
        if error.errno not in NO_LINK:
            raise
    try:
        shutil.copyfile(source, target)
    except EnvironmentError as error:
        refuse_unreadable(source, error)
        raise
    shutil.copystat(source, target)
    sync(target)
    return False


def refuse_unreadable(path, error):
    """Raise `Problem` of kind "unreadable" if an error says that a file or folder may not be read."""
    if error.errno == errno.EACCES:
        what = "%s cannot be read: give it to the virtualenv's owner (chown)"
        raise Problem("unreadable", what % text(path))

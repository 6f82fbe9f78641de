"""Data files of packages: what lies beside the folders that are switched, like `share/` and `include/`.

A generation has each of them at its place below its root; the virtualenv itself has a link to that of the current one.
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
# a link cannot be made there: another file system, somebody else's file, too many links, none at all
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)


def data_files(layout, root):
    """The files of a generation beside its packages and scripts, relative to its root."""
    for here, folders, names in os.walk(root):
        inside = os.path.relpath(here, root)
        folders[:] = [name for name in folders if os.path.normpath(os.path.join(inside, name)) not in layout.folders]
        linked = [name for name in folders if os.path.islink(os.path.join(here, name))]
        for name in names + linked:
            path = os.path.normpath(os.path.join(inside, name))
            if not is_scaffold(layout, root, path):
                yield path


def is_scaffold(layout, root, path):
    """Whether a file of a generation, `path` below its `root`, is there for the generation's own sake, and of no package."""
    if path in SCAFFOLD or os.path.basename(path) == DRAFT:
        return True
    if os.path.dirname(path) != os.path.join("lib", python_folder()) or not os.path.islink(os.path.join(root, path)):
        return False
    return os.readlink(os.path.join(root, path)) == beside(layout, root, path)


def beside(layout, root, path):
    """What a link of a generation says that leads to what the virtualenv has at the same `path`."""
    return os.path.join(os.path.relpath(layout.path, os.path.join(root, os.path.dirname(path))), path)


def refresh(layout, root):
    """Let a generation have the data files that the virtualenv has now: people edit them, and replace them."""
    for path in list(data_files(layout, root)):
        there, here = os.path.join(layout.path, path), os.path.join(root, path)
        if os.path.lexists(there):
            put(there, here)
        else:
            discard(here)


def put(source, target):
    """A link to a file (of a symbolic link, the same one) at `target`, in the place of what is there: whether it is new."""
    folder = os.path.dirname(target)
    make_like(os.path.dirname(source), folder)
    # always of the same name: what a crash left goes now
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
    """Make a folder, and those above it, where they are not there, each with the mode of the one in `model`."""
    if not os.path.isdir(folder):
        make_like(os.path.dirname(model), os.path.dirname(folder))
        os.mkdir(folder)
        shutil.copymode(model, folder)


def same(one, other):
    """Whether two names are those of one file, of two symbolic links that say the same, or of a file and its copy."""
    if os.path.islink(one) or os.path.islink(other):
        return os.path.islink(one) and os.path.islink(other) and os.readlink(one) == os.readlink(other)
    # not by size and time: wheels that are built reproducibly have one time for all of their files, in each version
    return os.path.samefile(one, other) or (os.path.isfile(one) and os.path.isfile(other) and equal(one, other))


def equal(one, other):
    """Whether two files have the same content."""
    if os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        return all(piece == second.read(PIECE) for piece in iter(lambda: first.read(PIECE), b""))


def stamp(status):
    """[size, time] of a file, as a manifest has them."""
    return [status.st_size, repr(getattr(status, "st_mtime_ns", status.st_mtime))]


def link_or_copy(source, target):
    """A hard link, or a copy of the same time and mode where there can be none; `target` is not there yet."""
    try:
        return os.link(source, target)
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


def refuse_unreadable(path, error):
    """Raise `Problem` where an error says that a file or folder may not be read."""
    if error.errno == errno.EACCES:
        what = "%s cannot be read: give it to the virtualenv's owner (chown)"
        raise Problem("unreadable", what % text(path))

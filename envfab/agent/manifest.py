"""Manifest of a generation, written when the next one is made; a rollback compares the generation with it."""

from __future__ import absolute_import

import os
import stat

from .data_files import DRAFT, is_scaffold, stamp
from .json_codec import dumps, loads
from .layout import MANIFEST, python_folder
from .protocol import text
from .wheel_cache import sync


def write_manifest(root, files):
    """Write the manifest of a generation, `[[path, size in bytes, time], …]`; `time` is as in `stamp`."""
    place = os.path.join(root, MANIFEST)
    with open(place + ".new", "wb") as stream:
        stream.write(dumps(files).encode("utf-8"))
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(place + ".new", place)
    sync(root)


def is_as_left(layout, number):
    """Return whether a generation matches its manifest: no file was removed, changed, or added.

    False as well if it has no readable manifest, or if its interpreter no longer exists.
    """
    root = layout.root(number)
    if not os.path.exists(os.path.join(root, layout.scripts, "python")):
        return False
    try:
        with open(os.path.join(root, MANIFEST), "rb") as stream:
            then = dict((path, [size, time]) for path, size, time in loads(stream.read().decode("utf-8")))
    except (EnvironmentError, ValueError, TypeError):
        return False
    for path, status in files(layout, root):
        if then.pop(text(path), None) != stamp(status):
            return False
    return not then


def files(layout, root):
    """Yield (path below `root`, status) of all files of a generation.

    Bytecode is left out, since Python writes it at any time, and so are files of the generation itself.
    """
    # in these two folders some files are not of a package
    mixed = ("", os.path.join("lib", python_folder()))
    folders = [""]
    while folders:
        folder = folders.pop()
        full, below = os.path.join(root, folder, ""), folder and folder + os.sep
        for name, is_folder in entries(full):
            if is_folder:
                folders.append(below + name)
            elif not name.endswith((".pyc", ".pyo")) and name != DRAFT:
                if not (folder in mixed and is_scaffold(layout, root, below + name)):
                    yield below + name, os.lstat(full + name)


def entries(folder):
    """Return (name, whether it is a folder and not a link to one) for each entry of a folder."""
    if hasattr(os, "scandir"):
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in os.scandir(folder)]
    return [(name, stat.S_ISDIR(os.lstat(os.path.join(folder, name)).st_mode)) for name in os.listdir(folder)]

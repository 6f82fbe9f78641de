"""Removal of folders, such that none is ever partial under its name."""

from __future__ import absolute_import

import errno
import os
import shutil

from .layout import MANIFEST, mounts_in
from .protocol import text
from .wheel_cache import discard

# prefix of the names of folders that are being removed
CONDEMNED = ".condemned-"


def remove_condemned(folder):
    """Finish interrupted removals in a folder; return the paths that cannot be removed."""
    names = [name for name in os.listdir(folder) if name.startswith(CONDEMNED)] if os.path.isdir(folder) else []
    return [text(os.path.join(folder, name)) for name in names if not remove(os.path.join(folder, name))]


def remove_tree(folder):
    """Rename a folder, if it exists, and remove it, so that it is never partial under its name; return whether it is gone.

    Files of other users may remain, such as root's in `__pycache__`, and mounts, under a name that no generation has.
    """
    if not os.path.lexists(folder):
        return True
    condemned = os.path.join(os.path.dirname(folder), CONDEMNED + os.path.basename(folder))
    if not remove(condemned):
        condemned += ".%d" % os.getpid()
    try:
        os.rename(folder, condemned)
    except EnvironmentError as error:
        if error.errno != errno.EXDEV:
            raise
        # in a lower layer of an overlay: without its manifest, it is not taken for a complete generation
        discard(os.path.join(folder, MANIFEST))
        return remove(folder)
    return remove(condemned)


def remove(folder):
    """Remove a file, or a folder even if folders in it are read-only; return whether it is gone.

    A folder with a mount in it stays as it is: what is mounted there is not envfab's to remove.
    """
    if os.path.islink(folder) or os.path.isfile(folder):
        discard(folder)
        return True
    if mounts_in(folder):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        for here, folders, _ in os.walk(folder):
            for name in folders:
                inside = os.path.join(here, name)
                if not os.path.islink(inside) and os.stat(inside).st_uid == os.geteuid():
                    os.chmod(inside, 0o700)
        shutil.rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)

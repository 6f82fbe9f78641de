"""What a generation had when the next one was made of it: by that a rollback sees whether it still is what it was."""

from __future__ import absolute_import

import os

from .data_files import is_scaffold, stamp
from .json_codec import dumps, loads
from .layout import MANIFEST
from .protocol import text
from .wheel_cache import sync


def write_manifest(root, files):
    """Write down what a generation had when the next one was made of it: `[[path, size, time], …]`."""
    place = os.path.join(root, MANIFEST)
    with open(place + ".new", "wb") as stream:
        stream.write(dumps(files).encode("utf-8"))
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(place + ".new", place)
    sync(root)


def is_as_left(layout, number):
    """Whether a generation still is as it was when the next one was made: no file gone, changed, or new.

    One whose interpreter has gone from the host since is not.
    """
    root = layout.root(number)
    if not os.path.exists(os.path.join(root, layout.scripts, "python")):
        return False
    try:
        with open(os.path.join(root, MANIFEST), "rb") as stream:
            then = set((path, size, time) for path, size, time in loads(stream.read().decode("utf-8")))
    except (EnvironmentError, ValueError, TypeError):
        return False
    now = set()
    for here, folders, names in os.walk(root):
        linked = [name for name in folders if os.path.islink(os.path.join(here, name))]
        for name in names + linked:
            path = os.path.relpath(os.path.join(here, name), root)
            if not name.endswith((".pyc", ".pyo")) and not is_scaffold(layout, root, path):
                status = os.lstat(os.path.join(here, name))
                now.add(tuple([text(path)] + stamp(status)))
    return now == then

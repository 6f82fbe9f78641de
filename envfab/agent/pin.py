"""The `.pth` of a pinned generation, which lets each process keep the generation that it started with."""

from __future__ import absolute_import

import os

from .protocol import PY2

# sorted before all others, and so read first
PINNED = "00-envfab-pinned.pth"


def write_pin(file, switched, own):
    """Write the first `.pth` of a pinned generation: its processes read its own folder, whatever becomes current.

    `switched` are the names, two of them, by which they have the virtualenv's.
    """
    # as bytes: whatever encoding an interpreter reads the file in
    decode = "%r" if PY2 else "os.fsdecode(%r)"
    line = "import os, sys; sys.path[:] = [%s if p in (%s, %s) else p for p in sys.path]\n" % (decode, decode, decode)
    with open(file, "w") as stream:
        stream.write(line % tuple(encoded(name) for name in [own] + switched))


def pinned_since(layout, number):
    """When the generation `number` was made, where processes keep it that start with it; else None."""
    pin = os.path.join(layout.root(number), layout.purelib, PINNED)
    return os.lstat(pin).st_mtime if os.path.lexists(pin) else None


def encoded(path):
    """A path as bytes."""
    return path if PY2 else os.fsencode(path)

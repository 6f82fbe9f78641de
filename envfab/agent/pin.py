"""The `.pth` file of a pinned generation, by which each process keeps the generation that it started with."""

from __future__ import absolute_import

import os

from .protocol import PY2

# sorted before all others, so that it is read first
PINNED = "00-envfab-pinned.pth"


def write_pin(file, switched, own):
    """Write the `.pth` of a pinned generation: its processes import from its folder `own`, whatever becomes current.

    `switched` are the two names of the virtualenv's folder that `own` replaces in the import path.
    """
    # paths as bytes, so that the encoding in which an interpreter reads the file does not matter
    decode = "%r" if PY2 else "os.fsdecode(%r)"
    line = "import os, sys; sys.path[:] = [%s if p in (%s, %s) else p for p in sys.path]\n" % (decode, decode, decode)
    with open(file, "w") as stream:
        stream.write(line % tuple(encoded(name) for name in [own] + switched))


def pinned_since(layout, number):
    """Return the time at which the generation `number` was made, in seconds since 1970; None if it is not pinned."""
    pin = os.path.join(layout.root(number), layout.purelib, PINNED)
    return os.lstat(pin).st_mtime if os.path.lexists(pin) else None


def encoded(path):
    """Return a path as bytes."""
    return path if PY2 else os.fsencode(path)

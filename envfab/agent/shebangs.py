"""Scripts that name the interpreter of a generation, which goes one day: `./python -m pip install …` in `bin` writes such.

The working directory is known by its real path, so that an interpreter that is started by a relative one from there
takes the generation for the virtualenv.
"""

from __future__ import absolute_import

import os
import re
import shutil

from .layout import GENERATIONS
from .protocol import PY2

# a line of the kernel's, or those of a script that /bin/sh reads first
HEAD = 1024


def own_again(source, target, path):
    """Copy a script that names a generation's interpreter, with that of the virtualenv at `path` instead: whether it did."""
    with open(source, "rb") as stream:
        head = stream.read(HEAD)
        if not head.startswith(b"#!"):
            return False
        named = re.escape(encoded(os.path.join(os.path.realpath(path), GENERATIONS, ""))) + b"[0-9]+/"
        changed = re.sub(named, lambda _: encoded(os.path.join(path, "")), head)
        if changed == head:
            return False
        with open(target, "wb") as written:
            written.write(changed)
            shutil.copyfileobj(stream, written)
            written.flush()
            os.fsync(written.fileno())
    shutil.copymode(source, target)
    return True


def encoded(path):
    """A path as bytes."""
    return path if PY2 else os.fsencode(path)

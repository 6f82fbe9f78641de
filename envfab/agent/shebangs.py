"""Scripts that name the interpreter of a generation, which will be removed some day, instead of the virtualenv's.

`./python -m pip install …` in `bin` writes such scripts: the working directory is known by its real path, so that an
interpreter started by a relative path takes the generation for the virtualenv.
"""

from __future__ import absolute_import

import os
import re
import shutil

from .layout import GENERATIONS
from .protocol import PY2

# bytes; contains the first lines, also those of a script that /bin/sh reads first
HEAD = 1024


def own_again(source, target, path):
    """Copy a script that names a generation's interpreter, with that of the virtualenv at `path` instead.

    Returns false, and copies nothing, for any other file.
    """
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

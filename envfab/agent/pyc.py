"""Bytecode files, in the format that this interpreter's import system expects (PEP 3147, PEP 552)."""

from __future__ import absolute_import

import marshal
import struct
import sys

from .protocol import PY2

if PY2:
    from imp import get_magic

    MAGIC = get_magic()
    OPTIONS = {}
else:
    from importlib.util import MAGIC_NUMBER as MAGIC

    OPTIONS = {"optimize": 0}
# what comes before the source's time and size (2.7: time); since 3.7 with flags, 0 for time and size
HEAD = MAGIC + b"\0\0\0\0" if sys.version_info >= (3, 7) else MAGIC
MOST = 0xFFFFFFFF


def can_compile():
    """Whether other processes can use what this interpreter compiles: not 2.7 with `-O`, which compiles differently."""
    return not PY2 or not sys.flags.optimize


def path_of(source):
    """The path of the bytecode file for the module in `source`; both with slashes."""
    if PY2:
        return source + "c"
    folder, _, name = source.rpartition("/")
    return "%s__pycache__/%s.%s.pyc" % (folder and folder + "/", name[:-3], sys.implementation.cache_tag)


def compiled(source, name, time, size):
    """The bytes of a bytecode file for a source's bytes, time and size; None if the source does not compile.

    `name` is the file name in it, which the import system replaces by the path of the source.
    """
    try:
        code = compile(source, name, "exec", 0, True, **OPTIONS)
        content = marshal.dumps(code)
    except Exception:
        # pip skips it, too; a compiler may raise SyntaxError, ValueError, MemoryError, RecursionError
        return None
    return head(time, size) + content


def head(time, size):
    """The beginning of a bytecode file for a source of that time and size."""
    return HEAD + (struct.pack("<I", time & MOST) if PY2 else struct.pack("<II", time & MOST, size & MOST))


def is_of(data, time, size):
    """Whether the bytes are a bytecode file of this interpreter for a source of that time and size."""
    return data.startswith(head(time, size))

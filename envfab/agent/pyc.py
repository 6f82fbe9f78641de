"""Bytecode files: sources compiled as the import system of this interpreter wants to find them (PEP 3147, PEP 552)."""

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
# before the source's time and size (2.7: time): since 3.7 there are flags, which say that it is these
HEAD = MAGIC + b"\0\0\0\0" if sys.version_info >= (3, 7) else MAGIC
MOST = 0xFFFFFFFF


def can_compile():
    """Whether what this interpreter compiles is what others of its kind look for: 2.7 under `-O` compiles otherwise."""
    return not PY2 or not sys.flags.optimize


def path_of(source):
    """Where the bytecode of the module in `source` lies, a path with slashes."""
    if PY2:
        return source + "c"
    folder, _, name = source.rpartition("/")
    return "%s__pycache__/%s.%s.pyc" % (folder and folder + "/", name[:-3], sys.implementation.cache_tag)


def compiled(source, name, time, size):
    """The bytes of a bytecode file for a source's bytes, its time and its size; None where it does not compile.

    `name` is what it says that it was compiled from; the import system puts in where it found it.
    """
    try:
        code = compile(source, name, "exec", 0, True, **OPTIONS)
        content = marshal.dumps(code)
    except Exception:
        # pip leaves it, too, and a compiler has many ways to say no: SyntaxError, ValueError, MemoryError, RecursionError
        return None
    return head(time, size) + content


def head(time, size):
    """What a bytecode file of a source of that time and size begins with."""
    return HEAD + (struct.pack("<I", time & MOST) if PY2 else struct.pack("<II", time & MOST, size & MOST))


def is_of(data, time, size):
    """Whether the bytes are a bytecode file of this interpreter, for a source of that time and size."""
    return data.startswith(head(time, size))

"""The agent's sources, as they go over the channel."""

from __future__ import annotations

import binascii
import functools
import marshal
import zlib
from importlib import resources

KERNEL = ("codec", "kernel")
PROBE = ("files", "distributions", "probe")
TAGS = ("tags",)
DEPLOY = ("locking", "processes", "cache", "installing", "journal")
SWEEP = ("sweeping",)
PULL = ("web", "pulling")
UV = ("uv",)
BYTECODE = ("bytecode",)
HISTORY = ("cache", "journal")
PROJECTS = ("locking", "processes", "environment_file", "projects")
CREATE = ("locking", "processes", "creating")
DISCOVER = ("discovering",)
# the last that Python 2.7 reads, and every later one
MARSHAL_VERSION = 2


@functools.cache
def loader() -> str:
    """One line of Python that starts the agent, for `python -c`; without a quote or a shell's special character.

    Its first words take the current folder off the import path, before anything is imported that a hostile
    file there could shadow.
    """
    packed = binascii.b2a_base64(zlib.compress(_source("loader"), 9), newline=False).decode("ascii")
    return (
        "import sys;sys.path[:]=[p for p in sys.path if p];import zlib,binascii;"
        f'exec(zlib.decompress(binascii.a2b_base64("{packed}")))'
    )


@functools.cache
def modules(*names: str) -> bytes:
    """The named modules as the loader takes them: zlib, marshal, a list of (name, source)."""
    return zlib.compress(marshal.dumps([(name, _source(name)) for name in names], MARSHAL_VERSION), 6)


def _source(name: str) -> bytes:
    return (resources.files("envfab.managed.agent") / f"{name}.py").read_bytes()

"""The agent's sources, as they go over the channel."""

from __future__ import annotations

import binascii
import functools
import marshal
import zlib
from importlib import resources

KERNEL = ("json_codec", "protocol")
PROBE = ("files", "metadata", "layout", "lingering", "probe")
TAGS = ("tags",)
DEPLOY = ("lock", "subprocesses", "wheel_cache", "journal", "ownership", "verify")
UNPACK = ("safe_zip", "wheel_file", "entry_points", "pyc", "unpack", "place")
STORE = (*UNPACK, "bytecode", "store")
GENERATIONS = (*STORE, "data_files", "manifest", "pin", "shebangs", "generations", "exchange", "switch")
DOWNLOAD = ("http", "download")
HISTORY = ("wheel_cache", "journal")
DJANGO = ("lock", "subprocesses", "environment_file", "django")
CREATE = ("lock", "subprocesses", "create")
DISCOVER = ("discover",)
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
    return (resources.files("envfab.agent") / f"{name}.py").read_bytes()

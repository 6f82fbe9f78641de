"""The agent's sources, packed for the connection."""

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
STORE = (*UNPACK, "bytecode", "space", "store")
GENERATIONS = (*STORE, "data_files", "manifest", "pin", "shebangs", "shared_files", "generations", "exchange", "switch")
DOWNLOAD = ("http", "download")
HISTORY = ("wheel_cache", "journal")
DJANGO = ("lock", "subprocesses", "environment_file", "django")
CREATE = ("lock", "subprocesses", "create")
DISCOVER = ("discover",)
# the newest version that Python 2.7 reads; every later Python reads it, too
MARSHAL_VERSION = 2


@functools.cache
def loader() -> str:
    """Return a line of Python for `python -c` that starts the agent; it has no quotes that a shell would interpret.

    It first removes the current folder from the import path, so that a file there cannot shadow a module.
    """
    packed = binascii.b2a_base64(zlib.compress(_source("loader"), 9), newline=False).decode("ascii")
    return (
        "import sys;sys.path[:]=[p for p in sys.path if p];import zlib,binascii;"
        f'exec(zlib.decompress(binascii.a2b_base64("{packed}")))'
    )


@functools.cache
def modules(*names: str) -> bytes:
    """Return the named modules as the loader reads them: a marshalled list of (name, source), compressed."""
    return zlib.compress(marshal.dumps([(name, _source(name)) for name in names], MARSHAL_VERSION), 6)


def _source(name: str) -> bytes:
    return (resources.files("envfab.agent") / f"{name}.py").read_bytes()

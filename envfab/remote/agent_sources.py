"""The agent's sources, packed for the connection."""

from __future__ import annotations

import binascii
import functools
import importlib.util
import marshal
import sys
import threading
import zlib
from importlib import resources

KERNEL = ("json_codec", "protocol")
PROBE = ("files", "metadata", "layout", "lingering", "deployed", "probe")
TAGS = ("tags",)
DEPLOY = ("lock", "subprocesses", "wheel_cache", "journal", "ownership", "pin", "digests", "generation_check")
INVENTORY = ("inventory",)
UNPACK = ("safe_zip", "wheel_file", "entry_points", "pyc", "unpack", "place")
RELEASES = ("files", "lock", "subprocesses", "wheel_cache", "releases")
STORE = (*UNPACK, "bytecode_archive", "space", "files", "releases", "store")
GENERATIONS = (
    *STORE,
    "data_files",
    "manifest",
    "shebangs",
    "shared_files",
    *INVENTORY,
    "carryover",
    "hand_changes",
    "new_inventory",
    "generations",
    "atomic_swap",
    "folder_removal",
    "switch",
    "as_left",
    "cleanup",
)
DRIFT = (*INVENTORY, "ownership", "pin", "digests", "drift")
DOWNLOAD = ("http", "download")
DRAINED = ("wheel_cache", "drained")
HISTORY = ("wheel_cache", "journal")
DJANGO = ("lock", "subprocesses", "environment_file", "django")
CREATE = ("lock", "subprocesses", "create")
DISCOVER = ("discover",)
MATERIALS = ("materials",)
# the newest version that Python 2.7 reads; every later Python reads it, too
MARSHAL_VERSION = 2
# a cache alone lets all threads that come before the first has ended do the same work
PACKING = threading.Lock()


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


def modules(*names: str) -> bytes:
    """Return the named modules as the loader reads them: a marshalled list of (name, source), compressed."""
    with PACKING:
        return _modules(*names)


@functools.cache
def _modules(*names: str) -> bytes:
    return zlib.compress(marshal.dumps([(name, _source(name)) for name in names], MARSHAL_VERSION), 6)


def compiled_modules(*names: str) -> bytes:
    """Return the named modules with their code for interpreters of the running one's kind, which need not compile them.

    It is four times as large as `modules`: meant for deployments, not for probes.
    """
    with PACKING:
        return _compiled_modules(*names)


@functools.cache
def _compiled_modules(*names: str) -> bytes:
    entries = []
    for name in names:
        source = _source(name)
        code = compile(source, f"<envfab_agent/{name}>", "exec", dont_inherit=True, optimize=0)
        entries.append((name, source, own_kind(), marshal.dumps(code)))
    return zlib.compress(marshal.dumps(entries, MARSHAL_VERSION), 6)


@functools.cache
def program(name: str) -> str:
    """Return the text of a module that is a program of its own, for `python -c` on the host."""
    return _source(name).decode("utf-8")


def own_kind() -> str:
    """Return the kind of the running interpreter: its cache tag (PEP 3147) and the magic number of its bytecode."""
    return f"{sys.implementation.cache_tag}-{importlib.util.MAGIC_NUMBER.hex()}"


def _source(name: str) -> bytes:
    return (resources.files("envfab.agent") / f"{name}.py").read_bytes()

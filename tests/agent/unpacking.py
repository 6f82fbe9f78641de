"""Any interpreter at work on wheels, with the agent's modules loaded as the loader does it, without a channel."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import envfab.agent
from envfab.remote import agent_sources

UNPACKING = ("safe_zip", "wheel_file", "entry_points", "pyc", "unpack", "place")
"""In the order in which they import each other."""
MODULES = (*agent_sources.KERNEL, "files", "metadata", "wheel_cache", *UNPACKING)
LOAD = """
import json, os, sys
sys.dont_write_bytecode = True
sys.path[:] = [entry for entry in sys.path if entry]
given = json.loads(sys.stdin.read())
package = type(sys)("envfab_agent")
package.__path__ = []
sys.modules["envfab_agent"] = package
for name in given["modules"]:
    module = type(sys)(str("envfab_agent." + name))
    module.__package__ = "envfab_agent"
    sys.modules[module.__name__] = module
    setattr(package, str(name), module)
    with open(os.path.join(given["folder"], name + ".py"), "rb") as stream:
        exec(compile(stream.read(), str("<envfab_agent/%s>" % name), "exec"), module.__dict__)
native, Problem = package.protocol.native, package.protocol.Problem
unpack, read_tree, is_whole = package.unpack.unpack, package.unpack.read_tree, package.unpack.is_whole
place, sync_all = package.place.place, package.unpack.sync_all
"""
TELL = "\nos.write(1, json.dumps(result).encode('utf-8'))\n"


def work(python: Path, code: str, *, locale: str = "C.UTF-8", **given: Any) -> Any:
    """What `code` leaves as `result` in that interpreter; there it has `given`, and the functions of the agent."""
    folder = str(Path(envfab.agent.__file__).parent)
    done = subprocess.run(
        [python, "-E", "-s", "-c", LOAD + code + TELL],
        input=json.dumps({**given, "modules": MODULES, "folder": folder}).encode(),
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": locale},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return json.loads(done.stdout)

"""The CPython interpreters on this machine, of every version that envfab manages."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.once import made_once

VERSIONS = ("2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""The versions that a managed virtualenv may have."""

NOT_INSTALLED = "this machine has no CPython "
"""How the reason of a skip begins that is no failure anywhere: nobody has every version."""


@functools.cache
def find_python(version: str) -> Path | None:
    """An interpreter of `version` ("3.8"), not one of a virtualenv; those that every user can run come first."""
    found = [python for python in _candidates(version) if _is_cpython(python, version)]
    return min(found, key=lambda python: not reachable_by_all(python), default=None)


def reachable_by_all(path: Path) -> bool:
    """Whether another user may come to `path` and read it, by way of links too."""
    real = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in real.parents) and bool(real.stat().st_mode & 0o004)


def _candidates(version: str) -> list[Path]:
    """Where interpreters of `version` are usually found; links are followed, and so found once."""
    name = f"python{version}"
    roots = [os.environ.get("PYENV_ROOT", ""), os.path.expanduser("~/.pyenv"), "/opt/pyenv"]
    managed = [path for root in roots if root for path in Path(root, "versions").glob(f"{version}.*/bin/{name}")]
    folders = [*os.environ.get("PATH", os.defpath).split(":"), "/usr/local/bin", "/usr/bin"]
    # pyenv's shims look like every version, and fail for most.
    on_path = [Path(folder, name) for folder in folders if folder and not folder.endswith("/shims")]
    return list(dict.fromkeys(path.resolve() for path in (*on_path, *managed) if os.access(path, os.X_OK)))


def _is_cpython(python: Path, version: str) -> bool:
    program = "import platform; print(platform.python_implementation() + ' ' + platform.python_version())"
    try:
        done = subprocess.run([python, "-E", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.startswith(f"CPython {version}.")


def copied_python(python: Path, folder: Path) -> Path:
    """A copy, below `folder`, of the installation that `python` belongs to: the same interpreter, for every user."""
    prefix = python.resolve().parent.parent
    target = folder / f"{prefix.name}-for-all"
    with made_once(target) as missing:
        if missing:
            # compiled modules go along: other users cannot write any, and would compile at each start
            skip = shutil.ignore_patterns("test", "tests", "idlelib", "tkinter", "lib2to3", "site-packages", "*.a")
            for part in ("bin", "lib", "include"):
                shutil.copytree(prefix / part, target / part, symlinks=True, ignore=skip)
            (target / "lib" / python.name / "site-packages").mkdir()
            _find_library_beside(target / "bin" / python.name, prefix)
            target.chmod(0o755)
    return target / "bin" / python.name


def _find_library_beside(program: Path, prefix: Path) -> None:
    """Let a copied program load the shared library that was copied with it, not the one of the original `prefix`."""
    old, new = f"{prefix}/lib\0".encode(), b"$ORIGIN/../lib\0"
    content = program.read_bytes()
    if len(new) <= len(old):
        program.write_bytes(content.replace(old, new.ljust(len(old), b"\0")))

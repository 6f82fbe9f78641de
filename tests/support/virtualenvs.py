"""Virtualenvs for the tests, of every CPython found, made by copying: the second of a kind costs milliseconds."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.once import made_once
from tests.support.pythons import NOT_INSTALLED, copied_python, find_python, reachable_by_all

OLD_VIRTUALENV = "virtualenv==20.21.1"
"""The last one that makes environments of CPython 2.7 and 3.6; today's is asked for 3.10 and later only."""


@dataclass(frozen=True, slots=True)
class VirtualenvMaker:
    """Makes virtualenvs.

    `templates` is a folder that all processes of a test session share, `cache` outlives the session, `environment` may
    reach an index.
    """

    templates: Path
    cache: Path
    environment: Mapping[str, str] = field(repr=False)

    def __call__(
        self,
        python: str | Path,
        path: Path,
        *,
        owner: str | None = None,
        system_site_packages: bool = False,
        pip: bool = False,
    ) -> Path:
        """A virtualenv at `path`, of `python`: a version ("3.8"; the test skips without it) or an interpreter.

        It holds nothing, or pip if that is asked for: pip's files take most of the time of making one and deploying to
        it. With an `owner` the interpreter is one that every user can run.
        """
        interpreter = self.python(python, shared=owner is not None)
        template = self._template(interpreter, pip=pip)
        copy_virtualenv(template, path)
        if system_site_packages:
            settings = path / "pyvenv.cfg"
            settings.write_text(settings.read_text().replace("packages = false", "packages = true"))
        if owner is not None:
            hand_over(path, owner)
        return path

    def python(self, python: str | Path, *, shared: bool = False) -> Path:
        """The interpreter that `python` means; with `shared`, one that every user can run, a copy if need be."""
        found = find_python(python) if isinstance(python, str) else python
        if found is None:
            pytest.skip(f"{NOT_INSTALLED}{python}")
        if not shared or reachable_by_all(found):
            return found
        return copied_python(found, self.templates)

    def shared_python(self) -> Path:
        """An interpreter that every user can run, of the version that runs the tests."""
        return self.python(f"{sys.version_info[0]}.{sys.version_info[1]}", shared=True)

    def fetched(self, requirement: str, *options: str) -> Path:
        """A wheel from the package index, by pip with `options`, kept for later sessions."""
        target = self.cache / "".join((requirement, *options))
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *options, requirement, "--dest"]
        with made_once(target) as missing:
            if missing:
                self._run([*command, str(target)])
        (wheel,) = target.glob("*.whl")
        return wheel

    def fetched_all(self, requirements: Sequence[str], *options: str) -> Sequence[Path]:
        """Many wheels at once, as `fetched`; one run of pip takes a second less for each than a run for each."""
        named = "\n".join((*requirements, *options))
        target = self.cache / f"all-{hashlib.sha256(named.encode()).hexdigest()[:16]}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", *options]
        with made_once(target) as missing:
            if missing:
                self._run([*command, "--dest", str(target), *requirements])
        return sorted(target.glob("*.whl"))

    def _template(self, python: Path, *, pip: bool) -> Path:
        """A virtualenv of `python` to copy from."""
        template = self.templates / f"{str(python).strip('/').replace('/', '-')}-{'pip' if pip else 'bare'}"
        with made_once(template) as missing:
            if missing:
                old = _is_old(python)
                command = [sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update", "--no-setuptools"]
                command += ["--no-wheel"] if old else []
                command += [] if pip else ["--no-pip"]
                command += ["--app-data", str(self.templates / "app-data"), "--python", str(python), str(template)]
                self._run(command, **({"PYTHONPATH": str(self._old_virtualenv())} if old else {}))
                _bring_shared_library(python, template)
                if pip:
                    _compile_pip(template)
        return template

    def _old_virtualenv(self) -> Path:
        """A folder to import the old virtualenv from; installed once, by whoever needs it first."""
        target = self.cache / OLD_VIRTUALENV
        with made_once(target) as missing:
            if missing:
                self._run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), OLD_VIRTUALENV])
        return target

    def _run(self, command: list[str], **variables: str) -> None:
        subprocess.run(command, check=True, env={**self.environment, **variables}, stdin=subprocess.DEVNULL)


def _compile_pip(virtualenv: Path) -> None:
    """Let pip compile what it needs to install, as the usual tools compile all of it; else each copy would do so."""
    for task in ("install", "list"):
        command = [str(virtualenv / "bin" / "python"), "-E", "-s", "-m", "pip", task, "--help"]
        subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL)


def copy_virtualenv(template: Path, path: Path, *, linked: bool = False) -> None:
    """Copy a virtualenv with all that is in it; the copy names its own path, the owner is left to `hand_over`.

    With `linked`, installed files are links, which is much faster; pip replaces files and never writes into one.
    """
    inside = f"{os.sep}site-packages{os.sep}"

    def copy(source: str, destination: str) -> None:
        if linked and inside in source:
            os.link(source, destination, follow_symlinks=False)
        else:
            shutil.copy2(source, destination, follow_symlinks=False)

    shutil.copytree(template, path, symlinks=True, dirs_exist_ok=True, copy_function=copy)
    _say_where(path, template)


def hand_over(path: Path, owner: str) -> None:
    """Make `owner` the owner of `path` and of all below it."""
    entry = pwd.getpwnam(owner)
    for folder, _folders, files in os.walk(path):
        for name in (folder, *(os.path.join(folder, file) for file in files)):
            os.chown(name, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def _is_old(python: Path) -> bool:
    """Whether today's virtualenv no longer knows this interpreter."""
    program = "import sys; sys.exit(sys.version_info < (3, 10))"
    return subprocess.run([python, "-E", "-c", program], check=False).returncode != 0


def _bring_shared_library(python: Path, virtualenv: Path) -> None:
    """Let an interpreter that lies in the virtualenv as a file (2.7 does) find the shared library of a copied one."""
    if python.is_relative_to(virtualenv.parent) and not (virtualenv / "bin" / "python").is_symlink():
        for library in (python.parent.parent / "lib").glob("libpython*.so*"):
            (virtualenv / "lib" / library.name).symlink_to(library)


def _say_where(path: Path, template: Path) -> None:
    """Let scripts and settings of a copied virtualenv name its own path instead of the template's."""
    for file in (path / "pyvenv.cfg", *(path / "bin").iterdir()):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            if str(template).encode() in content and b"\0" not in content:
                file.write_bytes(content.replace(str(template).encode(), str(path).encode()))

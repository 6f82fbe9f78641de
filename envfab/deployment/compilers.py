"""Compilation of bytecode on this machine, once for all hosts with an interpreter of the same kind as one here."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from envfab.errors import EnvfabError
from envfab.models.interpreter import Interpreter
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_packed
from envfab.remote.agent_session import Session, start_agent
from envfab.remote.process import local_link
from envfab.remote.startup import Identity

HERE = "this machine"
# `cpython-311-a70d0d0a`, `cpython-27-03f30d0a`, `pypy39-...`: the implementation, then major and minor version
KIND = re.compile(r"(cpython|pypy)-?([0-9])([0-9]+)-[0-9a-f]+")
PROGRAMS = {"cpython": "python", "pypy": "pypy"}


@dataclass(frozen=True, slots=True)
class Bytecode:
    """The packed bytecode of a wheel, and its SHA-256."""

    data: bytes = field(repr=False)
    sha256: str


class Compilers:
    """Interpreters of this machine that compile wheels, each started when bytecode of its kind is first needed.

    Thread-safe; each wheel is compiled once for each kind of interpreter.
    """

    def __init__(self, named: Sequence[str] = ()) -> None:
        """Remember the paths `named` of interpreters to try besides those that are found."""
        self._named = tuple(named)
        self._starting = threading.Lock()
        self._kinds: dict[str, _Compiler] = {}
        self._ahead: ThreadPoolExecutor | None = None
        self._prepared: set[str] = set()
        self._closed = False

    def prepare(self, interpreter: Interpreter, wheels: Iterable[tuple[Path, str]]) -> None:
        """Start to compile wheels, (path, SHA-256) each, in the background, while other hosts are still being probed.

        Only for interpreters of the same version as this one: for others, only a host can tell the magic number.
        """
        if not _is_like_own(interpreter):
            return
        with self._starting:
            for path, sha256 in wheels:
                if sha256 not in self._prepared and not self._closed:
                    self._prepared.add(sha256)
                    self._ahead = self._ahead or ThreadPoolExecutor(1, "envfab-compile")
                    self._ahead.submit(self.bytecode, agent_sources.own_kind(), path, sha256)

    def bytecode(self, kind: str, wheel: Path, sha256: str) -> Bytecode | None:
        """Return a wheel's bytecode for interpreters of `kind`; None if this machine cannot compile it."""
        with self._starting:
            if self._closed:
                return None
            compiler = self._kinds.setdefault(kind, _Compiler(kind, self._named))
        return compiler.bytecode(wheel, sha256)

    def close(self) -> None:
        """End the interpreters; drop the wheels that `prepare` has not started to compile."""
        with self._starting:
            self._closed = True
        if self._ahead is not None:
            self._ahead.shutdown(wait=False, cancel_futures=True)
        for compiler in self._kinds.values():
            compiler.close()


class _Compiler:
    """An interpreter of this machine, of one kind; if there is none, it compiles nothing."""

    def __init__(self, kind: str, named: Sequence[str]) -> None:
        self._kind = kind
        self._working = threading.Lock()
        self._session: Session | None = None
        self._candidates = _interpreters(kind, named)
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self._known: dict[str, Bytecode | None] = {}
        self._closed = False

    def bytecode(self, wheel: Path, sha256: str) -> Bytecode | None:
        with self._working:
            if self._closed:
                return None
            if sha256 not in self._known:
                self._known[sha256] = self._compile(wheel, sha256)
            return self._known[sha256]

    def _compile(self, wheel: Path, sha256: str) -> Bytecode | None:
        while True:
            if self._session is None and not self._start():
                return None
            try:
                return self._asked(wheel, sha256)
            except (EnvfabError, OSError) as error:
                # the hosts compile the wheel themselves
                logging.getLogger("envfab").debug("%s was not compiled here", wheel.name, exc_info=error)
                return None
            except _OtherKind:
                self._end()

    def _asked(self, wheel: Path, sha256: str) -> Bytecode:
        assert self._session is not None
        reply = self._session.ask("compile", wheel=str(wheel.resolve()), sha256=sha256, interpreter=self._kind)
        packed = to_packed(reply, HERE)
        if packed is None:
            raise _OtherKind
        data = Path(packed).read_bytes()
        return Bytecode(data, hashlib.sha256(data).hexdigest())

    def _start(self) -> bool:
        """Start the next interpreter that may be of the kind; false if there is none left."""
        for executable in self._candidates:
            if self._home is None:
                self._home = tempfile.TemporaryDirectory(prefix="envfab-")
            with suppress(EnvfabError, OSError):
                self._session = start_agent(
                    local_link(),
                    executable,
                    self._home.name,
                    where=HERE,
                    identity=Identity(),
                    modules=agent_sources.PROBE,
                )
                self._session.load(("lock", "subprocesses", "wheel_cache", *agent_sources.STORE))
                return True
        return False

    def _end(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def close(self) -> None:
        """End the interpreter; it compiles nothing more."""
        with self._working:
            self._closed = True
            self._end()
            if self._home is not None:
                self._home.cleanup()


class _OtherKind(Exception):
    """Raised if the interpreter that was started is of another kind."""


def _is_like_own(interpreter: Interpreter) -> bool:
    """Return whether an interpreter has the implementation and the minor version of the running one."""
    own = platform.python_implementation(), sys.version_info[:2]
    return (interpreter.implementation, interpreter.version.release[:2]) == own


def likely_compiler(interpreter: Interpreter, named: Sequence[str]) -> str | None:
    """Return the program of this machine that most likely compiles for an interpreter; None if there is none.

    `named` are those of the setting `compilers`. Only a host can tell whether its bytecode is of the same kind.
    """
    if _is_like_own(interpreter):
        return sys.executable
    major, minor = interpreter.version.release[:2]
    # those that are named may be of other versions
    found = [*_installed(interpreter.implementation.lower(), str(major), str(minor)), *map(os.path.expanduser, named)]
    return found[0] if found else None


def _interpreters(kind: str, named: Sequence[str]) -> Iterator[str]:
    """Yield programs of this machine that may be interpreters of a kind: this one, those named, on PATH, of pyenv."""
    if kind == agent_sources.own_kind():
        yield sys.executable
    yield from map(os.path.expanduser, named)
    match = KIND.fullmatch(kind)
    if match is not None:
        yield from _installed(match[1], match[2], match[3])


def _installed(implementation: str, major: str, minor: str) -> Iterator[str]:
    found = shutil.which(f"{PROGRAMS.get(implementation, implementation)}{major}.{minor}")
    if found is not None:
        yield found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    if implementation == "cpython":
        yield from map(str, sorted(root.glob(f"versions/{major}.{minor}.*/bin/python"), reverse=True))

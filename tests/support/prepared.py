"""Starts the real `fab` quickly: forked off an interpreter that has imported Fabric and envfab beforehand.

    python -m tests.support.prepared SOCKET PROGRAM     serves whoever holds the other end of SOCKET

Importing is most of what a start costs, and envfab's modules do nothing else when they are imported. What is about
starting itself (lazy imports, terminals, signals) uses the program as it is. A request is what a start is made of: arguments, folder, environment and
umask, with the three streams and a fourth that is told the process id and the exit status.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, cast

# beside envfab: what every start imports, and what most tasks do soon after
FOREIGN = (
    "fabric.main",
    "invoke.vendor.yaml",
    "paramiko",
    "requests",
    "resolvelib",
    "rich.console",
    "rich.live",
    "rich.table",
)
# never a part of `fab`, or of a server that runs for long
APART = ("envfab.agent", "envfab.collector")
ROOT = Path(__file__).parents[2]
START = 120.0
"""Seconds in which the interpreter imports what it should beforehand."""
REQUEST = 1 << 20
"""The most bytes that a request may have."""


class Starter:
    """Starts `program`, a script of this interpreter's. What an interpreter heeds once is taken from `environment`."""

    def __init__(self, program: str, environment: Mapping[str, str]) -> None:
        self._program = program
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REQUEST)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), program],
                cwd=ROOT,
                env=dict(environment),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def __enter__(self) -> Starter:
        return self

    def __exit__(self, *_error: object) -> None:
        """Start nothing any more."""
        self._socket.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: bytes, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` with captured output would; raises TimeoutError after `timeout` seconds."""
        request = json.dumps([list(arguments), str(folder), dict(environment), _umask()]).encode()
        with ExitStack() as streams:
            source, sink = _pipe(streams)
            (stdout, said), (stderr, complained), (status, told) = (_pipe(streams) for _ in range(3))
            theirs = (source, said, complained, told)
            socket.send_fds(self._socket, [request], [stream.fileno() for stream in theirs])
            for stream in theirs:
                stream.close()
            with suppress(BrokenPipeError):
                sink.write(stdin)
            sink.close()
            # it may still be importing, which takes long where much else runs
            select.select([status], [], [], START)
            content = _read_all((stdout, stderr, status), timeout)
        if not content[status]:
            raise ChildProcessError("the prepared interpreter has ended: see what it said on standard error")
        process_id, _, ended = content[status].decode().partition(" ")
        if not ended:
            os.kill(int(process_id), signal.SIGKILL)
            raise TimeoutError(f"{self._program} {' '.join(arguments)} took longer than {timeout} seconds: {content}")
        return subprocess.CompletedProcess(
            [self._program, *arguments], int(ended), content[stdout].decode(), content[stderr].decode()
        )


def _umask() -> int:
    """This process's umask. `os.umask` would change it for a moment, in which another thread may make a file."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:"))
    return int(line.split()[1], 8)


def _pipe(streams: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """The two ends of a pipe, without buffers, closed with `streams`."""
    source, sink = os.pipe()
    return streams.enter_context(open(source, "rb", 0)), streams.enter_context(open(sink, "wb", 0))


def _read_all(streams: Sequence[IO[bytes]], timeout: float) -> dict[IO[bytes], bytes]:
    """What comes on each stream until its end, or until `timeout` seconds have passed."""
    content = dict.fromkeys(streams, b"")
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _events in selector.select(left):
                stream = cast("IO[bytes]", key.fileobj)
                piece = os.read(key.fd, 1 << 16)
                content[stream] += piece
                if not piece:
                    selector.unregister(stream)
    return content


def serve(requests: socket.socket) -> list[str]:
    """Fork for each request until the other end is closed; return in the child, with its arguments."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    told: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _events in selector.select()}
            if woken in ready:
                os.read(woken, 1 << 10)
                _tell_ends(told)
            if requests in ready:
                request, streams, _flags, _address = socket.recv_fds(requests, REQUEST, 4)
                if not request:
                    sys.exit()
                process = os.fork()
                if not process:
                    break
                for stream in streams[:3]:
                    os.close(stream)
                told[process] = streams[3]
                with suppress(BrokenPipeError):  # nobody waits any longer
                    os.write(streams[3], f"{process} ".encode())
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    arguments, folder, environment, umask = json.loads(request)
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
    os.closerange(3, max((*streams, *told.values(), waker, requests.detach())) + 1)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.umask(umask)
    os.chdir(folder)
    return list(arguments)


def import_beforehand() -> None:
    """Import what nearly every start needs."""
    import envfab

    for name in FOREIGN:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(envfab.__path__, "envfab."):
        if not module.name.startswith(APART) and not module.ispkg:
            importlib.import_module(module.name)
    gc.freeze()  # children need not look through all that


def _tell_ends(told: dict[int, int]) -> None:
    """Tell the exit status of every child that has ended, as `subprocess` counts it."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            stream = told.pop(ended[0])
            with suppress(BrokenPipeError):  # nobody waits any longer
                os.write(stream, str(os.waitstatus_to_exitcode(ended[1])).encode())
            os.close(stream)


if __name__ == "__main__":
    _requests, _program = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    sys.path[0] = os.path.dirname(_program)
    import_beforehand()
    sys.argv = [_program, *serve(_requests)]
    for _module in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[_module]
    runpy.run_path(_program, run_name="__main__")

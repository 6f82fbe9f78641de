"""Agents that die at a chosen change of the disk, with or without the power.

`Power` puts a module of its own before the agent's, and so hears of each call by which the agent changes what is on the
disk: these are its *moments*. At the chosen one the process dies: by `kill -9`, or as when the power goes, which also
takes the content of each file back to what was synced of it (fsync(2), syncfs(2)). Names stay as they are: ext4, XFS
and Btrfs put them on the disk in their order, so that what a loss of names leaves is what an earlier moment leaves. But
what has been answered must not be lost, so `unsynced` tells of names and contents that were on no disk at an answer. Or
the call fails, as where a disk is full.
"""

from __future__ import annotations

import marshal
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest

from envfab.remote import agent_sources

SHIM = r'''
import errno, os, signal, stat, sys, threading
try:
    import builtins
except ImportError:
    import __builtin__ as builtins
NEW = ("link", "symlink", "rename", "mkdir")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
own = dict((name, getattr(os, name)) for name in NEW + ("open", "unlink", "rmdir", "fsync", "write"))
own_open = builtins.open
log = own["open"](LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
state = {"operation": "probe"}
moments = {}
# many files are synced at once
counting = threading.Lock()
# inode -> [a descriptor of the file, its size as synced]; folder -> the names that are not synced
files, folders = {}, {}

def note(*words):
    own["write"](log, ("\t".join(words) + "\n").encode("utf-8", "replace"))

def moment(function, path):
    """A call that changes the disk is about to be made."""
    if sys.prefix != PREFIX:
        return
    with counting:
        number = moments[state["operation"]] = moments.get(state["operation"], 0) + 1
    note("moment", state["operation"], str(number), function, str(path))
    if (state["operation"], number) != MOMENT:
        return
    if FAULT == "full":
        raise EnvironmentError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    if FAULT == "power":
        for descriptor, synced in files.values():
            if os.fstat(descriptor).st_size > synced:
                os.ftruncate(descriptor, synced)
    os.kill(os.getpid(), signal.SIGKILL)

def key(descriptor):
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino

def writes(descriptor, path, synced):
    if stat.S_ISREG(os.fstat(descriptor).st_mode) and key(descriptor) not in files:
        again = own["open"]("/proc/self/fd/%d" % descriptor, os.O_RDWR)
        files[key(descriptor)] = [again, synced]

def size(path):
    try:
        return os.stat(path).st_size
    except EnvironmentError:
        return 0

def named(path):
    if isinstance(path, str) and path.startswith(PREFIX):
        folders.setdefault(os.path.realpath(os.path.dirname(path)), set()).add(os.path.basename(path))

def changing(function):
    def changed(*arguments, **options):
        path = arguments[-1] if function in ("link", "symlink", "rename") else arguments[0]
        there = "dir_fd" in options or os.path.lexists(path)
        if there if function in ("unlink", "rmdir") else function != "mkdir" or not there:
            moment(function, path)
        result = own[function](*arguments, **options)
        if function in NEW and "dir_fd" not in options:
            named(path)
        return result
    return changed

def opening(path, flags, *arguments, **options):
    if not flags & WRITES:
        return own["open"](path, flags, *arguments, **options)
    moment("open", path)
    synced = 0 if flags & os.O_TRUNC else size(path)
    if not os.path.lexists(path):
        named(path)
    descriptor = own["open"](path, flags, *arguments, **options)
    writes(descriptor, path, synced)
    return descriptor

def opening_file(path, mode="r", *arguments, **options):
    if isinstance(path, int) or mode[:1] not in "wa":
        return own_open(path, mode, *arguments, **options)
    moment("open", path)
    synced = 0 if mode[:1] == "w" else size(path)
    if not os.path.lexists(path):
        named(path)
    stream = own_open(path, mode, *arguments, **options)
    writes(stream.fileno(), path, synced)
    return stream

def syncing(descriptor):
    moment("fsync", os.readlink("/proc/self/fd/%d" % descriptor))
    result = own["fsync"](descriptor)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        folders.pop(os.readlink("/proc/self/fd/%d" % descriptor), None)
    elif key(descriptor) in files:
        files[key(descriptor)][1] = os.fstat(descriptor).st_size
    return result

def synced_all():
    for known in files.values():
        known[1] = os.fstat(known[0]).st_size
    folders.clear()

def counts(place):
    """Whether it matters that it is on the disk: not who holds the lock, nor what is about to be removed."""
    return place.startswith(PREFIX) and os.path.basename(place) != "lock" and "/.condemned-" not in place

def answer():
    """What was done is told: it must be on the disk, but for what is gone again."""
    for descriptor, synced in files.values():
        place = os.readlink("/proc/self/fd/%d" % descriptor)
        if os.fstat(descriptor).st_size > synced and os.path.lexists(place) and counts(place):
            note("unsynced", state["operation"], place)
    for folder, names in folders.items():
        for name in names:
            place = os.path.join(folder, name)
            if os.path.lexists(place) and counts(place):
                note("unsynced", state["operation"], place)

for name in own:
    if name in NEW + ("unlink", "rmdir"):
        setattr(os, name, changing(name))
os.remove = os.unlink
if hasattr(os, "replace"):
    os.replace = os.rename
os.open, os.fsync, builtins.open = opening, syncing, opening_file
'''
# what the agent's own modules tell it
MORE = {
    "protocol": """
from . import power
_loads, _send = loads, Agent.send
def loads(text):
    request = _loads(text)
    power.state["operation"] = request["op"]
    return request
def send(self, frame):
    if "ok" in frame:
        power.answer()
    return _send(self, frame)
Agent.send = send
""",
    "wheel_cache": """
from . import power
_sync_file_system = sync_file_system
def sync_file_system(path):
    done = _sync_file_system(path)
    if done:
        power.synced_all()
    return done
""",
    "atomic_swap": """
from . import power
_renamed_by_kernel = renamed_by_kernel
def renamed_by_kernel(one, other):
    power.moment("exchange", other)
    done = _renamed_by_kernel(one, other)
    if done:
        power.named(one)
        power.named(other)
    return done
""",
}


# files of one folder, and what is called after a process
ONE_KIND = re.compile(r"(?<=/site-packages/).*|(?<=/bin/).*|(?<=/store/).*|(?<=/wheels/).*|\d{3,}")


@dataclass(frozen=True, slots=True)
class Moment:
    """A call that changes the disk: the `number`-th of an operation of the agent's, the function, and the path."""

    operation: str
    number: int
    function: str
    path: str

    @property
    def kind(self) -> tuple[str, str, str]:
        """What moments have in common that need not be tried one by one."""
        return self.operation, self.function, ONE_KIND.sub("*", self.path)


@dataclass(frozen=True, slots=True)
class Power:
    """Agents of the virtualenv at `path` tell their moments in the file `log`, and may die at one of them."""

    patch: pytest.MonkeyPatch
    path: Path
    log: Path

    def watch(self, moment: Moment | None = None, fault: str = "") -> None:
        """From now on agents tell their moments; at the given one `fault` happens: kill, power or full."""
        self.log.write_text("")
        when = (moment.operation, moment.number) if moment else None
        given = {"LOG": str(self.log), "PREFIX": str(self.path), "MOMENT": when, "FAULT": fault}
        shim = "".join(f"{name} = {value!r}\n" for name, value in given.items()) + SHIM
        own = resources.files("envfab.agent")

        def modules(*names: str) -> bytes:
            sources = [
                (name, shim if name == "power" else (own / f"{name}.py").read_text() + MORE.get(name, ""))
                for name in names
            ]
            return zlib.compress(marshal.dumps([(name, text.encode()) for name, text in sources], 2), 1)

        self.patch.setattr(agent_sources, "KERNEL", ("power", "json_codec", "protocol"))
        self.patch.setattr(agent_sources, "modules", modules)
        self.patch.setattr(agent_sources, "compiled_modules", modules)

    def leave(self) -> None:
        """From now on agents are as ever."""
        self.patch.undo()

    @property
    def moments(self) -> list[Moment]:
        """What agents told."""
        lines = [line.split("\t") for line in self.log.read_text().splitlines()]
        told = [line[1:] for line in lines if line[0] == "moment"]
        return [Moment(operation, int(number), function, path) for operation, number, function, path in told]

    @property
    def unsynced(self) -> list[tuple[str, str]]:
        """(operation, path) of what was on no disk when the operation was answered."""
        lines = [line.split("\t") for line in self.log.read_text().splitlines()]
        return [(line[1], line[2]) for line in lines if line[0] == "unsynced"]


def some_of(moments: Sequence[Moment], most: int) -> list[Moment]:
    """Of each kind of moment the first and the last one, in their order; of these so many at most, all over."""
    firsts = {moment.kind: moment for moment in reversed(moments)}
    lasts = {moment.kind: moment for moment in moments}
    chosen = {*firsts.values(), *lasts.values()}
    ordered = [moment for moment in moments if moment in chosen]
    step = max(1.0, len(ordered) / most)
    return [ordered[int(number * step)] for number in range(min(most, len(ordered)))]

"""Processes of a virtualenv that still run the generation before its current one.

As far as /proc tells: not on systems without it, and not of processes that are hidden from this user.
"""

from __future__ import absolute_import

import os
import time

from .files import MEMORY
from .layout import CURRENT
from .protocol import text

MOST = 50
# bytes of a list of what a process has mapped
MOST_MAPPED = 1 << 22
# what an agent's own command line has
OURS = b"exec(zlib.decompress("
# the kernel counts starts in hundredths of a second
GRAIN = 0.02


def lingering(path, pinned):
    """[{"pid", "started", "name"}, …] of those that run what was current before; `started` is in ticks since boot.

    One does that started before the last switch, unless its program is of what is current now; and with `pinned` (what
    was current before is) those that it forked do: they import from where it does.
    """
    try:
        switched = os.lstat(os.path.join(path, CURRENT)).st_mtime - GRAIN
        boot_time()
    except (EnvironmentError, ValueError):
        return []
    # some start it by another name, where a link leads to it
    prefixes = tuple(encoded(os.path.join(name, "")) for name in (path, os.path.realpath(path)))
    there, old = {}, set()
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        command = read_bytes(os.path.join("/proc", pid, "cmdline")).split(b"\0")
        if OURS in b" ".join(command):
            continue
        of_before = runs_before(path, pid)
        if of_before is None and not any(part.startswith(prefixes) for part in command[:2]):
            continue
        found = described(pid)
        if found is not None and of_before is not False:
            there[pid] = found + (command,)
            # what a younger one has mapped of before it has from its parent
            if (of_before and pinned) or started_at(found[1]) < switched:
                old.add(pid)
    more = old if pinned else ()
    while more:
        more = set(
            pid for pid in there if pid not in old and there[pid][2] in old and there[pid][3] == there[there[pid][2]][3]
        )
        old |= more
    found = sorted(old, key=int)[:MOST]
    return [{"pid": int(pid), "started": there[pid][1], "name": there[pid][0]} for pid in found]


def runs_before(path, pid):
    """Whether a process has mapped files of a generation that is not current, or its program is one of the current.

    None where neither is so. What an old process imports lately is of the current generation, and tells nothing.
    """
    memory = encoded(os.path.join(os.path.realpath(path), MEMORY, ""))
    now = encoded(os.path.join(os.path.realpath(os.path.join(path, CURRENT)), ""))
    for line in read_bytes(os.path.join("/proc", pid, "maps"), MOST_MAPPED).splitlines():
        file = b"/" + line.partition(b"/")[2]
        if file.startswith(memory) and not file.startswith(now):
            return True
    try:
        program = encoded(os.readlink(os.path.join("/proc", pid, "exe")))
    except EnvironmentError:
        return None
    return False if program.startswith(now) else None


def still_there(path, said):
    """Those of the processes that a record tells of (as `lingering` does) which still run, and run that still."""
    found = []
    for one in said[:MOST] if isinstance(said, list) else []:
        pid = one.get("pid") if isinstance(one, dict) else None
        now = described(str(pid)) if isinstance(pid, int) else None
        if now is not None and now[1] == one.get("started") and runs_before(path, str(pid)) is not False:
            found.append({"pid": pid, "started": now[1], "name": now[0]})
    return found


def described(pid):
    """(name, start in ticks since boot, parent) of a process; None where it is gone, or has ended and awaits its parent."""
    data = read_bytes(os.path.join("/proc", pid, "stat"))
    name, _, rest = data.partition(b"(")[2].rpartition(b")")
    fields = rest.split()
    if len(fields) < 20 or fields[0] == b"Z":
        return None
    return text(name), int(fields[19]), fields[1].decode("ascii")


def started_at(ticks):
    """When a process was started, in seconds since 1970; `ticks` is that since boot."""
    return boot_time() + ticks / float(os.sysconf("SC_CLK_TCK"))


def boot_time():
    """When this machine was started, in seconds since 1970; raises ValueError where nothing tells."""
    for word in read_bytes("/proc/uptime").split():
        return time.time() - float(word)
    raise ValueError("no boot time")


def read_bytes(file, limit=1 << 16):
    """What a file of /proc has; nothing where it cannot be read."""
    try:
        with open(file, "rb") as stream:
            return stream.read(limit)
    except EnvironmentError:
        return b""


def encoded(path):
    """A path as bytes."""
    return path if isinstance(path, bytes) else os.fsencode(path)

"""Processes of a virtualenv that still run an older generation than the current one.

They are found in /proc: not on systems without it, and not if they are hidden from this user.
"""

from __future__ import absolute_import

import os
import time

from .files import MEMORY
from .layout import CURRENT
from .protocol import text

MOST = 50
# bytes of the list of a process's mappings
MOST_MAPPED = 1 << 22
# part of an agent's own command line
OURS = b"exec(zlib.decompress("
# seconds; the kernel counts start times in hundredths of a second
GRAIN = 0.02


def lingering(path, pinned):
    """Find the processes that run an older generation: [{"pid", "started" (in ticks since boot), "name"}, …].

    These are the processes that started before the last switch, unless their program is of the current generation. If
    the older generation is `pinned`, so are processes that they forked, which import from the same generation.
    """
    try:
        switched = os.lstat(os.path.join(path, CURRENT)).st_mtime - GRAIN
        boot_time()
    except (EnvironmentError, ValueError):
        return []
    # a process may have been started by another path, through a link
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
            # a process that started later inherited its mappings of an older generation from its parent
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
    """Return True if a process maps files of an older generation, False if its program is of the current one, else None.

    Mapped files of the current generation say nothing: an old process may have imported them after the switch.
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
    """Return the processes in a record (as of `lingering`) that still exist and still run an older generation."""
    found = []
    for one in said[:MOST] if isinstance(said, list) else []:
        pid = one.get("pid") if isinstance(one, dict) else None
        now = described(str(pid)) if isinstance(pid, int) else None
        if now is not None and now[1] == one.get("started") and runs_before(path, str(pid)) is not False:
            found.append({"pid": pid, "started": now[1], "name": now[0]})
    return found


def described(pid):
    """Return (name, start in ticks since boot, parent's pid) of a process; None if it is gone or a zombie."""
    data = read_bytes(os.path.join("/proc", pid, "stat"))
    name, _, rest = data.partition(b"(")[2].rpartition(b")")
    fields = rest.split()
    if len(fields) < 20 or fields[0] == b"Z":
        return None
    return text(name), int(fields[19]), fields[1].decode("ascii")


def started_at(ticks):
    """Return the time at which a process started, in seconds since 1970; `ticks` is its start since boot."""
    return boot_time() + ticks / float(os.sysconf("SC_CLK_TCK"))


def boot_time():
    """Return the time of the last boot, in seconds since 1970; raise ValueError if it is not known."""
    for word in read_bytes("/proc/uptime").split():
        return time.time() - float(word)
    raise ValueError("no boot time")


def read_bytes(file, limit=1 << 16):
    """Read a file in /proc, at most `limit` bytes; return no bytes if it cannot be read."""
    try:
        with open(file, "rb") as stream:
            return stream.read(limit)
    except EnvironmentError:
        return b""


def encoded(path):
    """Return a path as bytes."""
    return path if isinstance(path, bytes) else os.fsencode(path)

"""What a virtualenv remembers: the deployment under way, those that ended, and the wheels to go back to.

`.envfab/journal.json` is there while a deployment is; `.envfab/history.jsonl` has a line for each that ended;
`.envfab/wheels/` holds links to wheels that the last deployments replaced or brought.
"""

from __future__ import absolute_import

import errno
import os
import shutil

from . import wheel_cache
from .json_codec import dumps
from .metadata import parsed
from .files import open_own, own_folder, read
from .protocol import native, text
from .probe import site_folders

# a record of a large virtualenv takes some hundred kilobytes
TAIL = 1 << 20
# what is told of a history; each of hundreds of deployments has its line in that
HISTORY = 8 << 20
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def paths(agent):
    """(journal, history, folder of kept wheels) of the agent's virtualenv."""
    folder = os.path.join(agent.path, ".envfab")
    return tuple(os.path.join(folder, name) for name in ("journal.json", "history.jsonl", "wheels"))


def begin(agent, request, body):
    """Open the journal with `record`; an interrupted deployment's record (`interrupted`) ends in the history first.

    A history that cannot be written is found out now, while nothing is changed yet. The last `limit` records of it
    are the reply.
    """
    os.close(open_own(agent.path, "history.jsonl", APPEND))
    if request.get("interrupted"):
        append(agent, request["interrupted"])
    step(agent, request, body)
    return history(agent, request, body)


def step(agent, request, body):
    """Write the journal anew: whole, or as it was before, never in between."""
    journal = paths(agent)[0]
    temporary = journal + ".new"
    wheel_cache.discard(temporary)
    with os.fdopen(open_own(agent.path, "journal.json.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as stream:
        stream.write(dumps(request["record"]).encode("utf-8"))
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(temporary, journal)
    wheel_cache.sync(os.path.dirname(journal))
    return {}


def close(agent, request, body):
    """End the deployment: its record into the history, its wheels kept, the journal gone."""
    journal, _, folder = paths(agent)
    keep(agent, folder, request["wheels"], request["retain"])
    append(agent, request["record"])
    if os.path.exists(journal):
        os.unlink(journal)
        wheel_cache.sync(os.path.dirname(journal))
    return {}


def append(agent, record):
    """A line for the history, unless its last line has that deployment already (killed before the journal went)."""
    lines = tail(agent.path, TAIL)
    last = parse(lines[-1]) if lines else None
    if last and last.get("deployment") == record["deployment"] and last.get("ended"):
        return
    descriptor = open_own(agent.path, "history.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT)
    # not by `lines`: what was written last may be longer than the tail
    torn = False
    if os.fstat(descriptor).st_size:
        os.lseek(descriptor, -1, os.SEEK_END)
        torn = os.read(descriptor, 1) != b"\n"
    with os.fdopen(descriptor, "ab") as stream:
        stream.write((b"\n" if torn else b"") + dumps(record).encode("utf-8") + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def history(agent, request, body):
    """The last `limit` records, oldest first; lines that are none are passed over: `{"records": […]}`."""
    agent.path = native(request["path"])
    records = [parse(line) for line in tail(agent.path, HISTORY)]
    return {"records": [record for record in records if record][-request["limit"] :]}


def keep(agent, folder, wheels, retain):
    """Link the cached wheels `wheels` into `folder`; of those that are there only the names `retain` stay.

    One that is there and damaged, by a copy that was cut off, say, is replaced.
    """
    own_folder(agent.path, os.path.basename(folder))
    source = wheel_cache.folder(agent.path)
    for wheel in wheels:
        place = os.path.join(folder, native(kept_name(wheel)))
        cached = os.path.join(source, native(wheel["sha256"]))
        if os.path.exists(cached) and not wheel_cache.is_whole(place, wheel["sha256"]):
            # not inside: whatever lies there is taken for a wheel
            wheel_cache.link_or_copy(cached, place, draft=folder + ".new")
    wanted = set(native(name) for name in retain)
    for name in os.listdir(folder):
        full = os.path.join(folder, name)
        # a folder is none of ours
        if name not in wanted and not (os.path.isdir(full) and not os.path.islink(full)):
            os.unlink(full)


def kept_name(wheel):
    """How a kept wheel is called: its digest, then its file name."""
    return "%s.%s" % (wheel["sha256"], wheel["filename"])


def offer(agent, request, body):
    """Put the kept wheels `names` back into the cache, where it lacks them or has them damaged."""
    folder, place = paths(agent)[2], wheel_cache.folder(agent.path)
    for name in request["names"]:
        digest = native(name).partition(".")[0]
        kept, cached = os.path.join(folder, native(name)), os.path.join(place, digest)
        if not wheel_cache.is_whole(cached, digest) and wheel_cache.is_whole(kept, digest):
            wheel_cache.link_or_copy(kept, cached)
    return {}


def clear(agent, request, body):
    """Take away what pip stumbles over: its own `~` folders among `leftovers`, and of the projects `names`
    (canonical) a dist-info without RECORD, which pip cannot uninstall, and all but the last where there are several.
    """
    leftovers = set(native(name) for name in request["leftovers"])
    names = set(request["names"])
    removed = []
    for folder in site_folders(agent.path)[0]:
        seen = set()
        for name in sorted(os.listdir(folder), reverse=True):
            full = os.path.join(folder, name)
            project = canonical(name.split("-")[0]) if name.endswith(".dist-info") else None
            if project in names:
                unwanted = project in seen or not os.path.exists(os.path.join(full, "RECORD"))
                seen.add(project)
            else:
                unwanted = name in leftovers and name.startswith("~")
            if unwanted:
                if os.path.isdir(full) and not os.path.islink(full):
                    shutil.rmtree(full)
                else:
                    os.unlink(full)
                removed.append(text(name))
    return {"removed": removed}


def canonical(name):
    """A project's name as PEP 503 compares it."""
    import re

    return re.sub("[-_.]+", "-", text(name)).lower()


def tail(path, size):
    """The last lines of the history with their ends, no more than `size` bytes; none where there is no history."""
    try:
        descriptor = open_own(path, "history.jsonl", os.O_RDONLY)
    except EnvironmentError as error:
        if error.errno != errno.ENOENT:
            raise
        return []
    try:
        start = max(0, os.fstat(descriptor).st_size - size)
        os.lseek(descriptor, start, os.SEEK_SET)
        lines = read(descriptor, size).splitlines(True)
    finally:
        os.close(descriptor)
    return lines[1:] if start else lines


def parse(line):
    """A line of the history; None where it is torn."""
    record = parsed(line)
    return record if isinstance(record, dict) else None


OPERATIONS = {
    "begin": begin,
    "step": step,
    "close": close,
    "history": history,
    "offer": offer,
    "clear": clear,
}

"""What a virtualenv remembers: the deployment under way, and those that ended.

`.envfab/journal.json` is there while a deployment is; `.envfab/history.jsonl` has a line for each that ended.
"""

from __future__ import absolute_import

import errno
import os

from . import wheel_cache
from .json_codec import dumps
from .metadata import parsed
from .files import MEMORY, open_own, read
from .protocol import native

# a record of a large virtualenv takes some hundred kilobytes
TAIL = 1 << 20
# what is told of a history; each of hundreds of deployments has its line in that
HISTORY = 8 << 20
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


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
    journal = os.path.join(agent.path, MEMORY, "journal.json")
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
    """End the deployment: its record goes into the history, the journal goes."""
    journal = os.path.join(agent.path, MEMORY, "journal.json")
    append(agent, request["record"])
    wheel_cache.discard(journal)
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
}

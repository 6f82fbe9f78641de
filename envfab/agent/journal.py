"""A virtualenv's journal, the record of the deployment under way, and its history, those of deployments that ended.

`.envfab/journal.json` exists while a deployment is under way; `.envfab/history.jsonl` has a line for each that ended.
"""

from __future__ import absolute_import

import errno
import os

from . import wheel_cache
from .json_codec import dumps
from .metadata import parsed
from .files import MEMORY, open_own, read
from .protocol import native

# bytes; the record of a large virtualenv takes some hundred kilobytes
TAIL = 1 << 20
# bytes of a history that are read; they hold the records of hundreds of deployments
HISTORY = 8 << 20
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def begin(agent, request, body):
    """Open the journal with `record`, after adding an interrupted deployment's record (`interrupted`) to the history.

    Fails if the history cannot be written, while nothing is changed yet. The reply has its last `limit` records.
    """
    os.close(open_own(agent.path, "history.jsonl", APPEND))
    if request.get("interrupted"):
        append(agent, request["interrupted"])
    step(agent, request, body)
    return history(agent, request, body)


def step(agent, request, body):
    """Replace the journal atomically."""
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
    """End the deployment: add its record to the history and remove the journal."""
    journal = os.path.join(agent.path, MEMORY, "journal.json")
    append(agent, request["record"])
    wheel_cache.discard(journal)
    wheel_cache.sync(os.path.dirname(journal))
    return {}


def append(agent, record):
    """Add a line to the history, unless its last line is of that deployment (killed before it removed the journal)."""
    lines = tail(agent.path, TAIL)
    last = parse(lines[-1]) if lines else None
    if last and last.get("deployment") == record["deployment"] and last.get("ended"):
        return
    descriptor = open_own(agent.path, "history.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT)
    # not from `lines`: the last line may be longer than the tail
    torn = False
    if os.fstat(descriptor).st_size:
        os.lseek(descriptor, -1, os.SEEK_END)
        torn = os.read(descriptor, 1) != b"\n"
    with os.fdopen(descriptor, "ab") as stream:
        stream.write((b"\n" if torn else b"") + dumps(record).encode("utf-8") + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def history(agent, request, body):
    """The last `limit` records, oldest first, without invalid lines: `{"records": […]}`."""
    agent.path = native(request["path"])
    records = [parse(line) for line in tail(agent.path, HISTORY)]
    return {"records": [record for record in records if record][-request["limit"] :]}


def tail(path, size):
    """The last whole lines of the history, with line breaks, at most `size` bytes; none if there is no history."""
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
    """The record in a line of the history; None if the line is incomplete."""
    record = parsed(line)
    return record if isinstance(record, dict) else None


OPERATIONS = {
    "begin": begin,
    "step": step,
    "close": close,
    "history": history,
}

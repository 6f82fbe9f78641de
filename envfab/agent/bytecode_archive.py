"""The archive of a wheel's bytecode for one kind of interpreter, which is sent to hosts.

It is a line of JSON with `[key, path, size]` of each file, followed by the files, compressed by zlib.
"""

from __future__ import absolute_import

import zlib

from .json_codec import dumps, loads
from .protocol import native

# fast rather than small: hosts wait for it
LEVEL = 1
MOST = 1 << 30


def pack(files):
    """The archive of `files`, ((key, path), data) each."""
    files = list(files)
    head = dumps([[key, path, len(data)] for (key, path), data in files]).encode("utf-8")
    return zlib.compress(b"".join([head, b"\n"] + [data for _, data in files]), LEVEL)


def unpacked(data):
    """The files of an archive, (key, path) → data; raises ValueError for anything that `pack` did not write."""
    try:
        reading = zlib.decompressobj()
        whole = reading.decompress(data, MOST)
    except zlib.error as error:
        raise ValueError(str(error))
    head, _, content = whole.partition(b"\n")
    found, start = {}, 0
    for key, path, size in loads(head.decode("utf-8")):
        found[key, path] = content[start : start + size]
        start += size
    if start != len(content):
        raise ValueError("%d bytes are missing" % (start - len(content)))
    return found


def packed_tree(folder, said, content):
    """The archive of the bytecode in a tree: `said` is the content of `tree.json`, `content` reads a file."""
    import os

    rows = [(row[0], row[1]) for row in said["compiled"]]
    return pack((row, content(os.path.join(folder, native(row[0]), native(row[1])))) for row in rows)

"""Bytecode that travels: of one wheel and one kind of interpreter, packed where it was compiled.

A line of JSON with `[key, path, size]` of each file, then the files, all of it deflated.
"""

from __future__ import absolute_import

import zlib

from .json_codec import dumps, loads
from .protocol import native

# the packing is done once, the hosts are many: but it is waited for
LEVEL = 1
MOST = 1 << 30


def pack(files):
    """The bytes of `files`, ((key, path), data) each."""
    files = list(files)
    head = dumps([[key, path, len(data)] for (key, path), data in files]).encode("utf-8")
    return zlib.compress(b"".join([head, b"\n"] + [data for _, data in files]), LEVEL)


def unpacked(data):
    """(key, path) → data; raises ValueError for what `pack` did not write."""
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
    """The bytecode that was made for a tree: `said` is its list, `content` reads a file."""
    import os

    rows = [(row[0], row[1]) for row in said["compiled"]]
    return pack((row, content(os.path.join(folder, native(row[0]), native(row[1])))) for row in rows)

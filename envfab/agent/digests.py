"""Digests of contents: of files as RECORD has them, of a distribution, and of a whole generation.

A generation's digest is the same on every host on which the same packages are installed, whatever installed them: what
an installer notes of itself, bytecode, and what a script says of its interpreter are left out.
"""

from __future__ import absolute_import

import base64
import hashlib
import os
import re

from .ownership import canonical
from .pin import PINNED
from .protocol import SURROGATES

# files of a `.dist-info` that tell how it was installed, and not what
NOTES = tuple(
    ".dist-info/" + name for name in ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", "uv_build.json")
)
# what makes a virtualenv puts these into it, beside links to interpreters
OF_VIRTUALENV = ("python", "pypy", "activate", "Activate", "deactivate", "pydoc.bat")
OF_SITE = ("_virtualenv.py", "_virtualenv.pth", PINNED)
IMPORT, CALL = re.compile(r"from [\w.]+ import \w+$", re.UNICODE), re.compile(r"sys\.exit\([\w.]+\(\)\)$", re.UNICODE)
# what the scripts of pip, of uv and of envfab for entry points have beside that, in all their versions
USUAL = frozenset(
    """\
import re
import sys
if __name__ == '__main__':
sys.argv[0] = sys.argv[0].removesuffix('.exe')
sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
sys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])
if sys.argv[0].endswith('.exe'):
if sys.argv[0].endswith('-script.pyw'):
elif sys.argv[0].endswith('.exe'):
sys.argv[0] = sys.argv[0][:-4]
sys.argv[0] = sys.argv[0][:-11]
""".splitlines()
)
PIECE = 1 << 16
COOKIE = b"# -*- coding: utf-8 -*-"
SH_LINES = (b"'''exec'", b"' '''")


def hash_of(full, recorded=""):
    """Return the hash of a file's content as RECORD has it: by the algorithm of `recorded`, else SHA-256."""
    algorithm = recorded.partition("=")[0]
    if algorithm not in hashlib.algorithms_available:
        algorithm = "sha256"
    return in_record(content(full), str(algorithm))


def digest(algorithm, data):
    """Return a hash in the format of RECORD: urlsafe base64 without padding (PEP 376, PEP 427)."""
    seen = hashlib.sha256(data) if algorithm == "sha256" else hashlib.new(algorithm, data)
    return base64.urlsafe_b64encode(seen.digest()).decode("ascii").rstrip("=")


def content(path):
    """Return all bytes of a file; for thousands of small files, making file objects takes longer than reading.

    A pipe in its place is not waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        pieces = [os.read(descriptor, PIECE)]
        while len(pieces[-1]) == PIECE:
            pieces.append(os.read(descriptor, PIECE))
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def in_record(data, algorithm="sha256"):
    """Return the hash of bytes as RECORD has it."""
    return "%s=%s" % (algorithm, digest(algorithm, data))


def script_hash(full):
    """Return the hash of a script without its interpreter; scripts for the same entry point have the same."""
    data = content(full)
    if not data.startswith(b"#!"):
        return in_record(data)
    first, _, rest = data.partition(b"\n")
    lines = rest.split(b"\n")
    if first == b"#!/bin/sh":
        # the path is too long or has a space: lines for sh, which Python takes for a string
        lines = [line for line in lines if not line.startswith(SH_LINES)]
    if lines[0] == COOKIE:
        # envfab and pip add it for Python 2.7, with the lines for sh
        del lines[0]
    return in_record(entry_point(lines) or b"\n".join(lines))


def entry_point(lines):
    """Return what a script imports and calls, if it only does that for an entry point; else None."""
    told = [line.decode("utf-8", "replace").strip().replace('"', "'") for line in lines]
    told = [line for line in told if line and line not in USUAL and not (line.startswith("#") and "coding" in line)]
    if len(told) == 2 and IMPORT.match(told[0]) and CALL.match(told[1]):
        return "\n".join(told).encode("utf-8")
    return None


def part_digest(part, scripts):
    """Return the digest of a part of an inventory (see `inventory.inventory_of`); `scripts` is the folder of scripts."""
    own, rows = part["scripts"], zip(part["paths"], part["stats"], part["hashes"])
    if part["name"] is None:
        rows = [row for row in rows if not is_of_virtualenv(row[0], row[1], scripts)]
    return sha256_of([path + " " + (own.get(path) or recorded or stat) for path, stat, recorded in rows if not path.endswith(NOTES)])


def is_of_virtualenv(path, stat, scripts):
    """Return whether a file of no distribution belongs to the virtualenv itself, and so may differ between hosts."""
    folder, _, name = path.rpartition("/")
    return (name.startswith(OF_VIRTUALENV) or stat.startswith("link ")) if folder == scripts else name in OF_SITE


def generation_digest(parts):
    """Return the digest of a generation from those of its parts, in hex."""
    named = [(canonical(part["name"] or ""), part["version"] or "", part["digest"]) for part in parts]
    return sha256_of("%s %s %s" % one for one in named)


def sha256_of(lines):
    """Return the SHA-256 of lines in any order, in hex."""
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", *SURROGATES)).hexdigest()

"""Facts about the deployment that made a generation: which it was, when, and the digest of all that it left.

    .envfab/generations/7/.envfab-deployed.json
"""

from __future__ import absolute_import

import os

from .files import remembered
from .layout import BESIDE, DEPLOYED
from .metadata import parsed

FORMAT = 1
DIGITS = frozenset("0123456789abcdef")
# bytes; an inventory takes about 200 for each file
MOST = 64 << 20


def facts_of(path, number):
    """Return the facts of a generation; None if there are none. Of a newer format, only the format counts.

    {"format", "generation", "deployment", "when", "digest", "data": {path of a data file: hash as in RECORD}}
    """
    found = number is not None and read_json(path, number, DEPLOYED)
    if not found or not isinstance(found.get("format"), int) or found.get("generation") != number:
        return None
    if found["format"] <= FORMAT and not is_digest(found.get("digest")):
        return None
    data = found.get("data")
    # the virtualenv's owner can write anything there
    found["data"] = dict((path, data[path]) for path in data if is_text(data[path])) if isinstance(data, dict) else {}
    return found


def is_text(value):
    """Return whether a JSON value is a text."""
    return isinstance(value, type(u""))


def is_digest(value):
    """Return whether a JSON value may be a SHA-256 in hex."""
    return is_text(value) and len(value) == 64 and DIGITS.issuperset(value)


def read_json(path, number, name):
    """Return the JSON object in a file of a generation, or None; raises `Problem` for a link or another user's file."""
    found = parsed(remembered(path, os.path.join(BESIDE, str(number), name), MOST))
    return found if isinstance(found, dict) else None

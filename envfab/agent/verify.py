"""What a generation is before it becomes current: files as RECORD says, an interpreter that starts, distributions."""

from __future__ import absolute_import

import base64
import binascii
import hashlib
import os

from .files import is_as_noted
from .layout import Layout
from .metadata import dist_info, scan
from .ownership import canonical, rows
from .probe import sorted_folders
from .protocol import Problem, native, text
from .subprocesses import base_environment, call, ending

PIECE = 1 << 16
MOST_PROBLEMS = 10
# what Python does not read, for as long as another file is tried
ASIDE = ".aside"
# what an interpreter prints of its import path, behind whatever else starts with it
WORD = "ENVFAB-PATH "
SHOW_PATH = (
    "import sys,os,binascii;e=getattr(os,'fsencode',lambda p:p);"
    "os.write(1,b'\\n%s'+binascii.hexlify(b'\\0'.join(map(e,sys.path)))+b'\\n')" % WORD
)
# seconds for an interpreter that does nothing
START_LIMIT = 60


def verify(agent, request, body):
    """Compare the files of the distributions `names` (canonical) with their RECORD: `{"wrong": {name: [sentence]}}`.

    Of the generation `number`, or of what is current where that is None. Links that `compose` made to files of the store
    need no reading: these were compared with RECORD when they were written, and with their size and time since.
    """
    layout = Layout(native(request["path"]))
    root = layout.path if request["number"] is None else layout.root(request["number"])
    wrong = {}
    for site in layout.site:
        folder = os.path.join(root, site)
        placed = dict(rows_in(site, agent.placed)) if request["number"] is not None else {}
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if not name.endswith(".dist-info") or not may_be_one_of(name, request["names"]):
                continue
            entry = dist_info(os.path.join(folder, name))
            if (
                entry
                and entry["recorded"]
                and entry["origin"] == "wheel"
                and canonical(entry["name"]) in request["names"]
            ):
                problems = record_problems(os.path.join(folder, name), placed)
                if problems:
                    wrong[entry["name"]] = problems
    return {"wrong": wrong}


def may_be_one_of(folder, names):
    """Whether a folder may be the dist-info of a project among `names`: what is inside says for sure."""
    began = canonical(folder) + "-"
    return any(began.startswith(name + "-") for name in names)


def rows_in(site, placed):
    """(path as RECORD has it, (size, time)) of what lies in a folder of packages, of `placed`."""
    below = os.path.join(site, "")
    for path, (_, size, time) in placed.items():
        if time is not None and path.startswith(below):
            yield path[len(below) :], (size, time)


def record_problems(folder, placed):
    """What of a distribution's files is not as its RECORD says, at most ten of them.

    Those in `placed` (path as RECORD has it → (size, time)) are not read while they are of that size and time.
    """
    root = os.path.dirname(folder)
    below = os.path.join(root, "")
    problems = []
    if not os.path.isfile(os.path.join(folder, "RECORD")):
        return ["RECORD is missing"]
    for row in rows(os.path.join(folder, "RECORD")):
        # a .pyc is derived from the source: whoever compiles at installation writes another one
        if len(row) < 3 or not row[1] or row[0].endswith(".pyc"):
            continue
        path = native(row[0])
        if path in placed and is_as_noted(below + path, *placed[path]):
            continue
        algorithm, _, expected = row[1].partition("=")
        if algorithm not in hashlib.algorithms_available:
            problems.append("%s: RECORD has an unknown hash" % text(row[0]))
            continue
        try:
            data = content(os.path.join(root, path))
        except EnvironmentError as error:
            problems.append("%s: %s" % (text(row[0]), error.strerror))
            continue
        if not is_recorded(data, algorithm, expected.rstrip("=")) and not is_of_another(folder, row[0], data):
            problems.append("%s differs" % text(row[0]))
        if len(problems) == MOST_PROBLEMS:
            break
    return problems


def is_of_another(folder, path, data):
    """Whether another distribution has the file, and has it so: of two for one place, one can be as its RECORD says."""
    root = os.path.dirname(folder)
    full = os.path.normpath(os.path.join(root, native(path)))
    for name in sorted(os.listdir(root)):
        record = os.path.join(root, name, "RECORD")
        if os.path.join(root, name) == folder or not name.endswith(".dist-info") or not os.path.isfile(record):
            continue
        for row in rows(record):
            algorithm, _, expected = row[1].partition("=") if len(row) > 1 else ("", "", "")
            if algorithm in hashlib.algorithms_available and os.path.normpath(os.path.join(root, native(row[0]))) == full:
                if is_recorded(data, algorithm, expected.rstrip("=")):
                    return True
    return False


def is_recorded(data, algorithm, expected):
    """Whether a file holds what RECORD has the hash of: just that, or a script for an interpreter of its own.

    pip puts the interpreter into a script's first line, and before version 22 it recorded the script as it was before.
    """
    if digest(algorithm, data) == expected:
        return True
    if not data.startswith(b"#!"):
        return False
    first, end, rest = data.partition(b"\n")
    if first == b"#!/bin/sh":
        # where the path is too long, or has a space: a line for sh, which Python takes for a text
        _, _, rest = rest.partition(b"\n")
        _, _, rest = rest.partition(b"\n")
    return any(digest(algorithm, b"#!" + name + end + rest) == expected for name in (b"python", b"pythonw"))


def digest(algorithm, data):
    """A hash as RECORD writes it: urlsafe base64 without padding."""
    seen = hashlib.sha256(data) if algorithm == "sha256" else hashlib.new(algorithm, data)
    return base64.urlsafe_b64encode(seen.digest()).decode("ascii").rstrip("=")


def content(path):
    """All bytes of a file; with thousands of small ones, making a file object of each takes longer than reading it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        pieces = [os.read(descriptor, PIECE)]
        while len(pieces[-1]) == PIECE:
            pieces.append(os.read(descriptor, PIECE))
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def inspect(agent, request, body):
    """Start the interpreter of the generation `number`, and read what it sees installed, as a probe tells it."""
    layout = Layout(agent.path)
    root = layout.root(request["number"])
    own, outside = sorted_folders(agent.path, import_path(agent, layout, root))
    found = {"own": [], "outside": [], "leftovers": [], "damaged": []}
    for folder in own:
        scan(folder, found["own"], found)
    for folder in outside:
        scan(folder, found["outside"], None)
    return found


def import_path(agent, layout, root):
    """The import path of a fresh interpreter of a generation; raises `Problem` where that does not start."""
    status, output = start(agent, layout, root, ["-c", SHOW_PATH])
    said = [line for line in output.splitlines() if line.startswith(WORD)]
    if status == 0 and said:
        return [native(one) for one in binascii.unhexlify(said[-1][len(WORD) :]).split(b"\0")]
    last = ([line.strip() for line in output.splitlines() if line.strip()] or ["it printed nothing"])[-1]
    message = "its Python would not start any more%s (it %s): %s" % (blamed(agent, layout, root), ending(status), last)
    raise Problem("interpreter", message, output=output)


def start(agent, layout, root, arguments):
    """Run the interpreter of a generation: (exit status, output)."""
    environment = base_environment(layout.path)
    environment["PATH"] = os.path.join(root, layout.scripts) + ":" + environment["PATH"]
    python = os.path.join(root, layout.scripts, "python")
    return call(agent, [python, "-E", "-s"] + arguments, environment, writes=False, limit=START_LIMIT)


def blamed(agent, layout, root):
    """Which `.pth` files end the interpreter of a generation, or keep it busy, in words."""
    files = []
    for folder in (os.path.join(root, one) for one in layout.site):
        files += [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".pth")]
    guilty = []
    for file in files:
        os.rename(file, file + ASIDE)
    if start(agent, layout, root, ["-c", ""])[0] == 0:
        for file in files:
            os.rename(file + ASIDE, file)
            if start(agent, layout, root, ["-c", ""])[0]:
                guilty.append(text(os.path.basename(file)))
                os.rename(file, file + ASIDE)
    for file in files:
        if os.path.lexists(file + ASIDE):
            os.rename(file + ASIDE, file)
    return ", since %s %s it" % (", ".join(guilty), "ends" if len(guilty) == 1 else "end") if guilty else ""


OPERATIONS = {"verify": verify, "inspect": inspect}

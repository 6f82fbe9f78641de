"""Verification of a generation before the switch: its files match RECORD, its interpreter starts, what it contains."""

from __future__ import absolute_import

import binascii
import hashlib
import os

from .digests import content, digest
from .files import is_as_noted
from .layout import Layout
from .metadata import dist_info, scan
from .ownership import canonical, rows
from .probe import sorted_folders
from .protocol import Problem, native, text
from .subprocesses import base_environment, call, ending

MOST_PROBLEMS = 10
# added to the name of a `.pth` file, so that Python ignores it while others are tried
ASIDE = ".aside"
# precedes the import path that an interpreter prints, after any output of its start-up
WORD = "ENVFAB-PATH "
SHOW_PATH = (
    "import sys,os,binascii;e=getattr(os,'fsencode',lambda p:p);"
    "os.write(1,b'\\n%s'+binascii.hexlify(b'\\0'.join(map(e,sys.path)))+b'\\n')" % WORD
)
# seconds for an interpreter to start and end
START_LIMIT = 60


def verify(agent, request, body):
    """Compare the files of the distributions `names` (canonical) with their RECORD: `{"wrong": {name: [sentence]}}`.

    In the generation `number`, or in the current one if that is None. Files that `compose` linked from the store are
    not read: they were compared with RECORD when they were unpacked, and now with their size and time.
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
    """Return whether a folder may be the dist-info of a project among `names`; only its METADATA is certain."""
    began = canonical(folder) + "-"
    return any(began.startswith(name + "-") for name in names)


def rows_in(site, placed):
    """Yield (path as in RECORD, (size, time)) of the files in `placed` that are in a folder of packages."""
    below = os.path.join(site, "")
    for path, (_, size, time) in placed.items():
        if time is not None and path.startswith(below):
            yield path[len(below) :], (size, time)


def record_problems(folder, placed):
    """Return the files of a distribution that do not match its RECORD, a sentence each, at most `MOST_PROBLEMS`.

    Files in `placed` (path as in RECORD → (size, time)) are not read if they have that size and time.
    """
    root = os.path.dirname(folder)
    below = os.path.join(root, "")
    problems = []
    if not os.path.isfile(os.path.join(folder, "RECORD")):
        return ["RECORD is missing"]
    for row in rows(os.path.join(folder, "RECORD")):
        # a .pyc is derived from its source: each installer that compiles writes its own
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
    """Return whether the file matches the RECORD of another distribution that has it as well."""
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
    """Return whether a file has the hash in RECORD, or would have it with `#!python` as the first line of a script.

    pip puts the interpreter into a script's first line; before version 22, it recorded the script without it.
    """
    if digest(algorithm, data) == expected:
        return True
    if not data.startswith(b"#!"):
        return False
    first, end, rest = data.partition(b"\n")
    if first == b"#!/bin/sh":
        # the path is too long or has a space: there are lines for sh, which Python takes for a string
        _, _, rest = rest.partition(b"\n")
        _, _, rest = rest.partition(b"\n")
    return any(digest(algorithm, b"#!" + name + end + rest) == expected for name in (b"python", b"pythonw"))


def inspect(agent, request, body):
    """Start the interpreter of the generation `number` and read the distributions on its import path, as a probe does."""
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
    """Return the import path of a new interpreter of a generation; raise `Problem` "interpreter" if it does not start."""
    status, output = start(agent, layout, root, ["-c", SHOW_PATH])
    said = path_in(status, output)
    if said is not None:
        return [native(one) for one in binascii.unhexlify(said).split(b"\0")]
    last = ([line.strip() for line in output.splitlines() if line.strip()] or ["it printed nothing"])[-1]
    message = "Python does not start in the new generation%s (it %s): %s"
    raise Problem("interpreter", message % (blamed(agent, layout, root), ending(status), last), output=output)


def path_in(status, output):
    """Return the import path that an interpreter printed, in hex; None if it did not start, or ended before that.

    A start-up file may end it with status 0.
    """
    said = [line for line in output.splitlines() if line.startswith(WORD)]
    return said[-1][len(WORD) :] if status == 0 and said else None


def starts(agent, layout, root):
    """Return whether the interpreter of a generation starts."""
    return path_in(*start(agent, layout, root, ["-c", SHOW_PATH])) is not None


def start(agent, layout, root, arguments):
    """Run the interpreter of a generation; return (exit status, output)."""
    environment = base_environment(layout.path)
    environment["PATH"] = os.path.join(root, layout.scripts) + ":" + environment["PATH"]
    python = os.path.join(root, layout.scripts, "python")
    return call(agent, [python, "-E", "-s"] + arguments, environment, writes=False, limit=START_LIMIT)


def blamed(agent, layout, root):
    """Return for the message which `.pth` files end the interpreter of a generation, or keep it from starting."""
    files = []
    for folder in (os.path.join(root, one) for one in layout.site):
        files += [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".pth")]
    guilty = []
    for file in files:
        os.rename(file, file + ASIDE)
    if starts(agent, layout, root):
        for file in files:
            os.rename(file + ASIDE, file)
            if not starts(agent, layout, root):
                guilty.append(text(os.path.basename(file)))
                os.rename(file, file + ASIDE)
    for file in files:
        if os.path.lexists(file + ASIDE):
            os.rename(file + ASIDE, file)
    return ", because of %s" % ", ".join(guilty) if guilty else ""


OPERATIONS = {"verify": verify, "inspect": inspect}

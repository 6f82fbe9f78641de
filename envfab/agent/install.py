"""Installing and removing: one call of pip with the wheels that the plan names, and a look at the result."""

from __future__ import absolute_import

import base64
import csv
import hashlib
import os
import re
import shutil
import sys

from .wheel_cache import stage
from .metadata import dist_info
from .protocol import PY2, Problem, native, text
from .probe import probe, site_folders
from .subprocesses import base_environment, call, ending

PIECE = 1 << 16
OPTIONS = ["--disable-pip-version-check", "--no-input", "--no-color"]


def install(agent, request, body):
    """Remove `remove`, then install `wheels` ({"name", "version", "filename", "sha256"}), then probe.

    In this order, for the new may bring files that the old one also has. `pip_wheel` names a pip wheel among the
    staged ones to run instead of the virtualenv's own pip.
    """
    path = native(request["path"])
    place = os.path.join(path, ".envfab", "stage")
    shutil.rmtree(place, ignore_errors=True)
    extra = [request["pip_wheel"]] if request.get("pip_wheel") else []
    staged = request["wheels"] + [wheel for wheel in extra if wheel not in request["wheels"]]
    os.umask(request["umask"])
    try:
        stage(path, staged, place)
        pip = [sys.executable, "-E", "-s"]
        pip += [os.path.join(place, native(extra[0]["filename"]), "pip")] if extra else ["-m", "pip"]
        output = ""
        if request["remove"]:
            output += run(agent, path, pip + ["uninstall", "-y"] + OPTIONS[:1] + request["remove"])
        if request["wheels"]:
            arguments = ["install", "--no-index", "--no-deps", "--upgrade", "--force-reinstall", "--no-cache-dir"]
            arguments += [] if request["compile"] else ["--no-compile"]
            arguments += [
                "--find-links",
                place,
                "--require-hashes",
                "-r",
                written_requirements(place, request["wheels"]),
            ]
            output += run(agent, path, pip + arguments + OPTIONS[:1])
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {"output": output, "probe": probe(agent, request, body)}


def written_requirements(folder, wheels):
    """A requirements file in `folder` that names just these wheels, each with its hash."""
    file = os.path.join(folder, "requirements.txt")
    with open(file, "w") as stream:
        for wheel in wheels:
            stream.write(native("%(name)s==%(version)s --hash=sha256:%(sha256)s\n" % wheel))
    return file


def canonical(name):
    """A project's name as names are compared (PEP 503)."""
    return re.sub("[-_.]+", "-", name).lower()


def run(agent, path, arguments):
    """pip's output, or a `Problem` with the end of it."""
    environment = base_environment(path)
    environment.update(
        PIP_CONFIG_FILE=os.devnull,
        PIP_NO_INPUT="1",
        PIP_NO_COLOR="1",
        PIP_ROOT_USER_ACTION="ignore",
        PYTHONNOUSERSITE="1",
    )
    status, output = call(agent, arguments, environment, writes=True)
    if status:
        raise Problem("pip", "pip %s: %s" % (ending(status), last_words(output)), output=output)
    return output


def last_words(output):
    """What pip said was wrong: its last line that says ERROR, or else (after a traceback, say) its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.partition("ERROR:")[2].strip() for line in lines if line.startswith("ERROR:")]
    if errors and errors[-1] != "Exception:":
        return errors[-1]
    return lines[-1] if lines else "it said nothing"


def verify(agent, request, body):
    """Compare the files of the distributions `names` (canonical) with their RECORD: `{"wrong": {name: [sentence]}}`."""
    wrong = {}
    for folder in site_folders(native(request["path"]))[0]:
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".dist-info") or not may_be_one_of(name, request["names"]):
                continue
            entry = dist_info(os.path.join(folder, name))
            if (
                entry
                and entry["recorded"]
                and entry["origin"] == "wheel"
                and canonical(entry["name"]) in request["names"]
            ):
                problems = record_problems(os.path.join(folder, name))
                if problems:
                    wrong[entry["name"]] = problems
    return {"wrong": wrong}


def may_be_one_of(dist_info, names):
    """Whether a folder called `dist_info` may be of a project among `names`: what is inside says for sure."""
    began = canonical(text(dist_info)) + "-"
    return any(began.startswith(name + "-") for name in names)


def record_problems(dist_info):
    """What of a distribution's files is not as its RECORD says, at most ten of them."""
    record = os.path.join(dist_info, "RECORD")
    root = os.path.dirname(dist_info)
    problems = []
    if not os.path.isfile(record):
        return ["RECORD is missing"]
    with open(record, "rb") if PY2 else open(record, encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            if len(row) < 3 or not row[1]:
                continue
            if row[0].endswith(".pyc"):
                # derived from the source: whoever compiles at installation writes another one
                continue
            algorithm, _, expected = row[1].partition("=")
            if algorithm not in hashlib.algorithms_available:
                problems.append("%s: RECORD has an unknown hash" % text(row[0]))
                continue
            try:
                data = content(os.path.join(root, row[0]))
            except EnvironmentError as error:
                problems.append("%s: %s" % (text(row[0]), error.strerror))
                continue
            if not is_recorded(data, algorithm, expected.rstrip("=")):
                problems.append("%s differs" % text(row[0]))
            if len(problems) == 10:
                break
    return problems


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


OPERATIONS = {"install": install, "verify": verify}

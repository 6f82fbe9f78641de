"""Scripts: those of entry points, with the names and texts that pip gives them, and the interpreters of scripts."""

from __future__ import absolute_import

import os
import re
import sys

from .protocol import PY2

CONSOLE, GUI = "console_scripts", "gui_scripts"
CALLABLE = re.compile(r"\w+(?:[.:]\w+)*", re.UNICODE)
COOKIE = re.compile(b"^[ \\t\\f]*#.*?coding[:=][ \\t]*([-\\w.]+)")
VERSIONED = {"pip": "pip(\\d+(\\.\\d+)?)?$", "easy_install": "easy_install(-\\d+\\.\\d+)?$"}
# bytes of a script's first line that every Linux reads, including `#!` and the line break
LONGEST = 127
NEW_TEXT = """import sys
from %(module)s import %(name)s
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(%(attribute)s())
"""
# as pip wrote it before 25.1, for interpreters whose strings have no `removesuffix`
OLD_TEXT = """# -*- coding: utf-8 -*-
import re
import sys
from %(module)s import %(name)s
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(%(attribute)s())
"""


def entry_points(data):
    """The scripts of an `entry_points.txt`, from its bytes: two lists of [name, module, attribute], console and GUI.

    Read as `importlib.metadata` does: of two with the same name, the last counts. Raises ValueError, with a message for
    people, for what pip cannot install either.
    """
    groups = {CONSOLE: [], GUI: []}
    section = None
    for line in data.decode("utf-8").splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = groups.get(line.strip("[]"))
        elif line and not line.startswith("#") and section is not None:
            add(section, line)
    return as_pip_names(groups[CONSOLE]), groups[GUI]


def add(section, line):
    """Add the entry point in a line to a list, replacing one of the same name."""
    name, equals, value = (part.strip() for part in line.partition("="))
    if not equals or not is_file_name(name):
        raise ValueError("invalid name of an entry point: %s" % line)
    entry = [name] + function(value, line)
    for place, other in enumerate(section):
        if other[0] == name:
            section[place] = entry
            return
    section.append(entry)


def is_file_name(name):
    """Whether a script of that name would be in the folder of scripts, or below it."""
    return not {"", ".", ".."}.intersection(name.split("/")) and "\0" not in name


def function(value, line):
    """[module, attribute] of an entry point; extras after it are ignored."""
    match = CALLABLE.match(re.sub(r"\s*:\s*", ":", value))
    if match is None or match.group().count(":") != 1:
        raise ValueError("an entry point must name a function: %s" % line)
    return match.group().split(":")


def as_pip_names(console):
    """The console scripts; those of pip and easy_install get this interpreter's version, not that of the wheel's builder."""
    added = []
    for project, pattern in VERSIONED.items():
        found = [entry for entry in console if entry[0] == project]
        if found:
            console = [entry for entry in console if not re.match(pattern, entry[0])]
            added += [[name] + found[0][1:] for name in pip_names(project)]
    return added + console


def pip_names(project):
    """The names that pip gives its own scripts, and those of setuptools."""
    version = "%d.%d" % sys.version_info[:2]
    if project == "pip":
        return ["pip", "pip%d" % sys.version_info[0], "pip" + version]
    return ["easy_install", "easy_install-" + version]


def is_wrapper(name, scripts):
    """Whether a file among a wheel's scripts was made by setuptools for an entry point, and is generated here instead."""
    lower = name.lower()
    if lower.endswith((".exe", ".pya")):
        name = name[:-4]
    elif lower.endswith("-script.py"):
        name = name[:-10]
    return name in scripts


def script(python, module, attribute):
    """The bytes of a script that calls a function with the interpreter at the path `python`."""
    names = {"module": module, "name": attribute.partition(".")[0], "attribute": attribute}
    return first_lines(python) + ((NEW_TEXT if sys.version_info >= (3, 9) else OLD_TEXT) % names).encode("utf-8")


def with_interpreter(python, content):
    """A script that begins with `#!python`, with the interpreter at the path `python` instead, as pip does it."""
    rest = content.partition(b"\n")[2]
    second, end, after = rest.partition(b"\n")
    if COOKIE.match(second):
        lines = first_lines(python, second + b"\n")
        return lines + (rest if lines.count(b"\n") == 1 else after)
    return first_lines(python) + rest


def first_lines(python, cookie=b""):
    """The first lines of a script that is run by the interpreter at the path `python`, whose bytes are UTF-8.

    If the path is too long for Linux or has a space, these are lines for sh that Python takes for a string, after the
    line with the encoding.
    """
    path = python if PY2 else os.fsencode(python)
    if not re.search(b"[\\s]", path) and len(path) + 3 <= LONGEST:
        return b"#!" + path + b"\n"
    if PY2 and not cookie:
        cookie = b"# -*- coding: utf-8 -*-\n"
    return b"#!/bin/sh\n" + cookie + b"'''exec' " + quoted(path) + b' "$0" "$@"\n' + b"' '''\n"


def quoted(path):
    """A path as a word for sh, in double quotes if those suffice, as pip does it."""
    if re.match(b"^[\\w@%+=:,./ \\x80-\\xff-]+$", path):
        return b'"' + path + b'"' if b" " in path else path
    # without backslashes, which would be escapes in Python's string
    return b"'" + path.replace(b"'", b"'\"'\"'") + b"'"

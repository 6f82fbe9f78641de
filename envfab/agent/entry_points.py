"""Scripts: those of entry points, with the names and texts that pip gives them, and interpreters in first lines."""

from __future__ import absolute_import

import os
import re
import sys

from .protocol import PY2

CONSOLE, GUI = "console_scripts", "gui_scripts"
CALLABLE = re.compile(r"\w+(?:[.:]\w+)*", re.UNICODE)
COOKIE = re.compile(b"^[ \\t\\f]*#.*?coding[:=][ \\t]*([-\\w.]+)")
VERSIONED = {"pip": "pip(\\d+(\\.\\d+)?)?$", "easy_install": "easy_install(-\\d+\\.\\d+)?$"}
# of a script's first line: what Linux reads at least, with `#!` and the line's end
LONGEST = 127
NEW_TEXT = """import sys
from %(module)s import %(name)s
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(%(attribute)s())
"""
# what pip wrote before 25.1, for interpreters whose strings have no `removesuffix`
OLD_TEXT = """# -*- coding: utf-8 -*-
import re
import sys
from %(module)s import %(name)s
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(%(attribute)s())
"""


def entry_points(data):
    """The scripts that the bytes of an `entry_points.txt` ask for: two lists of [name, module, attribute], console and GUI.

    Read as `importlib.metadata` reads them: of one name the last counts. Raises ValueError, in words, for what pip cannot
    install either.
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
    """Add the entry point in a line to a list, in the place of one of the same name."""
    name, equals, value = (part.strip() for part in line.partition("="))
    if not equals or not is_file_name(name):
        raise ValueError("an entry point has a name that cannot be a script's: %s" % line)
    entry = [name] + function(value, line)
    for place, other in enumerate(section):
        if other[0] == name:
            section[place] = entry
            return
    section.append(entry)


def is_file_name(name):
    """Whether a script of that name lies in the folder of scripts, or below it."""
    return not {"", ".", ".."}.intersection(name.split("/")) and "\0" not in name


def function(value, line):
    """[module, attribute] that an entry point names; extras behind it are not looked at."""
    match = CALLABLE.match(re.sub(r"\s*:\s*", ":", value))
    if match is None or match.group().count(":") != 1:
        raise ValueError("an entry point names no function: %s" % line)
    return match.group().split(":")


def as_pip_names(console):
    """The console scripts, with those of pip and easy_install named after this interpreter instead of the wheel's builder's."""
    added = []
    for project, pattern in VERSIONED.items():
        found = [entry for entry in console if entry[0] == project]
        if found:
            console = [entry for entry in console if not re.match(pattern, entry[0])]
            added += [[name] + found[0][1:] for name in pip_names(project)]
    return added + console


def pip_names(project):
    """What pip calls a script of its own, or of setuptools."""
    version = "%d.%d" % sys.version_info[:2]
    if project == "pip":
        return ["pip", "pip%d" % sys.version_info[0], "pip" + version]
    return ["easy_install", "easy_install-" + version]


def is_wrapper(name, scripts):
    """Whether a file among a wheel's scripts is one that setuptools made for an entry point, which is made anew."""
    lower = name.lower()
    if lower.endswith((".exe", ".pya")):
        name = name[:-4]
    elif lower.endswith("-script.py"):
        name = name[:-10]
    return name in scripts


def script(python, module, attribute):
    """The bytes of the script that calls a function by the interpreter at the path `python`."""
    names = {"module": module, "name": attribute.partition(".")[0], "attribute": attribute}
    return first_lines(python) + ((NEW_TEXT if sys.version_info >= (3, 9) else OLD_TEXT) % names).encode("utf-8")


def with_interpreter(python, content):
    """A script whose first line says `#!python` with the interpreter at the path `python` in its place, as pip has it."""
    rest = content.partition(b"\n")[2]
    second, end, after = rest.partition(b"\n")
    if COOKIE.match(second):
        lines = first_lines(python, second + b"\n")
        return lines + (rest if lines.count(b"\n") == 1 else after)
    return first_lines(python) + rest


def first_lines(python, cookie=b""):
    """What has the interpreter at the path `python` (its bytes are UTF-8) run the rest of a file.

    Where the path is too long for Linux, or has a space, lines for sh that Python takes for a text; they begin with the
    encoding that Python has to know before.
    """
    path = python if PY2 else os.fsencode(python)
    if not re.search(b"[\\s]", path) and len(path) + 3 <= LONGEST:
        return b"#!" + path + b"\n"
    if PY2 and not cookie:
        cookie = b"# -*- coding: utf-8 -*-\n"
    return b"#!/bin/sh\n" + cookie + b"'''exec' " + quoted(path) + b' "$0" "$@"\n' + b"' '''\n"


def quoted(path):
    """A path as a word for sh, in double quotes where that says enough, as pip has it."""
    if re.match(b"^[\\w@%+=:,./ \\x80-\\xff-]+$", path):
        return b'"' + path + b'"' if b" " in path else path
    # a backslash would be one for Python, too
    return b"'" + path.replace(b"'", b"'\"'\"'") + b"'"

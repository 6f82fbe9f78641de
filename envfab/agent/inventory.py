"""The inventory of a generation: each file that its deployment left, by distribution, with its hash.

    .envfab/generations/7/.envfab-inventory.json

What differs from it was changed since, by hand or by programs. The manifest is another list: it has what was in a
generation when the next one was made, hand-made changes included, and serves rollbacks.
"""

from __future__ import absolute_import

import os
import stat

from .deployed import FORMAT, facts_of, is_text, read_json
from .layout import DEPLOYED, GENERATIONS, INVENTORY, current
from .protocol import PY2, SAME_TEXT, Problem, key_of, native, text

BYTECODE = (".pyc", ".pyo")
CACHE = "__pycache__"
IN_CACHE = "/%s/" % CACHE


def inventory_of(path, number):
    """Return the inventory of a generation; None if there is none, or if it cannot be understood.

        {"generation", "deployment",
         "folders": [path below the generation, …]        those in which each file is compared
         "parts": [{"name" (None for files of no distribution), "version", "digest",
                    "paths": […], "stats": [as `stat_of`, …], "hashes": [as in RECORD, "" for a link, …]}, …],
         "seen": {path: time at which a difference from the inventory was first seen, which is still there}}

    Raises `Problem` of kind "format" if a newer envfab wrote it.
    """
    facts = facts_of(path, number)
    if facts is None:
        return None
    if facts["format"] > FORMAT:
        file = text(os.path.join(path, GENERATIONS, str(number), DEPLOYED))
        what = "%s has format %d; this envfab reads formats up to %d: use the version that deployed there last, or a newer one"
        raise Problem("format", what % (file, facts["format"], FORMAT))
    found = read_json(path, number, INVENTORY)
    return found if is_inventory(found, facts) else None


def is_inventory(found, facts):
    """Return whether a JSON value is an inventory that goes with these facts; the virtualenv's owner may have edited it."""
    try:
        same = (found["generation"], found["deployment"]) == (facts["generation"], facts["deployment"])
        sound = all(is_text(folder) for folder in found["folders"]) and isinstance(found["seen"], dict)
        return same and sound and all(map(is_part, found["parts"]))
    except (KeyError, TypeError):
        return False


def is_part(part):
    """Return whether a value is a part of an inventory."""
    lists = [part[key] for key in ("paths", "stats", "hashes")]
    named = part["name"] is None or (is_text(part["name"]) and is_text(part["version"]))
    sound = is_text(part["digest"]) and isinstance(part["scripts"], dict) and len(set(map(len, lists))) == 1
    return named and sound and all(all(map(is_text, one)) for one in lists)


def expected_in(inventory):
    """Return {path: stat} of an inventory."""
    expected = {}
    for part in inventory["parts"]:
        expected.update(zip(part["paths"], part["stats"]))
    return expected


def seen_in(inventory, verified):
    """Return when each difference was first seen, by the inventory and by what verifications noted since: {path: time}."""
    seen = dict(inventory["seen"])
    if verified and verified.get("deployment") == inventory["deployment"] and isinstance(verified.get("seen"), dict):
        seen.update(verified["seen"])
    return dict((inside, when) for inside, when in seen.items() if is_text(when))


def present_in(path, root, inventory, expected):
    """Return {path: stat} of what is there now: all files in the switched folders, and the data files of the inventory."""
    found = dict((inside, stat_of(status, root, inside)) for inside, status in files(root, inventory["folders"]))
    for inside in data_paths(expected, inventory["folders"]):
        try:
            found[inside] = stat_of(os.lstat(os.path.join(path, native(inside))), path, inside)
        except EnvironmentError:
            continue
    return found


def data_paths(paths, folders):
    """Return those of the paths that are outside of the switched folders: data files, which the virtualenv has as well."""
    below = tuple(folder + "/" for folder in folders)
    return [path for path in paths if not path.startswith(below)]


def files(root, folders):
    """Return [(path below `root`, status)] of the files in folders, without bytecode, which Python writes at any time.

    A `.pyc` without its source counts, since it can be imported. Pipes and sockets do not: programs make them while they
    run, they have no content, and no deployment carries them over.
    """
    found, waiting = [], list(folders)
    while waiting:
        folder = waiting.pop()
        names, compiled = set(), []
        try:
            there = list(entries(root, folder))
        except EnvironmentError:
            # a folder that may not be read stands for what is in it
            found.append((folder, os.lstat(os.path.join(root, native(folder)))))
            continue
        for name, status in there:
            if status is None:
                if name != CACHE:
                    waiting.append(folder + "/" + name)
                continue
            if stat.S_IFMT(status.st_mode) in (stat.S_IFIFO, stat.S_IFSOCK):
                continue
            names.add(name)
            (compiled if name.endswith(BYTECODE) else found).append((folder + "/" + name, status))
        found += [one for one in compiled if os.path.basename(one[0])[:-1] not in names]
    return found


def entries(root, folder):
    """Yield (name, status) for each entry of a folder; the status of a folder, unless it is a link, is None."""
    full = os.path.join(root, native(folder))
    if not os.path.isdir(full):
        return
    if hasattr(os, "scandir"):
        for entry in os.scandir(full):
            name = entry.name if SAME_TEXT else key_of(entry.name)
            yield name, None if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False)
        return
    for name in os.listdir(full):
        status = os.lstat(os.path.join(full, name))
        yield key_of(name), None if stat.S_ISDIR(status.st_mode) else status


def stat_of(status, root, inside):
    """Return what a file's status tells of its content, as a text: mode, size and time; of a symbolic link, its target."""
    mode = status.st_mode
    if stat.S_IFMT(mode) == stat.S_IFLNK:
        return "link %s" % text(os.readlink(os.path.join(root, native(inside))))
    return "%o %d %s" % (mode, status.st_size, repr(status.st_mtime) if PY2 else status.st_mtime_ns)


def stat_of_placed(mode, size, seconds):
    """Return the same for a regular file whose time is a whole number of seconds."""
    return "%o %d %s" % (stat.S_IFREG | mode, size, repr(float(seconds)) if PY2 else "%d000000000" % seconds)


def compare(agent, request, body):
    """Compare the current generation with its inventory, by stat alone: `{"known": whether it has one, "same"}`."""
    path = agent.path = native(request["path"])
    number = current(path)
    inventory = inventory_of(path, number)
    if inventory is None:
        return {"known": False, "same": False}
    expected = expected_in(inventory)
    root = os.path.join(path, GENERATIONS, str(number))
    return {"known": True, "same": present_in(path, root, inventory, expected) == expected}


OPERATIONS = {"compare": compare}

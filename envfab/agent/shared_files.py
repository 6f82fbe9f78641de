"""Files shared by two distributions: when the one whose file is installed is removed, the other's is restored."""

from __future__ import absolute_import

import os
import stat

from . import entry_points, store
from .ownership import canonical, source_of
from .place import Placing
from .protocol import native, text
from .unpack import is_recorded, is_whole, read_tree
from .wheel_cache import discard


def bring_back(path, root, there, gone, kept, request, layout):
    """Restore files of distributions that stay in the generation `root`, where those of removed distributions are.

    `there` are the installed distributions, `gone` the names of those that are removed or replaced; `kept` returns
    whether a new wheel has a path. Files come from the store. Those whose wheel the store lacks stay as they are, and
    are returned: [[path, distribution that stays, distribution that is removed], …].
    """
    leaving, lost = {}, []
    for one in there:
        if one.name in gone:
            leaving.update((file, (one.shown_as, recorded)) for file, recorded in one.hashes.items())
    for one in there:
        mine = {}
        for file in one.hashes if one.name not in gone else ():
            goes, recorded = leaving.get(file, (None, None))
            if goes and not kept(file) and is_of(os.path.join(root, file), recorded, one.hashes[file]):
                mine[file] = goes
        placed = from_store(path, root, one, mine, request, layout) if mine else set()
        lost += [[text(file), one.shown_as, mine[file]] for file in sorted(mine) if file not in placed]
    return lost


def is_of(file, recorded, other):
    """Return whether a file has the hash `recorded` and not the hash `other`."""
    return bool(recorded and other) and recorded != other and is_recorded(file, recorded) and not is_recorded(file, other)


def from_store(path, root, one, wanted, request, layout):
    """Put the `wanted` files of a distribution into a generation; return the paths of those that the store has."""
    for folder in trees(path, request):
        found = read_tree(folder)
        if found is None or canonical(found["name"]) != one.name or not is_whole(folder):
            continue
        placing = Placing(folder, root, layout.scheme(), found, request["link"])
        if placing.info in one.folders:
            return placed(placing, wanted, os.path.join(path, layout.scripts, "python"))
    return set()


def trees(path, request):
    """Return the trees of the store that fit this interpreter's generations."""
    place, kind = store.folder(path), store.key("", request)
    return [os.path.join(place, name) for name in sorted(os.listdir(place)) if name.endswith(kind) and name[0] != "."]


def placed(placing, wanted, python):
    """Put the `wanted` files of a tree at their places, with their bytecode; return which of them the tree has."""
    done = set()
    for key, name, _, _, _ in placing.tree["files"]:
        source, target = placing.below[key] + native(name), placing.places[key] + native(name)
        if target in wanted:
            rid_of_bytecode(placing.root, target)
            if key != "scripts" or not placing.rewrite(source, target, python):
                placing.put(source, target)
            done.add(target)
    for key, name, _, _ in placing.tree["compiled"]:
        source, target = placing.below[key] + native(name), placing.places[key] + native(name)
        if source_of(target) in done:
            placing.put(source, target)
    for name, module, attribute in placing.tree["console"] + placing.tree["gui"]:
        target = os.path.normpath(os.path.join(placing.scheme["scripts"], native(name)))
        if target in wanted:
            mode = stat.S_IMODE(os.stat(os.path.join(placing.root, target)).st_mode)
            placing.write(target, entry_points.script(python, module, attribute), mode)
            done.add(target)
    return done


def rid_of_bytecode(root, file):
    """Remove the bytecode of the file that is replaced, which may have the same size and time."""
    folder = os.path.join(os.path.dirname(file), "__pycache__")
    names = os.listdir(os.path.join(root, folder)) if os.path.isdir(os.path.join(root, folder)) else []
    for compiled in [os.path.join(folder, name) for name in names] + [file + "c", file + "o"]:
        if compiled.endswith((".pyc", ".pyo")) and source_of(compiled) == file:
            discard(os.path.join(root, compiled))

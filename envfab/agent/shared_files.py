"""Files of two distributions that differ, of which the one whose was there goes: the other one's comes back."""

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
    """Put the files of who stays into the generation `root`, where those of who goes still are.

    `there` are the distributions that were installed, `gone` the names of those that go or are replaced; `kept` tells of
    a path whether a new wheel has it. Files come from the store. Those whose wheel it does not have stay as they are, and
    are returned: [[path, who stays, who goes], …].
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
    """Whether a file is the one that has a hash, and not the one that has another."""
    return bool(recorded and other) and recorded != other and is_recorded(file, recorded) and not is_recorded(file, other)


def from_store(path, root, one, wanted, request, layout):
    """Put those of a distribution's files that are `wanted` into a generation: the paths of those that could be."""
    for folder in trees(path, request):
        found = read_tree(folder)
        if found is None or canonical(found["name"]) != one.name or not is_whole(folder):
            continue
        placing = Placing(folder, root, layout.scheme(), found, request["link"])
        if placing.info in one.folders:
            return placed(placing, wanted, os.path.join(path, layout.scripts, "python"))
    return set()


def trees(path, request):
    """The trees of the store that this interpreter's generations are made of."""
    place, kind = store.folder(path), store.key("", request)
    return [os.path.join(place, name) for name in sorted(os.listdir(place)) if name.endswith(kind) and name[0] != "."]


def placed(placing, wanted, python):
    """Put files of a tree to their places, with their bytecode: which of those that are `wanted`."""
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
    """Remove what was compiled of another file of that name; it may have the same size and time."""
    folder = os.path.join(os.path.dirname(file), "__pycache__")
    names = os.listdir(os.path.join(root, folder)) if os.path.isdir(os.path.join(root, folder)) else []
    for compiled in [os.path.join(folder, name) for name in names] + [file + "c", file + "o"]:
        if compiled.endswith((".pyc", ".pyo")) and source_of(compiled) == file:
            discard(os.path.join(root, compiled))

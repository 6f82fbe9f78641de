"""Switch of a virtualenv to a generation, by one rename; conversion of plain virtualenvs, and back."""

from __future__ import absolute_import

import os

from .carryover import NOTHING, Copying
from .data_files import DRAFT, data_files, put, refresh, same
from .atomic_swap import exchange
from .deployed import facts_of
from .files import MEMORY
from .generations import clone, let_through
from .hand_changes import carry_new_files
from .inventory import inventory_of
from .layout import BESIDE, CURRENT, GENERATIONS, Layout, current
from .new_inventory import NewInventory
from .ownership import installed
from .pin import PINNED
from .protocol import Problem, native
from .folder_removal import remove_condemned, remove_tree
from .unpack import is_recorded, sync_all
from .wheel_cache import discard, sync

DISPLACED = "displaced"


def switch(agent, request, body):
    """Make the generation `number` current; a plain virtualenv's folders become links to the clone `base` first.

    `ran` says that commands of the deployment ran in the generation: what they changed belongs to it. Raises `Problem` of
    kind "generation" if the generation does not exist, of kind "layout" for a mount in the current one, of kind "changed" if packages were installed by hand since `compose`, and EnvironmentError.
    """
    layout = Layout(agent.path)
    layout.refuse_mounts()
    if not os.path.isdir(layout.root(request["number"])):
        raise Problem("generation", "generation %d is gone" % request["number"])
    if request.get("ran"):
        include_changes(layout, request["number"])
    if agent.observed is not None and agent.observed.number == request["number"]:
        carry_new_files(layout, agent.observed)
    if layout.is_plain:
        adopt(layout, request["base"])
    refresh(layout, layout.root(current(agent.path)))
    publish(layout, request["number"])
    flip(layout, request["number"])
    agent.observed = None
    return {}


def include_changes(layout, number):
    """Add to the inventory of a generation what commands of its deployment have changed in it."""
    facts, old = facts_of(layout.path, number), inventory_of(layout.path, number)
    if old is not None:
        inventory = NewInventory(layout, number, facts)
        if inventory.include_changes(old):
            inventory.write()


def flip(layout, number):
    """Point `current` to a generation, atomically: each file is opened either in the old or in the new one."""
    link = os.path.join(layout.path, CURRENT)
    discard(link + ".new")
    os.symlink(os.path.join(BESIDE, str(number)), link + ".new")
    os.rename(link + ".new", link)
    sync(os.path.dirname(link))


def adopt(layout, base):
    """Replace a plain virtualenv's folders with links to the current generation, each atomically if the kernel can.

    The generation `base` has the same files, so that running processes see no difference; the folders are set aside.
    """
    aside = os.path.join(layout.path, MEMORY, DISPLACED)
    remove_tree(aside)
    os.mkdir(aside, 0o755)
    flip(layout, base)
    for folder in layout.folders:
        full = os.path.join(layout.path, folder)
        if not layout.is_linked(folder):
            link = os.path.join(aside, folder.replace(os.sep, "-"))
            os.symlink(layout.link_to(folder), link)
            exchange(link, full)
            sync(os.path.dirname(full))
    sync(aside)


def publish(layout, number, instead_of=None):
    """Put the data files of a generation at their places in the virtualenv.

    With `instead_of`, the number of another generation, only replace files of that generation: files that were put
    there meanwhile stay.
    """
    folders = set()
    for path in data_files(layout, layout.root(number)):
        there = os.path.join(layout.path, path)
        discard(os.path.join(os.path.dirname(there), DRAFT))
        if instead_of is None or not os.path.lexists(there) or has(layout, instead_of, path, there):
            changed = put(os.path.join(layout.root(number), path), there)
            while changed and path:
                path = os.path.dirname(path)
                folders.add(os.path.join(layout.path, path))
    sync_all(sorted(folders))


def has(layout, number, path, there):
    """Return whether a file of the virtualenv is the one that a generation has at `path`."""
    own = os.path.join(layout.root(number), path)
    return os.path.lexists(own) and same(own, there)


def withdraw(layout, old, new):
    """Remove the data files that the generation `old` has and `new` does not, unless they were changed."""
    staying = set(data_files(layout, layout.root(new)))
    for path in set(data_files(layout, layout.root(old))) - staying:
        there = os.path.join(layout.path, path)
        if os.path.lexists(there) and has(layout, old, path, there):
            discard(there)
            rid_of_empty(layout, os.path.dirname(path))
    withdraw_vanished(layout, old, new, staying)


def withdraw_vanished(layout, old, new, staying):
    """Remove the data files that a deployment has put into the virtualenv with the generation `old`, which lost them.

    By hand, pip removes them from the generation alone. Those that were changed stay, and those that the generation
    `new` has, or a distribution in it.
    """
    for path, recorded in sorted((facts_of(layout.path, old) or {}).get("data", {}).items()):
        path = native(path)
        there = os.path.join(layout.path, path)
        if path in staying or os.path.lexists(os.path.join(layout.root(old), path)) or not is_recorded(there, recorded):
            continue
        if not any(path in (one.files or ()) for one in installed(layout.root(new), layout.site)):
            discard(there)
            rid_of_empty(layout, os.path.dirname(path))


def rid_of_empty(layout, folder):
    """Remove a folder if it is empty, and then those above it, up to the virtualenv."""
    while folder:
        try:
            os.rmdir(os.path.join(layout.path, folder))
        except EnvironmentError:
            return
        folder = os.path.dirname(folder)


def revert(agent, request, body):
    """Make the generation `previous` current again if `number` is: `{"switched": whether it was}`.

    `remove` says whether to remove `number`, which the deployment that is undone has made. Raises `Problem` of kind
    "generation" if `previous` does not exist.
    """
    layout = Layout(agent.path)
    number, previous = request["number"], request["previous"]
    switched = current(agent.path) == number and number != previous
    if number == previous:
        return {"switched": False}
    if os.path.isdir(layout.root(previous)):
        publish(layout, previous, instead_of=number if os.path.isdir(layout.root(number)) else None)
        if switched:
            flip(layout, previous)
        if os.path.isdir(layout.root(number)):
            withdraw(layout, number, previous)
    elif switched:
        raise Problem("generation", "generation %d is gone" % previous)
    if request["remove"]:
        remove_tree(layout.root(number))
        if current(agent.path) is None:
            # the clone of a virtualenv that stays plain
            remove_tree(layout.root(previous))
    return {"switched": switched}


def found(agent, request, body):
    """Make the generation 0 of a new virtualenv."""
    agent.path = native(request["path"])
    layout = Layout(agent.path)
    if layout.is_plain:
        layout.refuse_foreign_links()
        os.umask(request["umask"])
        generations = os.path.join(agent.path, GENERATIONS)
        if not os.path.isdir(generations):
            os.makedirs(generations, 0o755)
        layout.refuse_immovable()
        let_through(agent.path)
        clone(layout, layout.root(0))
        adopt(layout, 0)
        remove_tree(os.path.join(agent.path, MEMORY, DISPLACED))
    return {}


def release(agent, request, body):
    """Make a virtualenv with generations plain: replace its links with folders, and remove the generations.

    Returns `{"was": "generations"}`, or `{"was": "plain"}` if it was plain already. Raises `Problem` of kind "layout"
    for a mount in the current generation.
    """
    agent.path = native(request["path"])
    layout = Layout(agent.path)
    layout.refuse_mounts()
    linked = [folder for folder in layout.folders if layout.is_linked(folder)]
    if linked:
        plain = os.path.join(agent.path, MEMORY, "plain")
        remove_tree(plain)
        os.makedirs(plain, 0o755)
        root = layout.root(current(agent.path))
        for folder in linked:
            parent = os.path.join(plain, os.path.dirname(folder))
            if not os.path.isdir(parent):
                os.makedirs(parent)
            Copying(layout, root, plain, NOTHING).folder(folder)
            discard(os.path.join(plain, folder, PINNED))
            full = os.path.join(agent.path, folder)
            sync_all([here for here, _, _ in os.walk(os.path.join(plain, folder))])
            exchange(os.path.join(plain, folder), full)
            sync(os.path.dirname(full))
        remove_tree(plain)
    discard(os.path.join(agent.path, CURRENT))
    remove_tree(os.path.join(agent.path, GENERATIONS))
    remove_tree(os.path.join(agent.path, MEMORY, DISPLACED))
    remove_condemned(os.path.join(agent.path, MEMORY))
    return {"was": "generations" if linked else "plain"}


OPERATIONS = {
    "switch": switch,
    "revert": revert,
    "found": found,
    "release": release,
}

"""Making a generation current, by one rename; and a plain virtualenv one with generations, and back."""

from __future__ import absolute_import

import errno
import os
import shutil

from . import store
from .carryover import NOTHING, Copying
from .data_files import DRAFT, data_files, put, refresh, same
from .exchange import exchange
from .files import MEMORY
from .generations import clone, let_through
from .lingering import lingering, started_at
from .layout import BESIDE, CURRENT, GENERATIONS, MANIFEST, Layout, current, numbers
from .manifest import is_as_left
from .metadata import scan
from .ownership import canonical
from .pin import PINNED, pinned_since
from .protocol import Problem, native, text
from .unpack import sync_all
from .wheel_cache import discard, sync

DISPLACED = "displaced"
# wheels to go back to, before there were generations
KEPT_BY_ENVFAB_1 = "wheels"
# what is about to be removed is called so
CONDEMNED = ".condemned-"


def switch(agent, request, body):
    """Make the generation `number` current; a plain virtualenv's folders become links to the clone `base` first."""
    layout = Layout(agent.path)
    if not os.path.isdir(layout.root(request["number"])):
        raise Problem("generation", "generation %d is gone" % request["number"])
    if layout.is_plain:
        adopt(layout, request["base"])
    refresh(layout, layout.root(current(agent.path)))
    publish(layout, request["number"])
    flip(layout, request["number"])
    return {}


def flip(layout, number):
    """Let `current` lead to a generation: who opens a file finds that of the one, or of the other."""
    link = os.path.join(layout.path, CURRENT)
    discard(link + ".new")
    os.symlink(os.path.join(BESIDE, str(number)), link + ".new")
    os.rename(link + ".new", link)
    sync(os.path.dirname(link))


def adopt(layout, base):
    """Put links to the current generation in the place of a plain virtualenv's folders, each in one moment.

    The generation `base` has the same files, so that nobody sees a difference; the folders are set aside.
    """
    aside = os.path.join(layout.path, MEMORY, DISPLACED)
    shutil.rmtree(aside, ignore_errors=True)
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
    """Bring the data files of a generation to their places in the virtualenv.

    With `instead_of`, the number of another generation, only where nothing is, or a file of that one: what people put
    there meanwhile stays.
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
    """Whether a file of the virtualenv is the one that a generation has at `path`."""
    own = os.path.join(layout.root(number), path)
    return os.path.lexists(own) and same(own, there)


def withdraw(layout, old, new):
    """Remove the data files that the generation `old` had and `new` has not, where they still are the same."""
    staying = set(data_files(layout, layout.root(new)))
    for path in set(data_files(layout, layout.root(old))) - staying:
        there = os.path.join(layout.path, path)
        if os.path.lexists(there) and has(layout, old, path, there):
            discard(there)
            rid_of_empty(layout, os.path.dirname(path))


def rid_of_empty(layout, folder):
    """Remove folders that have become empty, up to the virtualenv."""
    while folder:
        try:
            os.rmdir(os.path.join(layout.path, folder))
        except EnvironmentError:
            return
        folder = os.path.dirname(folder)


def revert(agent, request, body):
    """Make the generation `previous` current again, where `number` is, and remove `number`: `{"switched": …}`.

    `remove` says whether `number` was made by the deployment that is taken back.
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


def tidy(agent, request, body):
    """At the end: data files, generations and trees of the store go that nothing needs.

    `lingering` in the answer are the processes that still run what was current before, `left` what could not be removed.

    `retain` are the numbers of the generations to keep, `previous` the one that was current before, `days` how long
    the store keeps what no generation uses.
    """
    layout = Layout(agent.path)
    now, previous = current(agent.path), request["previous"]
    found = lingering(agent.path, previous is not None and pinned_since(layout, previous) is not None)
    for number in numbers(agent.path):
        # not of the one before alone: a deployment that was cut off may have left files of another one
        if now is not None and number != now:
            withdraw(layout, number, now)
    for name in (DISPLACED, KEPT_BY_ENVFAB_1):
        remove_tree(os.path.join(agent.path, MEMORY, name))
    for number in numbers(agent.path):
        if number != now and number not in request["retain"] and not is_run(layout, number, found):
            remove_tree(layout.root(number))
    left = []
    for folder in (os.path.join(agent.path, MEMORY), os.path.join(agent.path, GENERATIONS)):
        left += remove_condemned(folder)
    if request["days"] is not None and store.is_mine_alone(agent):
        store.purge(agent.path, request["days"])
    # an agent may live on when its deployment has ended, and others wait
    store.let_go(agent)
    return {"lingering": found, "left": left}


def is_run(layout, number, processes):
    """Whether one of the processes may have started with a pinned generation, and so imports from it still."""
    made = pinned_since(layout, number)
    return made is not None and any(started_at(one["started"]) > made for one in processes)


def remove_condemned(folder):
    """Remove what was about to be removed in a folder: what cannot be."""
    names = [name for name in os.listdir(folder) if name.startswith(CONDEMNED)] if os.path.isdir(folder) else []
    return [text(os.path.join(folder, name)) for name in names if not remove(os.path.join(folder, name))]


def remove_tree(folder):
    """Remove a folder, if it is there, so that nothing ever sees half of it under its name: whether that could be done.

    Files of others may stay, as root leaves them in `__pycache__`: then it has a name that no generation has.
    """
    if not os.path.lexists(folder):
        return True
    condemned = os.path.join(os.path.dirname(folder), CONDEMNED + os.path.basename(folder))
    if not remove(condemned):
        condemned += ".%d" % os.getpid()
    try:
        os.rename(folder, condemned)
    except EnvironmentError as error:
        if error.errno != errno.EXDEV:
            raise
        # of a lower layer of an overlay: without its manifest it is not taken for what it was
        discard(os.path.join(folder, MANIFEST))
        return remove(folder)
    return remove(condemned)


def remove(folder):
    """Remove a folder, also where its owner may not write to one in it, or a file: whether it is gone."""
    if os.path.islink(folder) or os.path.isfile(folder):
        discard(folder)
        return True
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        for here, folders, _ in os.walk(folder):
            for name in folders:
                inside = os.path.join(here, name)
                if not os.path.islink(inside) and os.stat(inside).st_uid == os.geteuid():
                    os.chmod(inside, 0o700)
        shutil.rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)


def whole(agent, request, body):
    """Which of the generations `numbers` are there and as they were left: `{"whole": […], "unrecorded": […]}`.

    Of the latter nothing tells how they were left. With `versions`, by canonical name, only those that have no other ones.
    """
    layout = Layout(agent.path)
    whole = [number for number in request["numbers"] if is_as_left(layout, number)]
    if request.get("versions") is not None:
        whole = [number for number in whole if has_versions(layout, number, request["versions"])]
    unrecorded = [one for one in request["numbers"] if not os.path.exists(os.path.join(layout.root(one), MANIFEST))]
    return {"whole": whole, "unrecorded": unrecorded}


def has_versions(layout, number, versions):
    """Whether each distribution in a generation is among `versions`; some of these may lie elsewhere (editables)."""
    found = []
    for folder in layout.site:
        scan(os.path.join(layout.root(number), folder), found, {"leftovers": [], "damaged": []})
    return all(versions.get(canonical(one["name"])) == one["version"] for one in found)


def found(agent, request, body):
    """Give a virtualenv that was just made its generation 0."""
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
    """Make a plain virtualenv of one with generations: folders in the place of the links; the generations go.

    `{"was": …}`: "generations", or "plain" where it was one already.
    """
    agent.path = native(request["path"])
    layout = Layout(agent.path)
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
    "tidy": tidy,
    "whole": whole,
    "found": found,
    "release": release,
}

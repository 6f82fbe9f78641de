"""Composition of a generation beside the current one, from links to the store and to the files that stay."""

from __future__ import absolute_import

import errno
import os
import shutil
import stat

from . import store
from .carryover import NOTHING, Copying, Dropped
from .data_files import beside, data_files, is_scaffold, make_like, put, refresh, stamp
from .inventory import inventory_of
from .files import MEMORY, own_folder
from .hand_changes import Observed, packages
from .new_inventory import NewInventory
from .layout import GENERATIONS, Layout, current, python_folder
from .manifest import write_manifest
from .metadata import EASY_INSTALL
from .ownership import installed
from .pin import PINNED, write_pin
from .place import place
from .protocol import Problem, native, text
from .shared_files import bring_back
from .unpack import sync_all
from .wheel_cache import discard, sync, sync_file_system

MOST_CONFLICTS = 20
# errors of symlink(2) where the file system has no symbolic links
NO_SYMLINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def compose(agent, request, body):
    """Make the generation `number` from the current one, without the distributions `remove` and with the wheels `wheels`.

    `wheels` are {"name", "version", "filename", "sha256", "requested"}; of two that have the same file, the later one
    wins. `remove` are names, `drop` are paths of files that are not carried over. A plain virtualenv is first cloned as the generation `base`. In the answer, `conflicts`
    are files that differ between two distributions, [path, loser, winner]; `lost` are files of a distribution that
    stays with the content of one that was removed, [path, stays, removed]; at most `MOST_CONFLICTS` of each. Raises
    `Problem`, for example of kind "layout", "unowned" or "os", and EnvironmentError; the generation is then removed.
    """
    path = agent.path
    agent.placed, agent.observed = {}, None
    os.umask(request["umask"])
    layout = Layout(path)
    layout.refuse_foreign_links()
    own_folder(path)
    own_folder(path, "generations")
    refuse_without_symlinks(path)
    layout.refuse_immovable()
    let_through(path)
    root = layout.root(request["number"])
    packages_before = packages(layout)
    try:
        if layout.is_plain:
            source = layout.root(request["base"])
            clone(layout, source)
        else:
            source = layout.root(current(path))
            refresh(layout, source)
        gone = set(request["remove"]) | set(wheel["name"] for wheel in request["wheels"])
        there = installed(source, layout.site)
        drop = Dropped(there, gone, map(native, request.get("drop", ())))
        # read first: one that a newer envfab wrote is refused
        before = inventory_of(path, None if layout.is_plain else current(path))
        fresh(layout, root)
        copying = Copying(layout, source, root, drop)
        for folder in layout.folders:
            copying.folder(folder)
        for one in there:
            copying.data(one.files or ())
        # files of no package, such as one that a package had replaced and a rollback restored
        copying.data(data_files(layout, source))
        without_lines(root, layout.site, drop.lines)
        owners, placings = Owners(one for one in there if one.name not in gone), []
        for wheel in request["wheels"]:
            tree = store.tree_of(path, wheel["sha256"], request)
            python = os.path.join(path, layout.scripts, "python")
            placed = place(tree, root, layout.scheme(), python, wheel["requested"], request["link"])
            owners.add(wheel["name"], placed)
            agent.placed.update(placed)
            placings.append((wheel["name"], wheel["version"], placed))
        new = set(wheel["name"] for wheel in request["wheels"])
        lost = bring_back(path, root, there, gone, lambda file: owners.of(file) in new, request, layout)
        for data in list(data_files(layout, root)):
            is_there = os.path.lexists(os.path.join(source, data)) and not is_scaffold(layout, source, data)
            if not is_there and os.path.lexists(os.path.join(path, data)):
                # a package replaces a file of no package: keep that in the old generation, so that a rollback restores it
                put(os.path.join(path, data), os.path.join(source, data))
                copying.manifest.append([text(data)] + stamp(os.lstat(os.path.join(source, data))))
        write_manifest(source, copying.manifest)
        complete(layout, root, source, request["pinned"])
        list_deployed(NewInventory(layout, request["number"], request), before, copying, drop, placings)
        sync_generation(root)
        times = None if layout.is_plain else copying.times
        known = dict((native(one[0]), one[1:]) for one in copying.manifest)
        agent.observed = Observed(request["number"], packages_before, known, times, (drop, agent.placed))
    except (EnvironmentError, Problem) as error:
        shutil.rmtree(root, ignore_errors=True)
        if current(path) is None:
            # nothing uses the clone, and it may be what filled the disk
            shutil.rmtree(layout.root(request["base"]), ignore_errors=True)
        if isinstance(error, EnvironmentError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Problem("os", "no space left on %s" % text(path), errno=error.errno)
        raise
    return {"conflicts": sorted(owners.conflicts)[:MOST_CONFLICTS], "lost": lost[:MOST_CONFLICTS]}


def list_deployed(inventory, before, copying, drop, placings):
    """Write the inventory of a composed generation; `before` is that of the generation it was composed from, or None."""
    if before is None:
        inventory.take(placings)
    else:
        pins = [os.path.join(folder, PINNED) for folder in copying.site]
        copying.again.update(pins + [os.path.join(folder, EASY_INSTALL) for folder in copying.site if drop.lines])
        inventory.take_over(before, copying, drop, placings)
    inventory.write()


def fresh(layout, root):
    """Make the folder of a generation, in place of what an interrupted deployment left there.

    Its folders get the modes of the virtualenv's, whatever the umask, so that the same users can access them.
    """
    if os.path.lexists(root):
        shutil.rmtree(root)
    os.mkdir(root)
    shutil.copymode(layout.path, root)
    for folder in set(os.path.dirname(one) for one in layout.site):
        make_like(os.path.join(layout.path, folder), os.path.join(root, folder))
    up = os.path.relpath(layout.path, root)
    for name in ("pyvenv.cfg", "lib64"):
        there = os.path.join(layout.path, name)
        if os.path.lexists(there) and not os.path.lexists(os.path.join(root, name)):
            is_link = name == "lib64" and os.path.islink(there)
            os.symlink(os.readlink(there) if is_link else os.path.join(up, name), os.path.join(root, name))


def refuse_without_symlinks(path):
    """Raise `Problem` if the file system of a virtualenv has no symbolic links, like FAT and some network shares."""
    link = os.path.join(path, GENERATIONS, ".link")
    try:
        discard(link)
        os.symlink("target", link)
        os.unlink(link)
    except EnvironmentError as error:
        if error.errno not in NO_SYMLINKS:
            raise
        what = "%s is on a file system without symbolic links, which generations need: move it to another file system"
        raise Problem("layout", what % text(path))


def let_through(path):
    """Give the folders between `bin` and the generations the same search permissions as the virtualenv."""
    for folder in (os.path.join(path, MEMORY), os.path.join(path, GENERATIONS)):
        mode = stat.S_IMODE(os.stat(folder).st_mode)
        wanted = mode | stat.S_IMODE(os.stat(path).st_mode) & 0o111
        if mode != wanted:
            os.chmod(folder, wanted)


def clone(layout, root):
    """Make a generation with the same files as a plain virtualenv, by links."""
    fresh(layout, root)
    copying = Copying(layout, layout.path, root, NOTHING)
    for folder in layout.folders:
        copying.folder(folder)
    for one in installed(layout.path, layout.site):
        copying.data(one.files or ())
    complete(layout, root, None, False)
    sync_generation(root)


class Owners(object):
    """Owners of the files of packages and of data files; `conflicts` are [path, former owner, new owner].

    Two distributions with the same content at the same path do not conflict, such as those that share the empty
    `__init__.py` of a package.
    """

    def __init__(self, there):
        self.owners = {}
        self.conflicts = []
        for one in there:
            for path, recorded in one.hashes.items():
                self.owners[path] = (one.shown_as, recorded)

    def of(self, path):
        """Return the name of the distribution that owns a file, as it was given; None if none does."""
        return self.owners.get(path, (None,))[0]

    def add(self, name, placed):
        """Record the files of a new distribution (path → (hash, size, time)), which replace those of others."""
        for path, (recorded, _, time) in placed.items():
            # files that are written for each virtualenv always differ
            if recorded and time is not None and ".dist-info" not in path:
                owner, other = self.owners.get(path, (name, recorded))
                if owner != name and other and other != recorded:
                    self.conflicts.append([text(path), owner, name])
                self.owners[path] = (name, recorded)


def complete(layout, root, source, pinned):
    """Complete a generation so that an interpreter can start from it: link to what the virtualenv has beside its packages.

    Data files of the generation `source`, from which this one was made, are not linked: they were carried over or are
    to be removed.
    """
    library = os.path.join("lib", python_folder())
    full = os.path.join(layout.path, library)
    for name in os.listdir(full) if os.path.isdir(os.path.join(root, library)) and os.path.isdir(full) else []:
        inside = os.path.join(library, name)
        owned = source is not None and os.path.lexists(os.path.join(source, inside))
        if os.path.lexists(os.path.join(root, inside)) or (owned and not is_scaffold(layout, source, inside)):
            continue
        os.symlink(beside(layout, root, inside), os.path.join(root, inside))
    for folder in layout.site:
        pin = os.path.join(root, folder, PINNED)
        if os.path.lexists(pin):
            os.unlink(pin)
        if pinned:
            # the virtualenv may be started by the name of a link to it
            names = (layout.path, os.path.realpath(layout.path))
            write_pin(pin, [os.path.join(name, folder) for name in names], os.path.join(root, folder))


def without_lines(root, site, lines):
    """Remove lines from easy-install.pth; write a new file, since other generations may link to the old one."""
    for folder in site:
        file = os.path.join(root, folder, EASY_INSTALL)
        if not lines or not os.path.isfile(file):
            continue
        with open(file, "rb") as stream:
            said = stream.read().splitlines(True)
        staying = [line for line in said if native(line.strip()) not in lines]
        if staying != said:
            with open(file + ".new", "wb") as stream:
                stream.writelines(staying)
            os.rename(file + ".new", file)


def sync_generation(root):
    """Flush a generation to the disk: its folders, and the files that only it has.

    Files with several links were flushed before.
    """
    if not sync_file_system(root):
        waiting = []
        for here, _, names in os.walk(root):
            stats = [(file, os.lstat(file)) for file in (os.path.join(here, name) for name in names)]
            waiting.append(here)
            waiting += [file for file, status in stats if stat.S_ISREG(status.st_mode) and status.st_nlink == 1]
        sync_all(waiting)
    sync(os.path.dirname(root))


OPERATIONS = {"compose": compose}

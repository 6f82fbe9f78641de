"""Making a generation: beside the current one, of links to the files of the store and of what stays."""

from __future__ import absolute_import

import errno
import os
import shutil
import stat

from . import store
from .carryover import NOTHING, Copying, Dropped
from .data_files import beside, data_files, is_scaffold, make_like, put, refresh, stamp
from .files import MEMORY, own_folder
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
    """Make the generation `number` of the current one, without what `remove` names and with the wheels `wheels`.

    `wheels` are {"name", "version", "filename", "sha256", "requested"}, in the order in which one wins over those
    before it; `remove` are names. A plain virtualenv's own files become the generation `base` first. The answer
    has in `conflicts` the files of two distributions that differ, and in `lost` those that are of who goes still.
    """
    path = agent.path
    agent.placed = {}
    os.umask(request["umask"])
    layout = Layout(path)
    layout.refuse_foreign_links()
    own_folder(path)
    own_folder(path, "generations")
    refuse_without_symlinks(path)
    layout.refuse_immovable()
    let_through(path)
    root = layout.root(request["number"])
    try:
        if layout.is_plain:
            source = layout.root(request["base"])
            clone(layout, source)
        else:
            source = layout.root(current(path))
            refresh(layout, source)
        gone = set(request["remove"]) | set(wheel["name"] for wheel in request["wheels"])
        there = installed(source, layout.site)
        drop = Dropped(there, gone)
        fresh(layout, root)
        copying = Copying(layout, source, root, drop)
        for folder in layout.folders:
            copying.folder(folder)
        for one in there:
            copying.data(one.files or ())
        # of nobody, as one that a package took the place of, and that a rollback brought back
        copying.data(data_files(layout, source))
        without_lines(root, layout.site, drop.lines)
        owners = Owners(one for one in there if one.name not in gone)
        for wheel in request["wheels"]:
            tree = store.tree_of(path, wheel["sha256"], request)
            python = os.path.join(path, layout.scripts, "python")
            placed = place(tree, root, layout.scheme(), python, wheel["requested"], request["link"])
            owners.add(wheel["name"], placed)
            agent.placed.update(placed)
        new = set(wheel["name"] for wheel in request["wheels"])
        lost = bring_back(path, root, there, gone, lambda file: owners.of(file) in new, request, layout)
        for data in list(data_files(layout, root)):
            is_there = os.path.lexists(os.path.join(source, data)) and not is_scaffold(layout, source, data)
            if not is_there and os.path.lexists(os.path.join(path, data)):
                # nobody's file lies where a package brings one: going back brings it back
                put(os.path.join(path, data), os.path.join(source, data))
                copying.manifest.append([text(data)] + stamp(os.lstat(os.path.join(source, data))))
        write_manifest(source, copying.manifest)
        complete(layout, root, source, request["pinned"])
        sync_generation(root)
    except (EnvironmentError, Problem) as error:
        shutil.rmtree(root, ignore_errors=True)
        if current(path) is None:
            # nobody has the clone, and a full disk may be full of it
            shutil.rmtree(layout.root(request["base"]), ignore_errors=True)
        if isinstance(error, EnvironmentError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Problem("os", "no space left on %s" % text(path), errno=error.errno)
        raise
    return {"conflicts": sorted(owners.conflicts)[:MOST_CONFLICTS], "lost": lost[:MOST_CONFLICTS]}


def fresh(layout, root):
    """Make the folder of a generation anew; what a deployment that was cut off left there goes.

    Whoever may go through the virtualenv's folders may go through its own, whatever the umask.
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
    """Let whoever may go through the virtualenv go through what `bin` leads through."""
    for folder in (os.path.join(path, MEMORY), os.path.join(path, GENERATIONS)):
        mode = stat.S_IMODE(os.stat(folder).st_mode)
        wanted = mode | stat.S_IMODE(os.stat(path).st_mode) & 0o111
        if mode != wanted:
            os.chmod(folder, wanted)


def clone(layout, root):
    """Make a generation of a plain virtualenv as it is: the same files, by links."""
    fresh(layout, root)
    copying = Copying(layout, layout.path, root, NOTHING)
    for folder in layout.folders:
        copying.folder(folder)
    for one in installed(layout.path, layout.site):
        copying.data(one.files or ())
    complete(layout, root, None, False)
    sync_generation(root)


class Owners(object):
    """Who has which file of the folders of packages, and which data file; `conflicts` are [path, who had it, who has it now, …].

    Two who have the same path with the same content are in nobody's way, as with the empty `__init__.py` of a package
    that several distributions share.
    """

    def __init__(self, there):
        self.owners = {}
        self.conflicts = []
        for one in there:
            for path, recorded in one.hashes.items():
                self.owners[path] = (one.shown_as, recorded)

    def of(self, path):
        """The name of who has a file, as it was given; None where nobody has."""
        return self.owners.get(path, (None,))[0]

    def add(self, name, placed):
        """The files of a distribution come (path → hash, size, time), and take the place of others'."""
        for path, (recorded, _, time) in placed.items():
            # what each virtualenv has of its own differs from one to the next
            if recorded and time is not None and ".dist-info" not in path:
                owner, other = self.owners.get(path, (name, recorded))
                if owner != name and other and other != recorded:
                    self.conflicts.append([text(path), owner, name])
                self.owners[path] = (name, recorded)


def complete(layout, root, source, pinned):
    """What lets an interpreter start out of a generation: links to what the virtualenv has beside its packages.

    What is a data file of the generation `source`, of which this one was made, has come along or is to go.
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
            # whoever starts it may call it by another name, where a link leads to it
            names = (layout.path, os.path.realpath(layout.path))
            write_pin(pin, [os.path.join(name, folder) for name in names], os.path.join(root, folder))


def without_lines(root, site, lines):
    """Take the lines of what was dropped out of easy-install.pth; the file is written anew, for it may be shared."""
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
    """See to it that a generation is on the disk: its folders, and so the names of its files, and the files of its own.

    What other names lead to, too, was there before.
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

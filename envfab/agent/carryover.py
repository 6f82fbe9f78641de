"""Files carried over from one generation into the next, without those of the packages that are removed or replaced."""

from __future__ import absolute_import

import os
import stat

from .data_files import link_or_copy, make_like, refuse_unreadable, stamp
from .inventory import BYTECODE, IN_CACHE, stat_of
from .layout import is_below
from .metadata import is_leftover
from .ownership import source_of
from .protocol import Problem, key_of, text
from .shebangs import own_again

class Dropped(object):
    """The files of the distributions `gone` that belong to no other distribution, and the files `beside`.

    Raises `Problem` of kind "unowned" if one of them does not list its files.
    """

    def __init__(self, there, gone, beside=()):
        self.names = frozenset(gone)
        self.files, self.folders, self.lines = set(beside), set(), set()
        # files that another distribution has as well: path → its canonical name
        self.shared = {}
        # the folders that have one of the files, or its bytecode
        self.touched = set()
        staying = set()
        for one in there:
            if one.name not in gone:
                staying |= one.files or set()
        for one in there:
            if one.name in gone:
                if one.files is None:
                    what = "%s cannot be replaced: it was installed by distutils, which does not list its files: remove it by hand"
                    raise Problem("unowned", what % one.shown_as)
                self.files |= one.files - staying
                self.folders |= one.folders
                self.lines |= one.lines
                if not staying.isdisjoint(one.files):
                    self.share(there, one.files & staying)
        for folder in set(os.path.dirname(file) for file in self.files):
            self.touched.update((folder, os.path.join(folder, "__pycache__")))

    def share(self, there, files):
        """Note to which distributions that stay these files belong as well."""
        for one in there:
            if one.name not in self.names:
                self.shared.update((file, one.name) for file in files.intersection(one.files or ()))

    def __contains__(self, path):
        name = os.path.basename(path)
        if path in self.files or path in self.folders:
            return True
        return name.endswith((".pyc", ".pyo")) and source_of(path) in self.files


NOTHING = Dropped([], ())


class Copying(object):
    """The copying of files from `source` to `root` by links, except those in `drop`; `manifest` lists all of `source`.

    Both are the root of the virtualenv that `layout` describes, or of one of its generations.
    """

    def __init__(self, layout, source, root, drop):
        self.path = layout.path
        self.switched = layout.folders
        self.below = tuple(folder + os.sep for folder in layout.folders)
        self.scripts = layout.scripts
        self.site = layout.site
        self.source = source
        self.root = root
        self.drop = drop
        self.manifest = []
        # path as inventories have it → what tells of its content; and paths that were made anew, not just linked
        self.stats = {}
        self.again = set()
        # modes of the folders to carry over, unless they become empty; and those of them that were made
        self.modes = {}
        # when these folders changed
        self.times = {}
        self.made = set()
        # data files that were handled
        self.seen = set()

    def folder(self, path):
        """Copy a folder with all below it; one that was removed by hand becomes an empty one."""
        full = os.path.join(self.source, path)
        is_there = os.path.isdir(full)
        status = os.stat(full if is_there else self.source)
        self.modes[path], self.times[path] = status.st_mode, status.st_mtime
        self.make(path)
        if is_there:
            self.contents(path)

    def contents(self, path):
        """Copy the contents of a folder; a folder of which nothing stays is not made.

        Raises `Problem` of kind "unreadable", and EnvironmentError.
        """
        from_here, to_there, below = os.path.join(self.source, path, ""), os.path.join(self.root, path, ""), path + os.sep
        try:
            names = os.listdir(from_here)
        except EnvironmentError as error:
            refuse_unreadable(os.path.join(self.source, path), error)
            raise
        if not names:
            self.make(path)
        # of thousands of files, nearly all are only linked
        only_links = path not in self.drop.touched and path != self.scripts
        for name in names:
            status = os.lstat(from_here + name)
            if stat.S_ISDIR(status.st_mode):
                if below + name in self.drop or is_leftover(name):
                    self.note_all(below + name)
                else:
                    self.modes[below + name], self.times[below + name] = status.st_mode, status.st_mtime
                    self.contents(below + name)
            elif only_links and stat.S_ISREG(status.st_mode):
                self.note(below + name, status)
                self.make(path)
                if not link_or_copy(from_here + name, to_there + name):
                    self.again.add(below + name)
            else:
                self.file(below + name, status)

    def make(self, path):
        """Make a folder and those above it, if they are not made yet, with their modes in the source."""
        if path not in self.made:
            if os.path.dirname(path) in self.modes:
                self.make(os.path.dirname(path))
            target = os.path.join(self.root, path)
            os.mkdir(target)
            # its owner must be able to fill and remove it, even if the source is read-only
            os.chmod(target, stat.S_IMODE(self.modes[path]) | stat.S_IRWXU)
            self.made.add(path)

    def note_all(self, path):
        """Add the files of a folder that is not carried over to the manifest."""
        for here, folders, names in os.walk(os.path.join(self.source, path)):
            linked = [name for name in folders if os.path.islink(os.path.join(here, name))]
            for name in names + linked:
                full = os.path.join(here, name)
                self.note(os.path.relpath(full, self.source), os.lstat(full))

    def note(self, path, status):
        """Add a file of the source to the manifest and to `stats`, unless it is bytecode, which Python writes at any time.

        Bytecode without its source is in `stats`, since it can be imported.
        """
        if path.endswith(BYTECODE):
            if IN_CACHE not in path and not os.path.lexists(os.path.join(self.source, path[:-1])):
                self.stats[key_of(path)] = stat_of(status, self.source, path)
            return
        name, known = text(path), stamp(status)
        self.manifest.append([name] + known)
        if IN_CACHE not in path and (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            # nearly all are regular files
            plain = stat.S_ISREG(status.st_mode) and "%o %d %s" % (status.st_mode, known[0], known[1])
            self.stats[name if name is path else key_of(path)] = plain or stat_of(status, self.source, path)

    def file(self, path, status):
        """Copy a file or symbolic link; pipes and sockets are not carried over."""
        self.note(path, status)
        if path in self.drop or not (stat.S_ISLNK(status.st_mode) or stat.S_ISREG(status.st_mode)):
            return
        folder = os.path.dirname(path)
        if folder in self.modes:
            self.make(folder)
        source, target = os.path.join(self.source, path), os.path.join(self.root, path)
        if stat.S_ISLNK(status.st_mode):
            os.symlink(self.link_of(path), target)
            self.again.add(path)
        elif folder == self.scripts and own_again(source, target, self.path):
            self.again.add(path)
        elif not link_or_copy(source, target):
            self.again.add(path)

    def link_of(self, path):
        """Return the target for a copied symbolic link: absolute if a relative one leads out of the switched folders."""
        said = os.readlink(os.path.join(self.source, path))
        inside = os.path.normpath(os.path.join(os.path.dirname(path), said))
        if os.path.isabs(said) or not is_below(path, self.switched) or is_below(inside, self.switched):
            return said
        return os.path.normpath(os.path.join(self.path, inside))

    def data(self, files):
        """Copy those of `files` that are outside of the switched folders: data files and headers."""
        # most are in the folders of packages, which is known without reading the disk
        aside = self.below + (os.pardir, os.sep)
        for listed in sorted(file for file in files if not file.startswith(aside)):
            path = self.without_links(listed)
            if is_below(path, self.switched) or path in self.seen:
                continue
            self.seen.add(path)
            source, target = os.path.join(self.source, path), os.path.join(self.root, path)
            try:
                status = os.lstat(source)
            except EnvironmentError:
                continue
            if listed in self.drop:
                self.note(path, status)
            elif not stat.S_ISDIR(status.st_mode) and not os.path.lexists(target):
                make_like(os.path.dirname(source), os.path.dirname(target))
                self.file(path, status)

    def without_links(self, path):
        """Resolve links in the path of a file in the source, such as `lib64`, unless they lead out of the source."""
        folder, root = os.path.realpath(os.path.dirname(os.path.join(self.source, path))), os.path.realpath(self.source)
        inside = os.path.relpath(os.path.join(folder, os.path.basename(path)), root)
        return path if inside.startswith(os.pardir) else inside

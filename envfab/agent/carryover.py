"""Carrying the files of one root of a virtualenv over into another, without those of packages that go."""

from __future__ import absolute_import

import os
import stat

from .data_files import link_or_copy, make_like, refuse_unreadable, stamp
from .layout import is_below
from .metadata import is_leftover
from .ownership import source_of
from .protocol import Problem, text
from .shebangs import own_again


class Dropped(object):
    """The files of the distributions `gone` that belong to nobody else; raises `Problem` where that is not known."""

    def __init__(self, there, gone):
        self.files, self.folders, self.lines = set(), set(), set()
        # the folders that hold one of the files, or its bytecode
        self.touched = set()
        staying = set()
        for one in there:
            if one.name not in gone:
                staying |= one.files or set()
        for one in there:
            if one.name in gone:
                if one.files is None:
                    what = "%s cannot be replaced: it was installed by distutils, and nothing lists its files; remove it by hand"
                    raise Problem("unowned", what % one.shown_as)
                self.files |= one.files - staying
                self.folders |= one.folders
                self.lines |= one.lines
        for folder in set(os.path.dirname(file) for file in self.files):
            self.touched.update((folder, os.path.join(folder, "__pycache__")))

    def __contains__(self, path):
        name = os.path.basename(path)
        if path in self.files or path in self.folders:
            return True
        return name.endswith((".pyc", ".pyo")) and source_of(path) in self.files


NOTHING = Dropped([], ())


class Copying(object):
    """Bringing the files of one root into another by links, all but those in `drop`; `manifest` is what was there.

    Both are roots of the virtualenv that `layout` is of, or of a generation of it.
    """

    def __init__(self, layout, source, root, drop):
        self.path = layout.path
        self.switched = layout.folders
        self.below = tuple(folder + os.sep for folder in layout.folders)
        self.scripts = layout.scripts
        self.source = source
        self.root = root
        self.drop = drop
        self.manifest = []
        # the folders that come along, unless they become empty, and those of them that are made
        self.modes = {}
        self.made = set()
        # data files that were seen to
        self.seen = set()

    def folder(self, path):
        """A folder of the virtualenv, with all below it."""
        self.modes[path] = os.stat(os.path.join(self.source, path)).st_mode
        self.make(path)
        self.contents(path)

    def contents(self, path):
        """What is in a folder; one in which nothing stays is not made."""
        from_here, to_there, below = os.path.join(self.source, path, ""), os.path.join(self.root, path, ""), path + os.sep
        try:
            names = os.listdir(from_here)
        except EnvironmentError as error:
            refuse_unreadable(os.path.join(self.source, path), error)
            raise
        if not names:
            self.make(path)
        # thousands of files come here, and nearly all are only linked
        only_links = path not in self.drop.touched and path != self.scripts
        for name in names:
            status = os.lstat(from_here + name)
            if stat.S_ISDIR(status.st_mode):
                if below + name in self.drop or is_leftover(name):
                    self.note_all(below + name)
                else:
                    self.modes[below + name] = status.st_mode
                    self.contents(below + name)
            elif only_links and stat.S_ISREG(status.st_mode):
                self.note(below + name, status)
                self.make(path)
                link_or_copy(from_here + name, to_there + name)
            else:
                self.file(below + name, status)

    def make(self, path):
        """Make a folder where it is not made yet, and those above it, with the mode of the one in the source."""
        if path not in self.made:
            if os.path.dirname(path) in self.modes:
                self.make(os.path.dirname(path))
            target = os.path.join(self.root, path)
            os.mkdir(target)
            # it is to be filled, and removed one day, whatever its owner may do in the one that is there
            os.chmod(target, stat.S_IMODE(self.modes[path]) | stat.S_IRWXU)
            self.made.add(path)

    def note_all(self, path):
        """Note what is in a folder that does not come along."""
        for here, folders, names in os.walk(os.path.join(self.source, path)):
            linked = [name for name in folders if os.path.islink(os.path.join(here, name))]
            for name in names + linked:
                full = os.path.join(here, name)
                self.note(os.path.relpath(full, self.source), os.lstat(full))

    def note(self, path, status):
        """Note what is in the source; not bytecode, which Python writes when it likes."""
        if not path.endswith((".pyc", ".pyo")):
            self.manifest.append([text(path)] + stamp(status))

    def file(self, path, status):
        """A file or symbolic link; a pipe or socket is left."""
        self.note(path, status)
        if path in self.drop or not (stat.S_ISLNK(status.st_mode) or stat.S_ISREG(status.st_mode)):
            return
        folder = os.path.dirname(path)
        if folder in self.modes:
            self.make(folder)
        source, target = os.path.join(self.source, path), os.path.join(self.root, path)
        if stat.S_ISLNK(status.st_mode):
            os.symlink(self.link_of(path), target)
        elif folder != self.scripts or not own_again(source, target, self.path):
            link_or_copy(source, target)

    def link_of(self, path):
        """What a symbolic link is to say: one that leads to no copy says where that is, since the link lies deeper."""
        said = os.readlink(os.path.join(self.source, path))
        inside = os.path.normpath(os.path.join(os.path.dirname(path), said))
        if os.path.isabs(said) or not is_below(path, self.switched) or is_below(inside, self.switched):
            return said
        return os.path.normpath(os.path.join(self.path, inside))

    def data(self, files):
        """Those of `files` that lie outside of the folders that are switched: data files, and headers."""
        # most are among the packages, and need no look at the disk
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
        """The path of a file in the source without the links in it, as `lib64` is one; the same where they lead out."""
        folder, root = os.path.realpath(os.path.dirname(os.path.join(self.source, path))), os.path.realpath(self.source)
        inside = os.path.relpath(os.path.join(folder, os.path.basename(path)), root)
        return path if inside.startswith(os.pardir) else inside

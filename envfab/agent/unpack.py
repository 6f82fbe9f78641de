"""Unpacking a wheel into a folder of its own, its *tree*, from which virtualenvs get links (PEP 427, PEP 491).

A tree has the wheel's files by the install scheme's keys (`purelib`, `platlib`, `scripts`, `headers`, `data`), verified
against RECORD while they were written, and the bytecode compiled from them. `tree.json`, which is written last, lists
all of them; other files are not part of the tree.
"""

from __future__ import absolute_import

import calendar
import errno
import hashlib
import os
import re
import shutil
import stat
import threading
import warnings

from . import entry_points, pyc
from .files import content, has, regular
from .json_codec import dumps, loads
from .metadata import read_fields
from .protocol import native
from .wheel_cache import sync, sync_file_system
from .safe_zip import CHUNK, shown
from .wheel_file import DATA_KEYS, MOST_TEXT, WheelFile, encoded

FORMAT = 1
TREE = "tree.json"
NAME = re.compile("[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
NAMED = {"name", "version", "dist_info", "root", "umask", "files", "compiled", "console", "gui"}
MOST_TREE = 64 << 20
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
EARLIEST = 315532800  # 1980-01-01, where the times of zip files begin
PACKAGES = ("purelib", "platlib")
# files that are flushed at once, which a disk does together
SYNCED_AT_ONCE = 16


def unpack(wheel, folder, umask, compiled, bytecode=None):
    """Unpack the wheel at the path `wheel` into the new folder `folder`, with bytecode if `compiled`.

    `bytecode` ((key, path) → the bytes of a `.pyc`) is used instead of compiling, as far as it matches the sources. A
    failure removes the folder. Raises `Problem` of kind "wheel" for an invalid wheel, and EnvironmentError.
    """
    before = os.umask(umask)
    try:
        source = WheelFile(wheel)
        try:
            os.mkdir(folder)
            try:
                Unpacking(source, folder, umask).run(compiled, bytecode or {})
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        finally:
            source.close()
    finally:
        os.umask(before)


class Unpacking(object):
    """The unpacking of one wheel into one folder."""

    def __init__(self, wheel, folder, umask):
        self.wheel = wheel
        self.below = parts(folder)
        self.folder = folder
        self.umask = umask
        self.root = "purelib" if wheel.fields.get("root-is-purelib", "").lower() == "true" else "platlib"
        self.console, self.gui = self.scripts()
        self.folders = set()
        # (key, path) → (hash as in RECORD, size, time)
        self.files = {}
        # those of them that may be executed, as far as the file system tells
        self.executable = []
        self.compiled = []

    def scripts(self):
        """The scripts of the wheel's entry points, console and GUI."""
        path = self.wheel.dist_info + "/entry_points.txt"
        if path not in self.wheel.members:
            return [], []
        try:
            return entry_points.entry_points(self.wheel.read(path, MOST_TEXT))
        except UnicodeDecodeError:
            raise self.wheel.wrong("its entry_points.txt is not UTF-8")
        except ValueError as error:
            raise self.wheel.wrong(shown(error))

    def run(self, compiled, bytecode):
        """Write all files and flush them to the disk."""
        # of two files for one path, pip keeps the later: first those at the root, then data, then scripts
        for _, key, path, member in sorted(self.destinations()):
            self.write(key, path, member)
        if compiled and pyc.can_compile():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.compile(bytecode)
        written = [self.place(key, path) for key, path in self.files]
        written += [self.place(row[0], row[1]) for row in self.compiled]
        sync_all(written + sorted(self.folders))
        self.write_tree()
        sync_all([os.path.join(self.folder, TREE), self.folder])

    def destinations(self):
        """(order, key, path, member) of each member; the key is None for members that are not written."""
        scripts = set(entry[0] for entry in self.console + self.gui)
        for number, member in enumerate(self.wheel.members):
            top, slash, rest = member.partition("/")
            if not slash or not top.endswith(".data"):
                yield (0, number), self.root, member, member
                continue
            key, _, path = rest.partition("/")
            if key not in DATA_KEYS or not path:
                raise self.wheel.wrong("has a data folder that installers do not know: %s" % member)
            wrapper = key == "scripts" and entry_points.is_wrapper(path.rpartition("/")[2], scripts)
            yield (1 + (key == "scripts"), number), None if wrapper else key, path, member

    def place(self, key, path):
        """The path of a file of the tree."""
        return self.below[key] + native(path)

    def write(self, key, path, member):
        """Unpack and verify a member."""
        pieces = self.wheel.pieces(member)
        if key is None:
            for _ in pieces:
                pass
            return
        entry = self.wheel.members[member]
        file = self.below[key] + native(path)
        if (key, path) in self.files:
            os.unlink(file)
            self.executable = [one for one in self.executable if one != [key, path]]
        self.make_folder(file[: file.rindex(os.sep)])
        mode = entry.external_attr >> 16
        executable = stat.S_ISREG(mode) and mode & 0o111
        time = time_of(entry)
        write_file(file, pieces, time, 0o777 & ~self.umask | 0o111 if executable else None)
        self.files[key, path] = [self.hash_of(member), entry.file_size, time]
        if executable and os.stat(file).st_mode & 0o111:
            self.executable.append([key, path])

    def hash_of(self, member):
        """A member's hash in RECORD, or in RECORD's format."""
        if member in self.wheel.record:
            algorithm, digest, _ = self.wheel.record[member]
            return encoded(algorithm, digest)
        return encoded("sha256", hashlib.sha256(self.wheel.read(member, MOST_TREE)).digest())

    def make_folder(self, folder):
        """Make a folder and those above it, if needed."""
        if folder not in self.folders and folder != self.folder:
            self.make_folder(os.path.dirname(folder))
            os.mkdir(folder)
            self.folders.add(folder)

    def compile(self, bytecode):
        """Compile the packages' sources, except those whose bytecode the wheel contains or `bytecode` has."""
        for key, path in sorted(self.files):
            target = pyc.path_of(path)
            if key not in PACKAGES or not path.endswith(".py") or (key, target) in self.files:
                continue
            if (key, target.rpartition("/")[0]) in self.files:
                # there is a file with the name of the folder
                continue
            _, size, time = self.files[key, path]
            data = bytecode.get((key, target))
            if data is None or not pyc.is_of(data, time, size):
                data = pyc.compiled(content(self.place(key, path), size), native(path), time, size)
            if data is not None:
                file = self.place(key, target)
                self.make_folder(os.path.dirname(file))
                try:
                    write_file(file, [data], time, None)
                except EnvironmentError as error:
                    if error.errno == errno.ENAMETOOLONG:
                        # the source has nearly as long a name as a file may have; Python does without, too
                        continue
                    raise
                self.compiled.append([key, target, len(data), time])

    def write_tree(self):
        """Write `tree.json`; raises `Problem` if METADATA has no valid Name or Version."""
        key, base = self.root, self.wheel.dist_info
        fields = read_fields(self.place(key, base + "/METADATA"))
        if not fields or not fields["name"] or not fields["version"]:
            raise self.wheel.wrong("its METADATA has no Name or no Version")
        if not NAME.match(fields["name"][0]):
            # headers are placed in a folder of that name
            raise self.wheel.wrong("its METADATA has a Name that is not valid: %s" % shown(fields["name"][0]))
        found = {
            "format": FORMAT,
            "name": fields["name"][0],
            "version": fields["version"][0],
            "dist_info": base,
            "root": key,
            "umask": self.umask,
            "files": [[key, path] + self.files[key, path] for key, path in sorted(self.files)],
            "executable": sorted(self.executable),
            "compiled": self.compiled,
            "console": self.console,
            "gui": self.gui,
        }
        write_file(os.path.join(self.folder, TREE), [dumps(found).encode("utf-8")], None, None)


def time_of(entry):
    """The time of a member in seconds, with the archive's clock taken as UTC; 1980 if it is invalid."""
    try:
        return max(EARLIEST, calendar.timegm(entry.date_time + (0, 0, 0)))
    except (ValueError, OverflowError):
        return EARLIEST


def write_file(file, pieces, time, mode):
    """Write a new file with that content, time and mode; None for now, and for the umask's mode."""
    descriptor = os.open(file, NEW_FILE, 0o666)
    try:
        for piece in pieces:
            while piece:
                piece = piece[os.write(descriptor, piece) :]
        if mode is not None:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    if time is not None:
        os.utime(file, (time, time))


def sync_all(files):
    """Flush files, and the names in folders, to the disk, many at once; raises the first error."""
    waiting, errors = list(files), []
    if len(waiting) > SYNCED_AT_ONCE and sync_file_system(waiting[0]):
        return

    def work():
        try:
            while not errors:
                sync(waiting.pop())
        except IndexError:
            pass
        except EnvironmentError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(min(len(waiting), SYNCED_AT_ONCE))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def read_tree(folder):
    """The content of `tree.json` in a folder; None if it is missing or incomplete.

    {"format": 1, "name", "version" (as METADATA has them), "dist_info", "root" (the key that it lies below), "umask",
     "files": [[key, path, hash as RECORD has it, size, time in seconds], …],
     "executable": [[key, path], …] (trees of older versions of envfab do not have it),
     "compiled": [[key, path, size, time], …],
     "console": [[name, module, attribute], …], "gui": […]}
    """
    data = content(os.path.join(folder, TREE), MOST_TREE)
    try:
        found = loads((data or b"").decode("utf-8"))
        sound = found["format"] == FORMAT and NAMED.issubset(found)
        sound = sound and all(len(row) == 5 for row in found["files"]) and all(len(row) == 4 for row in found["compiled"])
        sound = sound and all(len(row) == 2 for row in found.get("executable", []))
        return found if sound else None
    except (ValueError, KeyError, TypeError, RuntimeError):
        # RuntimeError: nested too deeply
        return None


def is_whole(folder, reads=False):
    """Whether the files of the tree in `folder` are unchanged: by size and time, or by their hash if these differ.

    With `reads`, all that have a hash are compared by it: an edit may keep size and time. Bytecode has none.
    Takes a stat for each file. Bytecode whose size or time differs counts as changed, and so does any file of another
    owner, group or mode: it is shared by virtualenvs, and a `chmod` or `chown` in one of them is not meant for others.
    """
    found = read_tree(folder)
    if found is None:
        return False
    # no virtualenv has a link to it
    own = os.lstat(os.path.join(folder, TREE))
    plain = stat.S_IMODE(own.st_mode)
    # a file system may have other modes than the umask says
    executable = (plain | 0o111, 0o777 & ~found["umask"] | 0o111)
    either = (plain,) + executable
    noted = set(map(tuple, found["executable"])) if "executable" in found else None
    below = parts(folder)
    # bytecode has no hash in RECORD
    rows = found["files"] + [[key, path, None, size, time] for key, path, size, time in found["compiled"]]
    for key, path, recorded, size, time in rows:
        file = below[key] + native(path)
        status = regular(file)
        modes = either if noted is None else executable if (key, path) in noted else (plain,)
        if status is None or stat.S_IMODE(status.st_mode) not in modes:
            return False
        if (status.st_uid, status.st_gid) != (own.st_uid, own.st_gid):
            return False
        known = has(status, size, time) and not (reads and recorded)
        if not known and (recorded is None or not is_recorded(file, recorded)):
            return False
    return True


def parts(folder):
    """The beginnings of the paths of a tree's files, by key."""
    return dict((key, os.path.join(folder, native(key), "")) for key in DATA_KEYS)


def is_recorded(file, recorded):
    """Whether a regular file has that hash, which is in RECORD's format."""
    algorithm = recorded.partition("=")[0]
    if os.path.islink(file) or not os.path.isfile(file) or algorithm not in hashlib.algorithms_available:
        return False
    seen = hashlib.new(str(algorithm))
    try:
        with open(file, "rb") as stream:
            for piece in iter(lambda: stream.read(CHUNK), b""):
                seen.update(piece)
    except EnvironmentError:
        return False
    return encoded(algorithm, seen.digest()) == recorded

"""Taking away what an installation that was cut off had unpacked already, and that nobody would ever remove."""

from __future__ import absolute_import

import csv
import os
import shutil
import zipfile

from . import wheel_cache
from .metadata import DESCRIBED
from .journal import canonical
from .protocol import CHUNK, PY2, native, text
from .probe import site_folders

# where in a wheel's `.data` folder lies what belongs beside its other modules (PEP 427)
BESIDE = ("purelib", "platlib")


def sweep(agent, request, body):
    """Remove files of the cached wheels `wheels` (digests) that no distribution has in its RECORD: `{"removed": […]}`.

    One goes only if it holds what the wheel has, or the beginning of that: what somebody put there himself stays. And
    where a distribution does not tell which files are its own, nothing goes; but a dist-info of the projects `names`
    (canonical) that has no RECORD yet is itself unfinished, and goes first. Nothing outside the folders of packages
    is touched, whatever a member is called and wherever a link leads.
    """
    folders = site_folders(native(request["path"]))[0]
    removed = [text(info) for info in unfinished(folders, request["names"])]
    for info in removed:
        shutil.rmtree(native(info))
    owned = owned_files(folders)
    if owned is None:
        return {"removed": removed}
    for digest in request["wheels"]:
        place = os.path.join(wheel_cache.folder(agent.path), native(digest))
        try:
            archive = zipfile.ZipFile(place)
        except (EnvironmentError, zipfile.BadZipfile):
            # not there any more, or damaged: what came of it cannot be told
            continue
        with archive:
            for member, file in unpacked(archive, folders):
                if os.path.normpath(file) not in owned and began(archive, member, file):
                    remove(file, owned, folders)
                    removed.append(text(file))
    return {"removed": removed}


def unfinished(folders, names):
    """The dist-info folders of `names` that an installer had begun: it writes their RECORD last."""
    for folder in folders:
        for name in os.listdir(folder):
            full = os.path.join(folder, name)
            if name.endswith(".dist-info") and canonical(name.split("-")[0]) in names:
                if not os.path.lexists(os.path.join(full, "RECORD")) and not os.path.islink(full):
                    yield full


def unpacked(archive, folders):
    """(member, file) of all members of a wheel for which there is a file where they are unpacked to."""
    for member in archive.infolist():
        name = inside(native(text(member.filename)))
        for folder in folders if name else ():
            file = os.path.join(folder, name)
            if os.path.isfile(file) and not os.path.islink(file) and is_below(file, folder):
                yield member, file


def is_below(file, folder):
    """Whether a file lies in a folder or below it, once `..` and links on the way are followed."""
    return os.path.realpath(file).startswith(os.path.realpath(folder) + os.sep)


def inside(member):
    """Where below a folder of packages a wheel's member is unpacked to; None for what goes elsewhere."""
    top, _, rest = member.partition("/")
    if top.endswith(".data"):
        scheme, _, rest = rest.partition("/")
        return rest if scheme in BESIDE and rest else None
    return None if member.endswith("/") or top.endswith(".dist-info") else member


def owned_files(folders):
    """The files that the distributions name as theirs; None where one of them names none."""
    owned = set()
    for folder in folders:
        for name in os.listdir(folder):
            if not name.endswith(DESCRIBED) or name.startswith("~"):
                continue
            # setuptools writes them relative to its own folder
            is_wheel = name.endswith(".dist-info")
            base = folder if is_wheel else os.path.join(folder, name)
            record = os.path.join(folder, name, "RECORD" if is_wheel else "installed-files.txt")
            if not os.path.isfile(record):
                return None
            with open(record, "rb") if PY2 else open(record, encoding="utf-8", newline="") as stream:
                owned.update(os.path.normpath(os.path.join(base, row[0])) for row in csv.reader(stream) if row)
    return owned


def began(archive, member, file):
    """Whether a file holds what a member of the archive does, or as much of it as was written."""
    with open(file, "rb") as written, archive.open(member) as whole:
        while True:
            data = written.read(CHUNK)
            if not data:
                return True
            if whole.read(len(data)) != data:
                return False


def remove(file, owned, folders):
    """Remove a file, its bytecode, and the folders that are empty without them."""
    os.unlink(file)
    parent, name = os.path.split(file)
    compiled = os.path.join(parent, "__pycache__")
    if name.endswith(".py") and os.path.isdir(compiled):
        for entry in os.listdir(compiled):
            full = os.path.join(compiled, entry)
            if entry.startswith(name[:-2]) and entry.endswith(".pyc") and os.path.normpath(full) not in owned:
                os.unlink(full)
        remove_empty(compiled)
    while parent not in folders and remove_empty(parent):
        parent = os.path.dirname(parent)


def remove_empty(folder):
    """Remove a folder if nothing is in it; whether that was so."""
    try:
        os.rmdir(folder)
        return True
    except EnvironmentError:
        return False


OPERATIONS = {"sweep": sweep}

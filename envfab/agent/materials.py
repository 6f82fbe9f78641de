"""The materials of a bill: what the distributions of a virtualenv contain beside Python, and what its interpreter is linked with.

That is what METADATA says of licences, the digests of licence texts, the bills of materials that wheels bring along
(PEP 770), and the shared libraries that are bundled in wheels.
"""

from __future__ import absolute_import

import base64
import binascii
import csv
import hashlib
import os
import re
import stat
import zlib

from .files import content
from .metadata import MOST, fields_of, scan, zipped
from .probe import site_folders
from .protocol import PY2, SURROGATES, native, text

FIELDS = ("license-expression", "license", "license-file", "classifier")
LICENSES = "License ::"
# characters of what METADATA says of licences; the whole text of one is longer
MOST_SAID = 2000
# files of a kind, in a distribution and in all
MOST_FILES, MOST_IN_ALL = 2000, 20000
# bytes of RECORD; of a bill of materials in a wheel, and of all that are sent
MOST_RECORD, MOST_DOCUMENT, MOST_DOCUMENTS = 32 << 20, 1 << 20, 8 << 20
# bytes of a row of RECORD; no path that a system can open is longer
LONGEST_ROW = 4096
# parts of the lines in RECORD that are of interest here
HINTS = re.compile(br"\.dist-info/|\.so\b|\.dylib|\.dll", re.IGNORECASE)
# how libraries are named, and not the extension modules of Python: libssl.so.3, libfoo.1.dylib
LIBRARY = re.compile(r"lib[^/]*\.so(\.[0-9]+)*$|[^/]*\.so(\.[0-9]+)+$|[^/]*\.dylib$")
BUNDLED = re.compile(r"[^/]*\.(so|dylib|dll)(\.[0-9]+)*$", re.IGNORECASE)
EXTENSION = re.compile(r"\.(abi3|(cpython|pypy)[^/]*)\.(so|dylib)$")
# texts of licences in wheels that are older than PEP 639
LICENSE_TEXT = re.compile(r"(licen[cs]e|copying|notice)[^/]*$", re.IGNORECASE)
PIECE = 1 << 20
# binaries that may have OpenSSL in them, by their paths; the text by which it tells its version, and its longest
MAY_HAVE_OPENSSL = re.compile(r"(ssl|crypto).*\.(so|dylib)(\.[0-9]+)*$", re.IGNORECASE)
OPENSSL = re.compile(br"OpenSSL [0-9]+\.[0-9]+\.[0-9]+[a-z]{0,2} {1,2}[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4}")
LONGEST_TEXT = 64
# bytes of binaries that are searched for it, of a virtualenv
MOST_SEARCHED = 256 << 20


def materials(agent, request, body):
    """Tell the materials of the virtualenv's own distributions, and what its interpreter is linked with.

        {"linked": {"openssl": version as the library tells it, or None, …},
         "distributions": [{"name", "expression": text or None, "license": text or None, "classifiers": […],
                            "license_files": [[path, SHA-256 in hex or None], …], "libraries": [the same],
                            "openssl": [[path, version as OpenSSL tells it in that file], …],
                            "documents": [{"path", "size", "packed": zlib in base64, or None}, …],
                            "cut": whether there are more files than were listed}, …]}

    Paths are relative to the folder of packages, as in RECORD. A document is not sent if it is too large, or not a file.
    """
    path = native(request["path"])
    own, _ = site_folders(path)
    found, left = [], Left()
    for folder in own:
        entries = []
        scan(folder, entries, {"leftovers": [], "damaged": []})
        found += [described(path, folder, entry, left) for entry in entries]
    return {"linked": linked(), "distributions": found}


class Left(object):
    """How many files, and bytes of documents, may still be told, and how many bytes searched."""

    def __init__(self):
        self.files = MOST_IN_ALL
        self.bytes = MOST_DOCUMENTS
        self.searched = MOST_SEARCHED

    def some(self, paths):
        """Return (those paths that may be told, whether these are not all)."""
        told = paths[: min(MOST_FILES, self.files)]
        self.files -= len(told)
        return told, len(told) < len(paths)


def described(path, folder, entry, left):
    """Return the materials of a distribution; only wheels have a RECORD, which tells its files."""
    at = native(entry["at"])
    fields = fields_of(metadata_of(at) or b"", FIELDS)
    info = os.path.basename(at)
    recorded = rows_of(os.path.join(at, "RECORD")) if at.endswith(".dist-info") else {}
    named = set(native(name) for name in fields["license-file"])
    listed = sorted(recorded or ())
    licenses, cut_licenses = left.some([one for one in listed if is_license(one, info, named)])
    libraries, cut_libraries = left.some([one for one in listed if is_library(one)])
    documents, cut_documents = left.some([one for one in listed if one.startswith(info + "/sboms/")])
    files = Files(path, folder, recorded or {})
    return {
        "name": entry["name"],
        "expression": first(fields["license-expression"]),
        "license": first(fields["license"]),
        "classifiers": [one[:MOST_SAID] for one in fields["classifier"] if one.startswith(LICENSES)][:MOST_FILES],
        "license_files": [[text(one), files.sha256(one)] for one in licenses if files.has(one)],
        "libraries": [[text(one), files.sha256(one)] for one in libraries if files.has(one)],
        "openssl": [[text(one), found] for one, found in files.openssl(listed, left)],
        "documents": [document(files, one, left) for one in documents],
        "cut": recorded is None or cut_licenses or cut_libraries or cut_documents,
    }


def metadata_of(at):
    """Return the bytes of the METADATA or PKG-INFO of a distribution; None if it cannot be read."""
    if at.endswith(".dist-info"):
        return content(os.path.join(at, "METADATA"), MOST, whole=False)
    if not os.path.isdir(at):
        return zipped(at, "PKG-INFO") if at.endswith(".egg") else content(at, MOST, whole=False)
    inside = "EGG-INFO/PKG-INFO" if at.endswith(".egg") else "PKG-INFO"
    return content(os.path.join(at, inside), MOST, whole=False)


def first(values):
    """Return the beginning of the first value; None if there is none."""
    return values[0][:MOST_SAID] if values else None


def rows_of(record):
    """Return {path: hash} of the rows of RECORD that may matter here; None if it cannot be read."""
    data = content(record, MOST_RECORD)
    if data is None:
        return None
    # no file has NUL in its name
    lines = [line for line in data.splitlines() if HINTS.search(line) and b"\0" not in line and len(line) < LONGEST_ROW]
    try:
        rows = list(csv.reader(lines if PY2 else [line.decode("utf-8", *SURROGATES) for line in lines]))
    except csv.Error:
        return None
    return dict((os.path.normpath(native(row[0])), row[1] if len(row) > 1 else "") for row in rows if row)


def is_license(path, info, named):
    """Return whether a file is the text of a licence: by PEP 639, by the fields `named`, or by what it is called."""
    folder, _, inside = path.partition("/")
    if folder != info:
        return False
    return inside.startswith("licenses/") or inside in named or LICENSE_TEXT.match(inside) is not None


def is_library(path):
    """Return whether a file is a shared library that does not extend Python itself."""
    folders = path.split("/")
    name = folders.pop()
    if any(folder.endswith((".libs", ".dylibs")) for folder in folders):
        return BUNDLED.match(name) is not None
    return LIBRARY.match(name) is not None and not EXTENSION.search(name)


class Files(object):
    """The files of a distribution, of which `recorded` has the hashes, by paths relative to a folder of packages."""

    def __init__(self, virtualenv, folder, recorded):
        self.folder, self.recorded = folder, recorded
        self.above = os.path.realpath(virtualenv) + os.sep

    def has(self, path):
        """Return whether a file exists, and is in the virtualenv: RECORD may name anything, and files may be links."""
        return self.size(path) is not None

    def size(self, path):
        """Return the size of a file that `has` finds; else None."""
        full = os.path.join(self.folder, path)
        try:
            status = os.stat(full)
        except EnvironmentError:
            return None
        is_inside = stat.S_ISREG(status.st_mode) and os.path.realpath(full).startswith(self.above)
        return status.st_size if is_inside else None

    def sha256(self, path):
        """Return the SHA-256 of a file that exists, as RECORD has it, else from its content; None if it cannot be read."""
        algorithm, _, value = self.recorded[path].partition("=")
        try:
            if algorithm == "sha256":
                known = base64.urlsafe_b64decode(str(value) + "=" * (-len(value) % 4))
                if len(known) == hashlib.sha256().digest_size:
                    return text(binascii.hexlify(known))
        except (ValueError, TypeError):
            # what is recorded is not base64
            pass
        return self.hashed(path)

    def hashed(self, path):
        """Return the SHA-256 of a file's content; None if it cannot be read."""
        seen = hashlib.sha256()
        try:
            descriptor = os.open(os.path.join(self.folder, path), os.O_RDONLY | os.O_NONBLOCK)
        except EnvironmentError:
            return None
        try:
            piece = os.read(descriptor, PIECE)
            while piece:
                seen.update(piece)
                piece = os.read(descriptor, PIECE)
        except EnvironmentError:
            return None
        finally:
            os.close(descriptor)
        return text(seen.hexdigest())


    def openssl(self, paths, left):
        """Yield (path, version as OpenSSL tells it) of binaries that have it in them, bundled or linked statically."""
        for path in [one for one in paths if MAY_HAVE_OPENSSL.search(one)][:MOST_FILES]:
            if self.has(path):
                found = self.searched(path, left)
                if found is not None:
                    yield path, found

    def searched(self, path, left):
        """Return the text in a binary by which OpenSSL tells its version; None if there is none."""
        end = b""
        try:
            descriptor = os.open(os.path.join(self.folder, path), os.O_RDONLY | os.O_NONBLOCK)
        except EnvironmentError:
            return None
        try:
            piece = os.read(descriptor, PIECE)
            while piece and left.searched > 0:
                left.searched -= len(piece)
                found = OPENSSL.search(end + piece)
                if found is not None:
                    return found.group().decode("ascii")
                end = piece[-LONGEST_TEXT:]
                piece = os.read(descriptor, PIECE)
        except EnvironmentError:
            pass
        finally:
            os.close(descriptor)
        return None


def document(files, path, left):
    """Return a bill of materials that a wheel brought along: its content, unless it is too large or cannot be read."""
    size = files.size(path)
    data = content(os.path.join(files.folder, path), MOST_DOCUMENT) if size is not None else None
    if data is None or len(data) > left.bytes:
        return {"path": text(path), "size": size or 0, "packed": None}
    left.bytes -= len(data)
    return {"path": text(path), "size": len(data), "packed": text(base64.b64encode(zlib.compress(data)))}


def linked():
    """Return the versions of libraries that the interpreter itself is linked with; None where it does not tell."""
    return {
        "openssl": told("ssl", "OPENSSL_VERSION"),
        "sqlite": told("sqlite3", "sqlite_version"),
        "zlib": told("zlib", "ZLIB_RUNTIME_VERSION", "ZLIB_VERSION"),
        "expat": told("pyexpat", "EXPAT_VERSION"),
    }


def told(module, *names):
    """Return the first of these texts that a module of the standard library has; None if it cannot be imported."""
    try:
        loaded = __import__(module)
    except Exception:  # noqa: BLE001 - a library of the system that does not fit raises anything
        return None
    values = [getattr(loaded, name, None) for name in names]
    return next((text(value) for value in values if isinstance(value, (str, bytes))), None)


OPERATIONS = {"materials": materials}

"""An untrusted zip file: its directory is checked before any member is read, and members are read in bounded pieces.

The managing side checks the same when a wheel is added: a rule that changes here changes in `wheelhouse.safe_zip` as well.
"""

from __future__ import absolute_import

import os
import re
import stat
import struct
import zipfile
import zlib
from collections import OrderedDict

from .protocol import PY2, Problem, text

CHUNK = 1 << 20
LOCAL_HEADER = struct.Struct("<4s22xHH")
MAGIC = b"PK\x03\x04"
EXTRA_HEAD = struct.Struct("<HH")
# Info-ZIP's Unicode path (APPNOTE 4.6.9): a second name of a member, which CPython 3.12 and later use instead
UNICODE_PATH = 0x7075
UNICODE_PATH_HEAD = 5
ENCRYPTED, UTF8 = 0x1, 0x800
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# members, unpacked bytes, and unpacked bytes for each byte of the file, which is checked from SLACK bytes on
MOST_MEMBERS, MOST_BYTES, MOST_RATIO, SLACK = 100000, 16 << 30, 200, 32 << 20
# characters that move a terminal's cursor, end a line, or change the direction of writing
ENDS_AND_TURNS = b"[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]"
HARMFUL = re.compile(ENDS_AND_TURNS.decode("unicode_escape"))
DRIVE = re.compile("[A-Za-z]:")
DAMAGE = (
    # its name in 2.7
    getattr(zipfile, "BadZipFile", None) or zipfile.BadZipfile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class SafeZip(object):
    """An open zip file; `members` has its files by path (as text), in the order of the archive's directory.

    Raises a `Problem` of kind "wheel", with the file's name, for whatever is wrong with it, and EnvironmentError.
    """

    def __init__(self, path):
        self.name = text(os.path.basename(path))
        self._stream = open(path, "rb")
        try:
            self.size = os.fstat(self._stream.fileno()).st_size
            self.members = self._directory()
            self.look()
        except DAMAGE as error:
            self.close()
            raise self.damaged(error)
        except BaseException:
            self.close()
            raise

    def look(self):
        """Read and check what subclasses need before anything else; called once the directory was checked."""

    def close(self):
        """Close the file."""
        self._stream.close()

    def wrong(self, what):
        """The `Problem` that `what` is wrong with this wheel."""
        return Problem("wheel", "%s: %s" % (self.name, what))

    def damaged(self, error):
        """The `Problem` for an error of zipfile or zlib."""
        # EOFError and some errors of struct have no text
        return self.wrong("is damaged or cut short (%s)" % (shown(error) or "it ends too early"))

    def _directory(self):
        """The members, all of them checked; those for folders are left out."""
        if self._stream.read(len(MAGIC)) != MAGIC:
            raise self.wrong("is not a wheel: it does not begin like a zip file")
        entries = zipfile.ZipFile(self._stream).infolist()
        if len(entries) > MOST_MEMBERS:
            raise self.wrong("has %d members; %d are allowed" % (len(entries), MOST_MEMBERS))
        self._check_sizes(entries)
        seen = {}
        files = []
        for entry in entries:
            path = self._path(entry)
            if path in seen:
                raise self.wrong("has two members named %s" % path)
            seen[path] = entry
            if not path.endswith("/"):
                files.append(path)
        self._check_folders(files)
        return OrderedDict((path, seen[path]) for path in files)

    def _path(self, entry):
        """The path of a member, in Unicode; raises `Problem` if the member must not be unpacked."""
        path = name_of(entry)
        for other in other_names(entry, path):
            raise self.wrong("has a member with two names: %s and %s" % (shown(path), shown(other)))
        parts = (path[:-1] if path.endswith("/") else path).split("/")
        if HARMFUL.search(path) or "\\" in path or DRIVE.match(path) or {"", ".", ".."}.intersection(parts):
            raise self.wrong("has a member with an unsafe path: %s" % shown(path))
        self._check_kind(entry, path)
        return path

    def _check_kind(self, entry, path):
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise self.wrong("has a member that is a link or a special file: %s" % path)
        if entry.flag_bits & ENCRYPTED:
            raise self.wrong("has an encrypted member: %s" % path)
        if entry.compress_type not in METHODS:
            raise self.wrong("has a member that is neither stored nor deflated: %s" % path)
        if path.endswith("/") and entry.file_size:
            raise self.wrong("has a folder entry with contents: %s" % path)

    def _check_sizes(self, entries):
        """Refuse zip bombs: members that unpack to far more bytes than the file has, or that overlap."""
        total = sum(entry.file_size for entry in entries)
        if total > MOST_BYTES or (total > SLACK and total > MOST_RATIO * self.size):
            raise self.wrong("would unpack to %d bytes; it looks like a zip bomb" % total)
        end = 0
        for entry in sorted(entries, key=lambda entry: entry.header_offset):
            if entry.header_offset < end:
                raise self.wrong("has members that overlap; it looks like a zip bomb")
            end = entry.header_offset + LOCAL_HEADER.size + entry.compress_size

    def _check_folders(self, files):
        known = set(files)
        for folder in set(path.rpartition("/")[0] for path in files):
            while folder:
                if folder in known:
                    raise self.wrong("has a member that is a file and a folder: %s" % folder)
                folder = folder.rpartition("/")[0]

    def read(self, path, most):
        """A member's bytes; raises `Problem` if it is larger than `most` bytes, or does not match its checksum."""
        entry = self.members[path]
        if entry.file_size > most:
            raise self.wrong("%s is larger than %d bytes" % (path, most))
        data = b"".join(self.raw_pieces(path))
        if zlib.crc32(data) & 0xFFFFFFFF != entry.CRC:
            raise self.wrong("is damaged: %s does not match its checksum" % path)
        return data

    def small(self, path):
        """The bytes of a member of at most `CHUNK`; raises `Problem` if there are more or fewer than the directory says.

        A wheel has thousands of these, and this takes one call for each, instead of one for each piece.
        """
        entry = self.members[path]
        try:
            self._seek(entry)
            data = self._stream.read(entry.compress_size)
            if len(data) != entry.compress_size:
                raise EOFError()
            if entry.compress_type == zipfile.ZIP_DEFLATED:
                # one byte more than announced, to see whether there are more
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, entry.file_size + 1)
        except DAMAGE as error:
            raise self.damaged(error)
        if len(data) != entry.file_size:
            raise self.other_size(path)
        return data

    def other_size(self, path):
        """The `Problem` with a member that is longer or shorter than announced."""
        return self.wrong("the size of %s is not that in the archive's directory" % path)

    def raw_pieces(self, path):
        """A member's bytes in pieces; raises `Problem` if there are more or fewer than the directory says."""
        entry = self.members[path]
        left = entry.file_size
        try:
            for piece in self._unpacked(entry):
                left -= len(piece)
                if left < 0:
                    break
                yield piece
        except DAMAGE as error:
            raise self.damaged(error)
        if left:
            raise self.other_size(path)

    def _seek(self, entry):
        """Go to the first byte of a member's data."""
        self._stream.seek(entry.header_offset)
        magic, name, extra = LOCAL_HEADER.unpack(self._stream.read(LOCAL_HEADER.size))
        if magic != MAGIC:
            raise EOFError("a member is not where the directory says")
        self._stream.seek(name + extra, os.SEEK_CUR)

    def _unpacked(self, entry):
        stream = self._stream
        self._seek(entry)
        packed = entry.compress_size
        inflate = zlib.decompressobj(-zlib.MAX_WBITS) if entry.compress_type == zipfile.ZIP_DEFLATED else None
        while packed:
            data = stream.read(min(packed, CHUNK))
            if not data:
                raise EOFError()
            packed -= len(data)
            while data and inflate:
                yield inflate.decompress(data, CHUNK)
                data = inflate.unconsumed_tail
            if data:
                yield data
        rest = inflate.flush() if inflate else b""
        if rest:
            yield rest


def name_of(entry):
    """The name in a member's header, in Unicode: by the zip format UTF-8 if its flag is set, else code page 437."""
    name = entry.orig_filename
    return name.decode("utf-8" if entry.flag_bits & UTF8 else "cp437") if isinstance(name, bytes) else name


def other_names(entry, name):
    """The names of a member that differ from that in its header; some versions of Python unpack to those."""
    if not PY2 and entry.filename not in (name, name.partition("\0")[0]):
        yield entry.filename
    extra = entry.extra
    while len(extra) >= EXTRA_HEAD.size:
        kind, size = EXTRA_HEAD.unpack_from(extra)
        content, extra = extra[EXTRA_HEAD.size :][:size], extra[EXTRA_HEAD.size + size :]
        if kind == UNICODE_PATH:
            other = content[UNICODE_PATH_HEAD:].decode("utf-8", "replace")
            if other != name:
                yield other


def shown(value):
    """A text from a wheel, or an error, for messages: one line, of limited length, without control characters."""
    found = value if hasattr(value, "encode") else str(value)
    found = text(found) if isinstance(found, bytes) else found
    return HARMFUL.sub(lambda match: "\\u%04x" % ord(match.group()), found)[:200]

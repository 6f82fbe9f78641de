"""A wheel file on this host: its WHEEL, its RECORD, and its files, each compared with RECORD.

The wheel was validated when it was added to the wheelhouse. Here it is only checked for what could harm this host, and
that its files match RECORD.
"""

from __future__ import absolute_import

import base64
import binascii
import csv
import hashlib
import io

from .json_codec import whole
from .protocol import PY2
from .safe_zip import CHUNK, SafeZip, shown

MOST_TEXT, MOST_RECORD = 16 << 20, 64 << 20
SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
HASHES = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
EXEMPT = ("RECORD", "RECORD.jws", "RECORD.p7s")
DATA_KEYS = ("purelib", "platlib", "headers", "scripts", "data")


class WheelFile(SafeZip):
    """An open wheel; raises as `SafeZip` does.

    `dist_info` is the name of the `.dist-info` folder, `fields` are those of WHEEL by name in lower case, `record` maps
    paths to (algorithm, digest, size or None).
    """

    def look(self):
        """Read WHEEL and RECORD."""
        self.dist_info = self._dist_info()
        self.fields = self._fields()
        self.record = self._record()

    def _dist_info(self):
        """The name of the only `.dist-info` folder."""
        found = sorted(set(path.partition("/")[0] for path in self.members if ".dist-info/" in path))
        found = [folder for folder in found if folder.endswith(".dist-info")]
        if len(found) != 1:
            raise self.wrong("has %d dist-info folders: %s" % (len(found), ", ".join(found) or "none"))
        for name in ("METADATA", "WHEEL", "RECORD"):
            if "%s/%s" % (found[0], name) not in self.members:
                raise self.wrong("is not a wheel: it has no %s/%s" % (found[0], name))
        return found[0]

    def _fields(self):
        """The fields of WHEEL by name in lower case; of two with the same name, the first counts."""
        fields = {}
        for line in self.read(self.dist_info + "/WHEEL", MOST_TEXT).decode("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip().lower(), value.strip())
        version = fields.get("wheel-version", "")
        if version.partition(".")[0] != "1":
            raise self.wrong("is a wheel of format %s; this envfab reads 1.x" % (shown(version) or "unknown"))
        return fields

    def _record(self):
        """The entries of RECORD: path → (algorithm, digest, size or None)."""
        recorded = {}
        try:
            for row in rows(self.read(self.dist_info + "/RECORD", MOST_RECORD)):
                if row and not self.is_exempt(row[0]):
                    self._add_to_record(recorded, *(row + ["", ""])[:3])
        except (csv.Error, ValueError) as error:
            raise self.wrong("its RECORD cannot be read: %s" % shown(error))
        return recorded

    def _add_to_record(self, recorded, path, digest, size):
        if path not in self.members:
            # old wheels that were built on Windows
            path = path.replace("\\", "/")
        if path not in self.members:
            raise self.wrong("lacks a file that its RECORD lists: %s" % shown(path))
        if path in recorded:
            raise self.wrong("its RECORD lists %s twice" % path)
        algorithm, _, encoded = digest.partition("=")
        expected = decoded(encoded)
        if SIZES.get(algorithm.lower()) != len(expected):
            raise self.wrong("its RECORD has no valid hash for %s" % path)
        recorded[path] = (str(algorithm.lower()), expected, whole(size) if size.strip() else None)

    def is_exempt(self, path):
        """Whether a member needs no hash in RECORD: RECORD itself and its signatures."""
        folder, _, name = path.rpartition("/")
        return folder == self.dist_info and name in EXEMPT

    def pieces(self, path):
        """A member's bytes in pieces; raises `Problem`, at the end, if they do not match RECORD."""
        if self.is_exempt(path):
            return [self.read(path, MOST_RECORD)]
        if path not in self.record:
            raise self.wrong("has a file that its RECORD does not list: %s" % path)
        if max(self.members[path].file_size, self.members[path].compress_size) > CHUNK:
            return self._compared_pieces(path)
        data = self.small(path)
        self._compare(path, HASHES[self.record[path][0]](data))
        return [data]

    def _compared_pieces(self, path):
        seen = HASHES[self.record[path][0]]()
        for piece in self.raw_pieces(path):
            seen.update(piece)
            yield piece
        self._compare(path, seen)

    def _compare(self, path, seen):
        """Raise `Problem` if a member's hash or size does not match RECORD."""
        entry = self.members[path]
        algorithm, expected, size = self.record[path]
        if seen.digest() != expected:
            raise self.wrong("%s does not match its RECORD: the %s differs" % (path, algorithm))
        if size not in (None, entry.file_size):
            raise self.wrong("%s has %d bytes, its RECORD says %d" % (path, entry.file_size, size))


def rows(data):
    """The rows of a CSV file in UTF-8, each a list of strings."""
    if PY2:
        data.decode("utf-8")
        return [[field.decode("utf-8") for field in row] for row in csv.reader(io.BytesIO(data))]
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))


def decoded(encoded):
    """The bytes of a hash in RECORD, with or without padding; empty if it is invalid."""
    encoded = encoded.strip().rstrip("=")
    try:
        return base64.urlsafe_b64decode((encoded + "=" * (-len(encoded) % 4)).encode("ascii"))
    except (binascii.Error, TypeError, ValueError):
        return b""


def encoded(algorithm, digest):
    """A hash in the format of RECORD: urlsafe base64 without padding."""
    return "%s=%s" % (algorithm, base64.urlsafe_b64encode(digest).decode("ascii").rstrip("="))

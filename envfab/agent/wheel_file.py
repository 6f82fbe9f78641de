"""A wheel file as this host has it: what its WHEEL and its RECORD say, and each file compared with RECORD.

The managing side looked at the wheel when it came into the wheelhouse. Here counts what could do harm on this host, and
that what is unpacked is what RECORD says.
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
    """An open wheel; every failure is a `Problem`, as of any archive.

    `dist_info` is the folder that describes the distribution, `fields` are those of WHEEL, `record` is what RECORD says.
    """

    def look(self):
        """Read what says what the other members are."""
        self.dist_info = self._dist_info()
        self.fields = self._fields()
        self.record = self._record()

    def _dist_info(self):
        """The name of the one folder that describes the distribution."""
        found = sorted(set(path.partition("/")[0] for path in self.members if ".dist-info/" in path))
        found = [folder for folder in found if folder.endswith(".dist-info")]
        if len(found) != 1:
            raise self.wrong("has %d dist-info folders: %s" % (len(found), ", ".join(found) or "none"))
        for name in ("METADATA", "WHEEL", "RECORD"):
            if "%s/%s" % (found[0], name) not in self.members:
                raise self.wrong("is not a wheel: it has no %s/%s" % (found[0], name))
        return found[0]

    def _fields(self):
        """The fields of WHEEL by their names in lower case; the first counts."""
        fields = {}
        for line in self.read(self.dist_info + "/WHEEL", MOST_TEXT).decode("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip().lower(), value.strip())
        version = fields.get("wheel-version", "")
        if version.partition(".")[0] != "1":
            raise self.wrong("is a wheel of format %s; this envfab reads 1.x" % (shown(version) or "unknown"))
        return fields

    def _record(self):
        """What RECORD says: path → (algorithm, digest, size or None)."""
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
            # wheels that were built on Windows, long ago
            path = path.replace("\\", "/")
        if path not in self.members:
            raise self.wrong("lacks a file that its RECORD lists: %s" % shown(path))
        if path in recorded:
            raise self.wrong("its RECORD lists %s twice" % path)
        algorithm, _, encoded = digest.partition("=")
        expected = decoded(encoded)
        if SIZES.get(algorithm.lower()) != len(expected):
            raise self.wrong("its RECORD has no hash, or one that is not allowed, for %s" % path)
        recorded[path] = (str(algorithm.lower()), expected, whole(size) if size.strip() else None)

    def is_exempt(self, path):
        """Whether RECORD does not vouch for a member: itself, and its signatures."""
        folder, _, name = path.rpartition("/")
        return folder == self.dist_info and name in EXEMPT

    def pieces(self, path):
        """The bytes of a member, in pieces; raises the problem, at the end, where they are not as RECORD says."""
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
        """Raise the problem where a member's hash or size is not as RECORD says."""
        entry = self.members[path]
        algorithm, expected, size = self.record[path]
        if seen.digest() != expected:
            raise self.wrong("%s is not what its RECORD says: the %s differs" % (path, algorithm))
        if size not in (None, entry.file_size):
            raise self.wrong("%s has %d bytes, its RECORD says %d" % (path, entry.file_size, size))


def rows(data):
    """The rows of a CSV file in UTF-8, each a list of texts."""
    if PY2:
        data.decode("utf-8")
        return [[field.decode("utf-8") for field in row] for row in csv.reader(io.BytesIO(data))]
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))


def decoded(encoded):
    """The bytes that a hash in RECORD is, with or without padding; none where it is none."""
    encoded = encoded.strip().rstrip("=")
    try:
        return base64.urlsafe_b64decode((encoded + "=" * (-len(encoded) % 4)).encode("ascii"))
    except (binascii.Error, TypeError, ValueError):
        return b""


def encoded(algorithm, digest):
    """A hash as RECORD has it: urlsafe base64, without padding."""
    return "%s=%s" % (algorithm, base64.urlsafe_b64encode(digest).decode("ascii").rstrip("="))

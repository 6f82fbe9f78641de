"""Known host keys: known_hosts files, by OpenSSH's sshd(8) manual ("SSH_KNOWN_HOSTS FILE FORMAT").

Only lines that may match the host are parsed, so that thousands of others cost little.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from envfab.errors import HostKeyError

# hashes and wildcards; a line without these contains the host's name
_MAY_MEAN_OTHER_NAMES = re.compile(rb"[|*?]")
STRICT, ACCEPT_NEW, OFF = "strict", "accept-new", "off"


class UnknownHostKey(HostKeyError):
    """Raised for a host without a known key."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that known_hosts has for a host; `origin` is its file and line, `revoked` whether it is marked so."""

    kind: str
    blob: bytes
    revoked: bool
    origin: str


def lookup_name(host: str, port: int, alias: str | None) -> str:
    """Return a host's name in known_hosts: its alias, its name, or `[name]:port`, in lower case."""
    if alias:
        return alias.lower()
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def known_keys(name: str, files: Iterable[Path]) -> list[KnownKey]:
    """Read all keys for `name` from `files`; files that cannot be read have none."""
    found = []
    wanted = name.encode()
    for file in files:
        try:
            lines = file.read_bytes().splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            if wanted not in line.lower() and not _MAY_MEAN_OTHER_NAMES.search(line):
                continue
            key = _known_key(line, name, f"{file}:{number}")
            if key is not None:
                found.append(key)
    return found


def _known_key(line: bytes, name: str, origin: str) -> KnownKey | None:
    fields = line.split()
    if not fields or fields[0].startswith(b"#"):
        return None
    revoked = False
    if fields[0].startswith(b"@"):
        # the key of a certificate authority is not a host key, and Paramiko does not support host certificates
        if fields[0] != b"@revoked":
            return None
        revoked, fields = True, fields[1:]
    if len(fields) < 3 or not matches(fields[0].decode("utf-8", "replace"), name):
        return None
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except binascii.Error:
        return None
    return KnownKey(fields[1].decode("ascii", "replace"), blob, revoked, origin)


def matches(patterns: str, name: str) -> bool:
    """Return whether a known_hosts line's first field matches `name`: hashed, or patterns with `*`, `?` and `!`."""
    if patterns.startswith("|1|"):
        salt, _, digest = patterns[3:].partition("|")
        try:
            expected = base64.b64decode(digest)
            computed = hmac.digest(base64.b64decode(salt), name.encode(), "sha1")
        except ValueError:
            return False
        return hmac.compare_digest(expected, computed)
    found = False
    for pattern in patterns.lower().split(","):
        negated = pattern.startswith("!")
        if _glob(pattern[negated:], name):
            if negated:
                return False
            found = True
    return found


def _glob(pattern: str, name: str) -> bool:
    # brackets are part of `[name]:port`, not a character class
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def check(rule: str, name: str, kind: str, blob: bytes, known: Sequence[KnownKey], alias: str) -> bool:
    """Return whether to record the key as a new one; raises `HostKeyError` if it must not be trusted.

    `rule` is `strict`, `accept-new` or `off`; `alias` is the name that the user would give to ssh.
    """
    offered = fingerprint(blob)
    for key in known:
        if key.revoked and key.blob == blob:
            raise HostKeyError(
                f"its host key {offered} is revoked ({key.origin})",
                where=alias,
                hint="the host's administrator must give it another key",
            )
    if rule == OFF or any(key.blob == blob for key in known if not key.revoked):
        return False
    other = [key for key in known if not key.revoked]
    if other:
        raise HostKeyError(
            f"its host key has changed: it offers {kind} {offered}, but {other[0].origin} has another key",
            where=alias,
            hint=f"if the new key is right, remove the old one (ssh-keygen -R '{name}') and run: ssh {alias}",
        )
    if rule == ACCEPT_NEW:
        return True
    raise UnknownHostKey(
        f"its host key is not known ({kind} {offered})",
        where=alias,
        hint=f"check and record it once with: ssh {alias}",
    )


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as ssh prints it: `SHA256:…`."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def remember(file: Path, name: str, kind: str, blob: bytes, alias: str) -> None:
    """Record a new key, as ssh does with `accept-new`, unless it was recorded meanwhile; raises `HostKeyError`."""
    if any(key.blob == blob for key in known_keys(name, [file])):
        return
    line = f"{name} {kind} {base64.b64encode(blob).decode('ascii')}\n".encode()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("a+b") as stream:
            if stream.tell() and not _ends_a_line(stream):
                line = b"\n" + line
            stream.write(line)
    except OSError as error:
        raise HostKeyError(f"cannot record its new host key in {file}: {error.strerror}", where=alias) from None


def _ends_a_line(stream: BinaryIO) -> bool:
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) == b"\n"


def preferred(kinds: Sequence[str], known: Sequence[KnownKey]) -> list[str]:
    """Sort key types so that those in known_hosts come first, and the server offers a key that can be checked."""
    recorded = {signature for key in known if not key.revoked for signature in _signatures(key.kind)}
    return [kind for kind in kinds if kind in recorded] + [kind for kind in kinds if kind not in recorded]


def _signatures(kind: str) -> tuple[str, ...]:
    # one RSA key serves three signature algorithms (RFC 8332)
    return ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if kind == "ssh-rsa" else (kind,)

"""Whom we talk to: known_hosts, read as OpenSSH's sshd(8) manual describes it ("SSH_KNOWN_HOSTS FILE FORMAT").

Only lines that match the host are parsed, so that thousands of others cost nothing.
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

# hashes and wildcards: all else names a host by its name
_MAY_MEAN_OTHER_NAMES = re.compile(rb"[|*?]")
STRICT, ACCEPT_NEW, OFF = "strict", "accept-new", "off"


class UnknownHostKey(HostKeyError):
    """A host of which no key is known."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that known_hosts has for a host; `revoked` where its line says so."""

    kind: str
    blob: bytes
    revoked: bool
    origin: str


def lookup_name(host: str, port: int, alias: str | None) -> str:
    """The name under which known_hosts has a host: its alias, its name, or `[name]:port`."""
    if alias:
        return alias.lower()
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def known_keys(name: str, files: Iterable[Path]) -> list[KnownKey]:
    """All keys that `files` have for `name`; files that are not there have none."""
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
        # a certificate authority's key is no host key, and Paramiko knows no host certificates
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
    """Whether the first field of a known_hosts line is for `name`: hashed, or patterns with `*`, `?` and `!`."""
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
    # brackets are part of `[name]:port` and no character class
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def check(rule: str, name: str, kind: str, blob: bytes, known: Sequence[KnownKey], alias: str) -> bool:
    """Whether the key is to be written down as new; raises `HostKeyError` where it must not be trusted.

    `rule` is `strict`, `accept-new` or `off`; `alias` is what the user would say to ssh.
    """
    offered = fingerprint(blob)
    for key in known:
        if key.revoked and key.blob == blob:
            raise HostKeyError(
                f"its host key {offered} is revoked ({key.origin})",
                where=alias,
                hint="whoever keeps that host must give it another key",
            )
    if rule == OFF or any(key.blob == blob for key in known if not key.revoked):
        return False
    other = [key for key in known if not key.revoked]
    if other:
        raise HostKeyError(
            f"its host key has changed: it offers {kind} {offered}, and {other[0].origin} has another",
            where=alias,
            hint=f"if that is right, remove the old one (ssh-keygen -R '{name}') and run: ssh {alias}",
        )
    if rule == ACCEPT_NEW:
        return True
    raise UnknownHostKey(
        f"its host key is not known here ({kind} {offered})",
        where=alias,
        hint=f"check and record it once with: ssh {alias}",
    )


def fingerprint(blob: bytes) -> str:
    """A key's fingerprint as ssh prints it: `SHA256:…`."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def remember(file: Path, name: str, kind: str, blob: bytes, alias: str) -> None:
    """Write down a new key, as ssh does with `accept-new`; one that is there by now is left alone."""
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
        raise HostKeyError(f"its new host key cannot be recorded in {file}: {error.strerror}", where=alias) from None


def _ends_a_line(stream: BinaryIO) -> bool:
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) == b"\n"


def preferred(kinds: Sequence[str], known: Sequence[KnownKey]) -> list[str]:
    """The key types to ask for, those that known_hosts has first, so that the server offers one we can check."""
    recorded = {signature for key in known if not key.revoked for signature in _signatures(key.kind)}
    return [kind for kind in kinds if kind in recorded] + [kind for kind in kinds if kind not in recorded]


def _signatures(kind: str) -> tuple[str, ...]:
    # one RSA key serves three signature algorithms (RFC 8332)
    return ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if kind == "ssh-rsa" else (kind,)

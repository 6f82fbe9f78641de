"""Who may sign: a file in the format of OpenSSH's allowed_signers (ssh-keygen(1), ALLOWED SIGNERS)."""

from __future__ import annotations

import base64
import binascii
import errno
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from pathlib import Path

from envfab.errors import ConfigurationError
from envfab.signatures.ssh_keygen import SigningKey
from envfab.signatures.sshsig import SignatureError, SSHSignature
from envfab.util.paths import read_file
from envfab.util.times import utc_time

MOST = 1 << 20  # bytes of the file
# how far the clocks of two machines may be apart
APART = timedelta(minutes=5)
TIMES = ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S")
_OPTION = re.compile(r'(?P<name>[A-Za-z-]+)(?:="(?P<value>[^"]*)")?(?:,|(?=\s)|$)')
_OPTIONS = ("cert-authority", "namespaces", "valid-after", "valid-before")


@dataclass(frozen=True, slots=True)
class AllowedSigner:
    """A line of the file: whose key it is, for which namespaces (empty: any), and from when until when it is valid."""

    principals: str
    public_key: bytes
    namespaces: tuple[str, ...] = ()
    after: datetime | None = None
    before: datetime | None = None
    # a line for certificates, which are not supported: its key signs nothing itself
    certifies: bool = False

    def refusal(self, namespace: str, at: datetime) -> str | None:
        """Return why this line does not allow a signature, or None if it does."""
        if self.certifies:
            return "is for certificates, which envfab does not support"
        if self.namespaces and not _is_in(namespace, self.namespaces):
            return f"is not for {namespace}"
        if self.after is not None and at < self.after:
            return f"is valid from {self.after:%Y-%m-%d %H:%M} UTC on"
        if self.before is not None and at >= self.before:
            return f"was valid until {self.before:%Y-%m-%d %H:%M} UTC"
        return None


class AllowedSigners:
    """The signers of a file; `text` is what it says."""

    def __init__(self, path: Path, text: str) -> None:
        """Raises `ConfigurationError` that names the line which OpenSSH would not take either."""
        self.path = path
        self.text = text
        self._by_key: dict[bytes, list[AllowedSigner]] = {}
        # what some editors put before a text would make another name of the first
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                try:
                    signer = _parse(line.strip())
                except ValueError as error:
                    hint = "see ALLOWED SIGNERS in the manual page of ssh-keygen"
                    raise ConfigurationError(str(error), where=f"{path}:{number}", hint=hint) from None
                self._by_key.setdefault(signer.public_key, []).append(signer)

    @classmethod
    def read(cls, path: Path) -> AllowedSigners:
        """Read a file; raises `ConfigurationError` if it cannot be read or understood."""
        try:
            data = read_file(path, MOST)
        except OSError as error:
            if error.errno == errno.EFBIG:
                what = "a file of allowed signers must not be larger than 1 MiB"
                raise ConfigurationError(what, where=str(path)) from None
            raise ConfigurationError(
                f"cannot read the allowed signers: {error.strerror}",
                where=str(path),
                hint="it has a line for each key: NAME TYPE KEY, with TYPE and KEY as in the key's .pub file",
            ) from None
        return cls(path, data.decode("utf-8", "replace"))

    def refusal(self, public_key: bytes, namespace: str, at: datetime) -> str | None:
        """Return why a key may not sign for a namespace at a time, or None if it may."""
        lines = self._by_key.get(public_key, [])
        refusals = [line.refusal(namespace, at) for line in lines]
        return None if None in refusals else refusals[0] if refusals else "is not in this file"

    def names(self, namespace: str) -> bool:
        """Return whether a line of the file names this very namespace, not only by a pattern."""
        return any(namespace in line.namespaces for lines in self._by_key.values() for line in lines)

    def require(self, key: SigningKey, namespace: str, at: datetime) -> SigningKey:
        """Return a key that may sign for a namespace at a time; raises `ConfigurationError` if it may not."""
        why = self.refusal(key.public_key, namespace, at)
        if why is not None:
            raise ConfigurationError(
                f"the key {key.path} may not sign: {key.fingerprint} {why}",
                where=str(self.path),
                hint="sign with another key, or ask those who keep the file to add this one's public half",
            )
        return key

    def principals(self, public_key: bytes) -> frozenset[str]:
        """Return all names that the file has for a key, whether the key is valid or not."""
        return frozenset(
            name.strip() for line in self._by_key.get(public_key, []) for name in line.principals.split(",")
        )

    def may_be_one_person(self, one: bytes, other: bytes) -> bool:
        """Return whether the file gives two keys to one person, as far as names tell.

        Case does not count, and a name may be a pattern (`*@example.org`).
        """
        others = _people(self.principals(other))
        return one == other or any(_overlap(name, also) for name in _people(self.principals(one)) for also in others)

    def name_of(self, public_key: bytes) -> str:
        """Return a name of a key's owner, empty if the file has no plain one."""
        return min((name for name in self.principals(public_key) if not set(name) & set("*?!")), default="")

    def check(self, signature: SSHSignature, message: bytes, namespace: str, at: datetime) -> str:
        """Return who signed a message for a namespace at a time (the principals of the line that allows it).

        Raises `SignatureError` if no line of the file allows the signature, or it is not valid.
        """
        lines = self._by_key.get(signature.public_key, [])
        if not lines:
            raise SignatureError(f"signed by an unknown key, {signature.fingerprint}")
        why = self.refusal(signature.public_key, namespace, at)
        if why is not None:
            raise SignatureError(f"signed by {lines[0].principals}, whose key {why}")
        signature.verify(message, namespace)
        return next(line.principals for line in lines if line.refusal(namespace, at) is None)


def still_to_come(signed: datetime, now: datetime) -> str | None:
    """Return why the time of a signature cannot be true, None if it can: clocks of two machines may differ a little."""
    if signed <= now + APART:
        return None
    return f"signed at {utc_time(signed)}, which is still to come: compare the clocks"


def _parse(line: str) -> AllowedSigner:
    """Parse a line; raises `ValueError` with what is wrong."""
    principals, rest = _word(line)
    options: dict[str, str] = {}
    while rest and not _is_key_type(rest):
        match = _OPTION.match(rest)
        if match is None or match["name"].lower() not in _OPTIONS:
            raise ValueError(f"an option or a key is expected at {rest[:40]!r}")
        name = match["name"].lower()
        if name in options or (match["value"] is None) != (name == "cert-authority"):
            raise ValueError(f"the option {name} is given twice, or wrongly")
        options[name] = match["value"] or ""
        if name == "namespaces" and not _patterns(options[name]):
            raise ValueError("the option namespaces names none, so that the key may sign nothing")
        rest = rest[match.end() :].lstrip()
    kind, _, rest = rest.partition(" ")
    return AllowedSigner(
        principals,
        _key(kind, rest.lstrip().partition(" ")[0]),
        _patterns(options.get("namespaces", "")),
        _time(options, "valid-after"),
        _time(options, "valid-before"),
        "cert-authority" in options,
    )


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _people(names: Iterable[str]) -> set[str]:
    """Names as they are compared; one with `!` names somebody whose key it is not."""
    return {name.casefold() for name in names if name and not name.startswith("!")}


def _overlap(one: str, other: str) -> bool:
    """Whether two names may be those of one person; of two patterns that is not worked out."""
    are_patterns = [bool(set(name) & set("*?")) for name in (one, other)]
    return all(are_patterns) or _is_in(one, [other]) or _is_in(other, [one])


def _is_in(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is in a list of patterns as OpenSSH has it (ssh_config(5), PATTERNS): one with `!` excludes."""
    found = {
        pattern.startswith("!")
        for pattern in patterns
        # of what fnmatch knows, OpenSSH has no sets of letters
        if fnmatchcase(name, pattern.removeprefix("!").replace("[", "[[]"))
    }
    return found == {False}


def _word(line: str) -> tuple[str, str]:
    if line.startswith('"'):
        word, quote, rest = line[1:].partition('"')
        if not quote:
            raise ValueError("a quotation mark is not closed")
    else:
        word, _, rest = line.replace("\t", " ").partition(" ")
    if not word or not rest.strip():
        raise ValueError("a line must have principals and a key")
    return word, rest.strip()


def _is_key_type(rest: str) -> bool:
    return rest.startswith(("ssh-", "ecdsa-", "sk-"))


def _key(kind: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not key or key[4 : 4 + int.from_bytes(key[:4], "big")] != kind.encode():
        raise ValueError(f"{encoded[:40]!r} is not a key of the type {kind!r}")
    return key


def _time(options: Mapping[str, str], name: str) -> datetime | None:
    """The time of an option: in UTC with a Z, else in this machine's zone, as OpenSSH has it."""
    text = options.get(name)
    if text is None:
        return None
    digits = text.removesuffix("Z")
    for form in TIMES:
        try:
            at = datetime.strptime(digits, form)
        except ValueError:
            continue
        if at.strftime(form) == digits:
            return at.replace(tzinfo=timezone.utc) if text.endswith("Z") else _from_local(at)
    raise ValueError(f"{name} must be YYYYMMDD or YYYYMMDDHHMM[SS], with a Z for UTC, not {text!r}")


def _from_local(at: datetime) -> datetime:
    """A time of this machine's zone in UTC; at the ends of the calendar as if it were one of UTC."""
    try:
        return at.astimezone(timezone.utc)
    except (OverflowError, ValueError):
        return at.replace(tzinfo=timezone.utc)

"""The rule that releases and yanks are signed: lines are checked when they are read, and signed when they are added."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from envfab.errors import WheelhouseError
from envfab.signatures.allowed_signers import AllowedSigners, still_to_come
from envfab.signatures.ssh_keygen import SigningKey
from envfab.signatures.sshsig import SignatureError, SSHSignature
from envfab.util.times import present
from envfab.util.versions import shortened
from envfab.wheelhouse.release_log.signed_lines import (
    KINDS,
    NAMESPACE,
    SignedLine,
    digest_of,
    encoded,
    heads,
    parse_signed,
    record_of,
    to_be_signed,
    with_signature,
)
from envfab.wheelhouse.release_log.valid_lines import ValidLines

SHOWN = 5
LONGEST = 500  # characters that are shown of a line


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A release or yank line that no allowed signer signed: its number, its text, and why."""

    number: int
    line: str
    why: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.why}: {shortened(repr(record_of(self.line)), LONGEST)}"


class LogSigners:
    """The signers of a fleet's release log, and the key that this user signs with.

    `key` returns it, or raises `EnvfabError` with what to do: it is called when something is to be signed.
    `required_on_hosts` says that hosts must be able to check signatures, too. What was found valid is remembered in the
    folder `cache`, if there is one.
    """

    def __init__(
        self,
        signers: AllowedSigners,
        key: Callable[[], SigningKey],
        *,
        required_on_hosts: bool = False,
        cache: Path | None = None,
    ) -> None:
        self.allowed = signers
        self.required_on_hosts = required_on_hosts
        self._remembered = ValidLines(cache, signers.text)
        self._key = key
        # the key that lines were signed with, once there are any
        self.signed_with: SigningKey | None = None
        self._checked: Sequence[str] | None = None
        # lines whose signatures were found valid, so that a long log is not verified again for each wheel that comes in
        self._valid: set[str] = set()

    def check(self, lines: Sequence[str], where: str) -> None:
        """Raise `WheelhouseError` if a release or yank line is not signed by an allowed signer, or is out of place."""
        if self._checked is lines:
            return
        asked = numbered(lines)
        self._valid |= self._remembered.among(asked.values())
        found = check_lines(asked, self.allowed, present(), self._valid)
        if found:
            more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
            raise WheelhouseError(
                "the release log is not signed as it must be\n    " + "\n    ".join([*map(str, found[:SHOWN]), *more]),
                where=where,
                hint="if you know what these lines say to be right: fab sign_wheels",
            )
        self._remembered.keep(asked.values())
        self._checked = lines

    def counts(self, line: str, before: Sequence[str]) -> bool:
        """Return whether a line is signed by an allowed signer, and may stand after the lines `before`."""
        found = check_lines(numbered([*before, line]), self.allowed, present(), self._valid)
        return all(one.number <= len(before) for one in found)

    def require_key(self) -> SigningKey:
        """Return the key to sign with; raises `EnvfabError` if there is none, or it may not sign."""
        return self.allowed.require(self._key(), NAMESPACE, present())

    def signed(self, records: Sequence[str], before: Sequence[str]) -> list[str]:
        """Return lines with a signature each, to be added after the lines `before`; lines of other kinds stay."""
        at, follows, texts = present(), heads(before), []
        for record in records:
            if record.startswith(KINDS):
                texts.append(to_be_signed(record, at, follows))
                follows = (digest_of(texts[-1]),)
        signatures: Sequence[bytes] = ()
        if texts:
            self.signed_with = self.require_key()
            signatures = self.signed_with.sign([encoded(text) for text in texts], NAMESPACE)
        done = iter(map(with_signature, texts, signatures))
        return [next(done) if record.startswith(KINDS) else record for record in records]


def reading_signers(signers: Path) -> LogSigners:
    """Return the rule for a log that is only read; raises `ConfigurationError` if its signers cannot be read."""

    def no_key() -> SigningKey:
        raise WheelhouseError("internal error: a release log that is only read was to be signed", where=str(signers))

    return LogSigners(AllowedSigners.read(signers), no_key)


def numbered(lines: Sequence[str]) -> dict[int, str]:
    """Return the release and yank lines by their numbers, which begin with 1."""
    return {number: line.removesuffix("\r") for number, line in enumerate(lines, 1) if line.startswith(KINDS)}


def check_lines(lines: Mapping[int, str], signers: AllowedSigners, now: datetime, valid: set[str]) -> list[Unsigned]:
    """Return the lines (by number) that are not signed by an allowed signer, or not in their place, and why.

    Lines may be there twice, as merges leave them. `valid` are lines whose signatures these signers are known to have
    made; it gets those that are found to be.
    """
    found: list[Unsigned] = []
    before: set[str] = set()
    for number, line in lines.items():
        signed = parse_signed(line)
        why = None if line in valid else "it is not signed" if signed is None else refusal(signed, signers, now)
        if signed is not None:
            if why is None:
                valid.add(line)
            if why is None and not before.issuperset(signed.follows):
                why = "a line that it follows is missing, or stands after it"
            before.add(signed.digest)
        if why is not None:
            found.append(Unsigned(number, line, why))
    return found


def refusal(line: SignedLine, signers: AllowedSigners, now: datetime) -> str | None:
    """Return why a line's signature does not count, or None if it does."""
    why = still_to_come(line.signed, now)
    if why is not None:
        return f"it is {why}"
    if line.record.startswith("release: ") and " sha256=" not in line.record:
        return "it is signed without a SHA-256"
    try:
        signature = SSHSignature.parse(base64.b64decode(line.signature, validate=True))
        signers.check(signature, encoded(line.text), NAMESPACE, line.signed)
    except (binascii.Error, ValueError):
        return "the signature is damaged"
    except SignatureError as error:
        return error.what
    return None

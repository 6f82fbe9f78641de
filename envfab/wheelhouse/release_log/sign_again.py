"""Signing of lines that are in the release log already: from before it had to be signed, or by keys that are gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from envfab.errors import WheelhouseError
from envfab.util.atomic import write_file
from envfab.util.times import present
from envfab.wheelhouse.release_log.log_signers import LogSigners, refusal
from envfab.wheelhouse.release_log.records import ReleaseRecord, parse_line
from envfab.wheelhouse.release_log.signed_lines import (
    KINDS,
    NAMESPACE,
    digest_of,
    encoded,
    parse_signed,
    record_of,
    to_be_signed,
    with_signature,
)
from envfab.wheelhouse.release_log.storage import LogFile


@dataclass(frozen=True, slots=True)
class LineToSign:
    """A line to sign: its number, the record that is signed, and why it has to be."""

    number: int
    record: str
    why: str


class SigningAgain:
    """What is to be signed in a log, so that each release and yank is signed, and follows what stands before it.

    `complete` returns a record with what is known of its wheel besides, such as its size.
    """

    def __init__(
        self, lines: Sequence[str], signers: LogSigners, complete: Callable[[ReleaseRecord, str], str]
    ) -> None:
        """Raises `WheelhouseError` for a line that cannot be signed, since it is damaged or has no SHA-256."""
        self.found: list[LineToSign] = []
        self._lines = list(lines)
        self._signers = signers
        # by the place in `_lines`: what is signed there
        self._texts: dict[int, str] = {}
        self._known: set[str] = set()
        self._heads: dict[str, None] = {}
        for place, line in enumerate(self._lines):
            if line.startswith(KINDS):
                self._look(place, line.removesuffix("\r"), complete)

    def _look(self, place: int, line: str, complete: Callable[[ReleaseRecord, str], str]) -> None:
        signed = parse_signed(line)
        why = "it is not signed" if signed is None else refusal(signed, self._signers.allowed, present())
        if why is None and signed is not None:
            if self._known.issuperset(signed.follows):
                self._add(signed.digest, signed.follows)
                return
            why = "a line that it follows is missing, stands after it, or is signed anew"
        parsed = parse_line(line)
        record = complete(parsed, record_of(line)) if isinstance(parsed, ReleaseRecord) else record_of(line)
        follows = tuple(self._heads)
        self._texts[place] = to_be_signed(record, present(), follows)
        self._add(digest_of(self._texts[place]), follows)
        self.found.append(LineToSign(place + 1, record, why or ""))

    def _add(self, digest: str, follows: Sequence[str]) -> None:
        for one in follows:
            self._heads.pop(one, None)
        if digest not in self._known:
            self._heads[digest] = None
        self._known.add(digest)

    def write(self, log: LogFile) -> None:
        """Sign, and replace the log; raises `WheelhouseError` if it changed meanwhile, and `SignatureError`."""
        places = list(self._texts)
        signatures = self._signers.require_key().sign([encoded(self._texts[place]) for place in places], NAMESPACE)
        lines = list(self._lines)
        for place, signature in zip(places, signatures, strict=True):
            lines[place] = with_signature(self._texts[place], signature)
        with log.locked() as held:
            text = held.read()
            if list(text.lines) != self._lines or text.torn is not None:
                raise WheelhouseError("the release log changed meanwhile; nothing was signed", where=str(log.path))
            try:
                write_file(log.path, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
            except OSError as error:
                raise WheelhouseError(f"cannot write the release log: {error.strerror}", where=str(log.path)) from None

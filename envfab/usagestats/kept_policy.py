"""The last good policy of a server, kept in the folder, with what became of the last attempt to fetch it."""

from __future__ import annotations

# Imported in function bodies: policy, which is needed only where a server has one.
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from envfab.usagestats.queue import read_bounded, write_atomically
from envfab.usagestats.report import Entry, MalformedReport, clean_text, format_time, parse_time

if TYPE_CHECKING:
    from envfab.usagestats.policy import ReportPolicy

FILE = "policy"
FORMAT = 1
_WEEK = 7 * 24 * 3600 * 1000  # milliseconds
_DAY = 24 * 3600 * 1000  # milliseconds
_MAX_FILE = 80 * 1024  # bytes
_MAX_WHY = 300  # bytes


class PolicyAnswer(Enum):
    """What is known of a server's policy."""

    NONE = "none"
    POLICY = "policy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """What is known since `asked` (milliseconds since 1970) of the policy of a drop point.

    `why` says why the last answer could not be used; `text` is the last good policy's.
    """

    drop_point: str
    asked: int = 0
    answer: PolicyAnswer = PolicyAnswer.UNKNOWN
    why: str = ""
    text: bytes = b""

    def due(self, now: int) -> bool:
        """Whether to ask the server: once a week, and each time while nothing is known."""
        return self.answer is PolicyAnswer.UNKNOWN or not 0 <= now - self.asked < _WEEK

    @property
    def known(self) -> bool:
        """Whether reports may be sent: there is a policy, or known to be none."""
        return self.answer is not PolicyAnswer.UNKNOWN

    def policy(self) -> ReportPolicy | None:
        """The last good policy."""
        if self.answer is not PolicyAnswer.POLICY:
            return None
        from envfab.usagestats.policy import parse_policy

        # It was not dated ahead when it came; the clock may be set back since.
        return parse_policy(self.text, None)

    def allowed(self, data: bytes) -> bytes:
        """What of a report may be sent; nothing where no entry of it may."""
        policy = self.policy()
        if policy is None:
            return data
        from envfab.usagestats.policy import allowed_bytes

        return allowed_bytes(policy, data)

    def held(self, data: bytes) -> tuple[Entry, ...]:
        """The entries of a report that are held back."""
        policy = self.policy()
        if policy is None:
            return ()
        from envfab.usagestats.policy import held_entries

        return held_entries(policy, data)

    def after_none(self, now: int) -> KeptPolicy:
        """After the server said that it has no policy."""
        return KeptPolicy(self.drop_point, now, PolicyAnswer.NONE)

    def after_policy(self, now: int, text: bytes) -> KeptPolicy:
        """After a good policy came."""
        return KeptPolicy(self.drop_point, now, PolicyAnswer.POLICY, "", text)

    def after_nonsense(self, now: int, why: str) -> KeptPolicy:
        """After an answer that cannot be used: what was known stays, and a day later the server is asked again."""
        asked = now - _WEEK + _DAY if self.known else now
        return KeptPolicy(self.drop_point, asked, self.answer, why, self.text)


def read_kept(folder: Path, drop_point: str) -> KeptPolicy:
    """What is known of the policy of `drop_point`; nothing where the file is of another one, or spoilt."""
    unknown = KeptPolicy(drop_point)
    data = read_bounded(folder / FILE, _MAX_FILE)
    if data is None:
        return unknown
    head, _, text = data.partition(b"\n\n")
    told = dict(line.partition(":")[::2] for line in head.decode("utf-8", "replace").split("\n"))
    if told.get("format") != str(FORMAT) or told.get("from") != _shown(drop_point):
        return unknown
    try:
        asked = parse_time(told.get("asked", "").encode("ascii", "replace"))
        kept = KeptPolicy(drop_point, asked, PolicyAnswer(told.get("answer")), told.get("why", ""), text)
        kept.policy()
    except (MalformedReport, ValueError):
        return unknown
    return kept


def write_kept(folder: Path, kept: KeptPolicy) -> bool:
    """Keep it; whether that worked."""
    head = f"format:{FORMAT}\nfrom:{_shown(kept.drop_point)}\nasked:{format_time(max(0, kept.asked))}\n"
    head += f"answer:{kept.answer.value}\nwhy:{clean_text(kept.why, _MAX_WHY)}\n\n"
    return write_atomically(folder / FILE, head.encode() + kept.text)


def _shown(drop_point: str) -> str:
    """The drop point without a password, on one line."""
    from urllib.parse import urlsplit

    parts = urlsplit(drop_point)
    return clean_text(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), 2000)

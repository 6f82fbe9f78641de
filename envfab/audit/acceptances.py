"""The file of accepted findings: one a line, for version control.

    # a comment
    CVE-2026-1234 until 2027-01-31 for Django on web1:/srv/shop because the admin is reached by VPN alone

`for PACKAGE` and `on SELECTOR` may be left out; the acceptance is then for each package, or virtualenv, that has it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from packaging.utils import InvalidName, NormalizedName, canonicalize_name

from envfab.config.selectors import Selector
from envfab.errors import SelectorError, SupplyError
from envfab.util.atomic import write_file
from envfab.util.folder_lock import locked
from envfab.util.paths import read_file
from envfab.util.untrusted import is_plain
from envfab.util.versions import shortened

# each must be thought over at least once a year
LONGEST = timedelta(days=366)
LIMIT = 4 << 20
FORM = "ID until YYYY-MM-DD [for PACKAGE] [on SELECTOR] because REASON"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# what ends a selector in a line
_END = re.compile(r"\sbecause(\s|$)")
_LINE = re.compile(
    r"(?P<id>\S+)\s+until\s+(?P<until>\S+)(?:\s+for\s+(?P<package>\S+))?(?:\s+on\s+(?P<selector>\S.*?))?"
    r"\s+because\s+(?P<reason>\S.*)"
)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A finding that was accepted up to a day and with it, for a reason; `package` and `selector` may be None: any."""

    id: str
    until: date
    reason: str
    package: NormalizedName | None = None
    selector: str | None = None
    # where it stands: `accepted_findings:12`
    where: str = ""

    @classmethod
    def build(cls, id: str, until: str, reason: str, package: str | None, selector: str | None) -> Acceptance:
        """Make one of texts; raises `ValueError`, in words for people, for what a line of the file cannot say."""
        if not _ID.fullmatch(id):
            raise ValueError(f"{shortened(ascii(id))} must be the ID of a finding, such as CVE-2026-1234")
        if not reason.strip() or not is_plain(reason):
            raise ValueError("the reason must be one line of text")
        if selector is not None and (not is_plain(selector) or _END.search(selector)):
            raise ValueError(f"the target {shortened(ascii(selector))} cannot stand in the file of accepted findings")
        return cls(id, _day(until), " ".join(reason.split()), _name(package), selector and _selector(selector))

    def line(self) -> str:
        """The line of the file, without its end."""
        words = [self.id, "until", self.until.isoformat()]
        words += ["for", self.package] if self.package else []
        words += ["on", self.selector] if self.selector else []
        return " ".join([*words, "because", self.reason])

    def is_expired(self, today: date) -> bool:
        """Whether its last day has gone by."""
        return self.until < today

    def names(self, ids: Sequence[str], package: NormalizedName) -> bool:
        """Whether it is about a finding with these IDs, in this package; its target is not looked at."""
        return self.id.lower() in {one.lower() for one in ids} and self.package in (None, package)


def read(path: Path, today: date) -> tuple[Acceptance, ...]:
    """The acceptances in a file, none if there is no file; raises `SupplyError` for the first line with a mistake."""
    return tuple(_parse(path, _text(path)[0], today))


def append(path: Path, acceptances: Sequence[Acceptance], today: date) -> None:
    """Add lines to the file, which is made if there is none; raises `SupplyError`, and has then added none."""
    try:
        with locked(path.parent):
            text, mode = _text(path)
            _parse(path, text, today)
            if text and not text.endswith("\n"):
                text += "\n"
            text += "".join(f"{one.line()}\n" for one in acceptances)
            write_file(path, text.encode(), mode)
    except OSError as error:
        raise SupplyError(f"cannot be written: {error.strerror}", where=str(path)) from None


def check_until(until: date, today: date) -> None:
    """Raise `ValueError` if nothing may be accepted until a day: it is too far ahead."""
    if until > today + LONGEST:
        raise ValueError(f"{until} is more than a year ahead: use {today + LONGEST} or an earlier day")


def _text(path: Path) -> tuple[str, int | None]:
    """The file's text and its permissions; empty, and None, if there is no file."""
    try:
        return read_file(path, LIMIT).decode("utf-8-sig"), stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return "", None
    except UnicodeDecodeError:
        raise SupplyError("must be a text in UTF-8", where=str(path)) from None
    except OSError as error:
        raise SupplyError(f"cannot be read: {error.strerror}", where=str(path)) from None


def _parse(path: Path, text: str, today: date) -> list[Acceptance]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        where = f"{path.name}:{number}"
        try:
            found.append(_parse_line(line, where, today))
        except ValueError as error:
            raise SupplyError(str(error), where=f"{path}:{number}", hint=f"a line is: {FORM}") from None
    return found


def _parse_line(line: str, where: str, today: date) -> Acceptance:
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise ValueError(f"{shortened(ascii(line))} cannot be understood")
    made = Acceptance.build(parts["id"], parts["until"], parts["reason"], parts["package"], parts["selector"])
    check_until(made.until, today)
    return Acceptance(made.id, made.until, made.reason, made.package, made.selector, where)


def _day(text: str) -> date:
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{shortened(ascii(text))} must be a day, such as 2027-01-31") from None


def _name(text: str | None) -> NormalizedName | None:
    try:
        return None if text is None else canonicalize_name(text, validate=True)
    except InvalidName:
        raise ValueError(f"{shortened(ascii(text))} must be the name of a package") from None


def _selector(text: str) -> str:
    try:
        Selector.parse(text)
    except SelectorError as error:
        raise ValueError(error.what) from None
    return text.strip()

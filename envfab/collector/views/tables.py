"""Tables that are sorted, filtered and turned over by links: what the query says of them, and addresses of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask import request, url_for
from werkzeug.exceptions import BadRequest, NotFound

# the queries that links keep; others are not repeated
KEPT = (
    "q", "user_id", "only", "severity", "sort", "page", "program", "days", "name", "state", "task", "who", "host",
    "package", "from", "to", "by",
)  # fmt: skip
MOST_DIGITS = 12
SHOWN_VALUE = 40  # characters of a wrong value
ASCENDING, DESCENDING = "ascending", "descending"


class PageOutOfRange(NotFound):
    """There are fewer pages; `link` leads to the last."""

    def __init__(self, page: str, pages: int) -> None:
        super().__init__(f"Page {page} is beyond the last one, page {pages}.")
        self.link = here(page=pages if pages > 1 else None), "Go to the last page"


class UnknownValue(BadRequest):
    """A query has a value that it cannot have; `link` leads to the page without it.

    What was asked for is not shown instead: all applications would look like those that are behind.
    """

    def __init__(self, name: str, value: str, wanted: str) -> None:
        super().__init__(f"{name} must be {wanted}, not {value[:SHOWN_VALUE]!r}")
        self.link = here(**{name: None}), f"Go on without {name}"


def one_of(values: Iterable[object]) -> str:
    """Values in words, as `UnknownValue` tells them."""
    return f"one of {', '.join(map(str, values))}"


@dataclass(frozen=True, slots=True)
class Sorting:
    """By which key a table is sorted. `directions` has all keys, each with the direction of its numbers or words.

    In addresses it is `KEY`, or `-KEY` for the other way round.
    """

    key: str
    reverse: bool
    directions: Mapping[str, str]

    @classmethod
    def asked(cls, directions: Mapping[str, str]) -> Sorting:
        """What the query asks for, the first key where it asks for none; raises `UnknownValue`."""
        wanted = request.args.get("sort", "")
        if not wanted:
            return cls(next(iter(directions)), False, directions)
        key = wanted.removeprefix("-")
        if key not in directions:
            raise UnknownValue("sort", wanted, f"{one_of(directions)} (or -{next(iter(directions))}, and so on)")
        return cls(key, wanted.startswith("-"), directions)

    def direction(self, key: str) -> str | None:
        """The value of `aria-sort` of a column: ascending or descending; None where it is not sorted by that."""
        if key != self.key:
            return None
        usual = self.directions[key]
        return usual if not self.reverse else ASCENDING if usual == DESCENDING else DESCENDING

    def link(self, key: str) -> str:
        """The address of the same table, sorted by a key; by the same key once more, the other way round."""
        return here(sort=f"-{key}" if key == self.key and not self.reverse else key, page=None)


@dataclass(frozen=True, slots=True)
class Pages:
    """The page of a table that is shown, from 1 on, and how many rows and pages there are."""

    number: int
    rows: int
    size: int

    @classmethod
    def asked(cls, rows: int, size: int) -> Pages:
        """The page that the query asks for; raises `PageOutOfRange`, and `UnknownValue` for no number."""
        text = request.args.get("page") or "1"
        if not text.isascii() or not text.isdecimal():
            raise UnknownValue("page", text, "a number")
        found = cls(int(text) if len(text) <= MOST_DIGITS else 10**MOST_DIGITS, rows, size)
        if not 1 <= found.number <= found.count:
            raise PageOutOfRange(text[:MOST_DIGITS], found.count)
        return found

    @property
    def count(self) -> int:
        """How many pages there are: an empty table has one."""
        return max(1, -(-self.rows // self.size))

    @property
    def offset(self) -> int:
        """How many rows come before this page."""
        return (self.number - 1) * self.size


def here(**changes: object) -> str:
    """The address of the page that is asked for, with some of its queries changed, or left out where they are None."""
    kept = {name: value for name in KEPT if (value := request.args.get(name)) is not None and "\0" not in value}
    assert request.endpoint is not None
    return url_for(request.endpoint, **(request.view_args or {}), **(kept | changes))  # type: ignore[arg-type]

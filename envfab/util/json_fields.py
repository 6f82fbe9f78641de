"""A JSON object that others wrote, read field by field: each of the kind and size that it must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envfab.util.untrusted import one_line

# characters; names, versions and sentences are shorter
MAX_TEXT = 4_000
MAX_ITEMS = 10_000


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of an object; every method raises `ValueError`, in words that name the field."""

    values: Mapping[str, Any]

    @classmethod
    def of(cls, value: object, what: str = "it") -> Fields:
        """The fields of what must be an object."""
        if not isinstance(value, Mapping):
            raise ValueError(f"{what} must be an object, not {kind_of(value)}")
        return cls(value)

    def value(self, name: str) -> Any:
        """Whatever it is."""
        if name not in self.values:
            raise ValueError(f"{name!r} is missing")
        return self.values[name]

    def text(self, name: str, most: int = MAX_TEXT) -> str:
        """A text of at most `most` characters, as it is."""
        return _text(self.value(name), repr(name), most)

    def line(self, name: str, most: int = MAX_TEXT) -> str:
        """A text for people, in one line that no terminal obeys."""
        return one_line(self.text(name, most))

    def line_or_none(self, name: str, most: int = MAX_TEXT) -> str | None:
        """The same, or null."""
        return None if self.value(name) is None else self.line(name, most)

    def text_or_none(self, name: str, most: int = MAX_TEXT) -> str | None:
        """A text as it is, or null."""
        return None if self.value(name) is None else self.text(name, most)

    def number(self, name: str) -> int:
        """A whole number from 0 up."""
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            said = str(value) if isinstance(value, (int, float)) else kind_of(value)
            raise ValueError(f"{name!r} must be a whole number from 0 up, not {said}")
        return value

    def number_or_none(self, name: str) -> int | None:
        """The same, or null."""
        return None if self.value(name) is None else self.number(name)

    def truth(self, name: str) -> bool:
        """True or false."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise ValueError(f"{name!r} must be true or false, not {kind_of(value)}")
        return value

    def items(self, name: str, most: int = MAX_ITEMS) -> list[Any]:
        """A list of at most `most` values, whatever they are."""
        value = self.value(name)
        if not isinstance(value, list):
            raise ValueError(f"{name!r} must be a list, not {kind_of(value)}")
        if len(value) > most:
            raise ValueError(f"{name!r} has {len(value)} entries, and may have {most}")
        return value

    def texts(self, name: str, most: int = MAX_ITEMS, longest: int = MAX_TEXT) -> tuple[str, ...]:
        """A list of texts, as they are."""
        return tuple(_text(one, f"an entry of {name!r}", longest) for one in self.items(name, most))

    def lines(self, name: str, most: int = MAX_ITEMS, longest: int = MAX_TEXT) -> tuple[str, ...]:
        """A list of texts for people."""
        return tuple(map(one_line, self.texts(name, most, longest)))

    def objects(self, name: str, most: int = MAX_ITEMS) -> list[Fields]:
        """A list of objects."""
        return [Fields.of(one, f"an entry of {name!r}") for one in self.items(name, most)]

    def object(self, name: str) -> Fields:
        """An object."""
        return Fields.of(self.value(name), repr(name))

    def object_or_none(self, name: str) -> Fields | None:
        """The same, or null."""
        return None if self.value(name) is None else self.object(name)


def _text(value: object, what: str, most: int) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a text, not {kind_of(value)}")
    if len(value) > most:
        raise ValueError(f"{what} has {len(value)} characters, and may have {most}")
    return value


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "a number"
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"

"""The status of a project in a package index, as its page tells it (PEP 792)."""

from __future__ import annotations

from dataclasses import dataclass

from envfab.util.untrusted import one_line
from envfab.util.versions import shortened

KNOWN = ("active", "archived", "deprecated", "quarantined")
MOST_OF_REASON = 200  # characters that are shown; an index may send megabytes


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """A project's status marker, and the reason where the index gives one; without a marker it is `active`."""

    marker: str = "active"
    reason: str = ""

    @classmethod
    def read(cls, marker: object, reason: object) -> ProjectStatus:
        """What a page says, in short texts of one line each; what is not a text counts as one that is not known."""
        if marker is None:
            return cls()
        said = one_line(shortened(reason, MOST_OF_REASON)) if isinstance(reason, str) else ""
        return cls(one_line(shortened(str(marker), 40)).lower() or "active", said)

    @property
    def quarantined(self) -> bool:
        """Whether the index holds the project for unsafe, so that none of its files may be used."""
        return self.marker == "quarantined"

    @property
    def told(self) -> str:
        """The status in words, empty for an active project: `is archived: moved to shop2`."""
        if self.marker == "active":
            return ""
        known = "is" if self.marker in KNOWN else "has a status that this envfab does not know:"
        return f"{known} {self.marker}{f': {self.reason}' if self.reason else ''}"


ACTIVE = ProjectStatus()

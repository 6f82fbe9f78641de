"""The type of a remedy: what would mend a finding."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class RemedyKind(enum.Enum):
    """The kinds of remedies; the values are in the JSON of `fab audit`."""

    DEPLOY = "deploy"
    REQUIREMENTS = "requirements"
    FETCH = "fetch"
    BLOCKED = "blocked"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would mend a finding, in a line for people; `version` is the one that would, if there is one."""

    kind: RemedyKind
    text: str
    version: str | None = None

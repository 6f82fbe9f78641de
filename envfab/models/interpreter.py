"""The interpreter of a virtualenv; never the one that runs this program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.tags import Tag
from packaging.version import Version

# all of PEP 508 but `extra`: packaging fills what is absent with values of the running interpreter, without a word
MARKER_NAMES = (
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Version, implementation, the *complete* marker environment (PEP 508), and the tags it supports.

    `tags` are most preferred first, or None if the interpreter was not asked for them: only `plan_without_tags` plans
    for such an interpreter.
    """

    version: Version
    implementation: str
    markers: Mapping[str, str]
    tags: tuple[Tag, ...] | None = None

    @property
    def title(self) -> str:
        """Its name for people: `CPython 3.11.7`."""
        return f"{self.implementation} {self.version}"

    def with_tags(self, tags: tuple[Tag, ...]) -> Interpreter:
        """Return the same interpreter with tags."""
        return Interpreter(self.version, self.implementation, self.markers, tags)

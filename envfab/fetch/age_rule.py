"""The rule that wheels of an index are fetched only some time after they were uploaded (`older_than`; PEP 700)."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.models.wheel import Release, Wheel, WheelMetadata
from envfab.planning.candidates import Candidates
from envfab.planning.catalogue import Catalogue
from envfab.planning.marker_environment import Environment
from envfab.util.counts import count
from envfab.util.times import DAY, in_utc, shown_span

HOUR = 60 * 60  # seconds


@dataclass(frozen=True, slots=True)
class AgeRule:
    """Wheels younger than `least` seconds, or of unknown age, are no candidates, but for those of `exceptions`."""

    least: int
    exceptions: Container[NormalizedName] = ()
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def objection(self, release: Release) -> str | None:
        """Why a wheel of the index must not be fetched; None where it may."""
        if self.least == 0 or release.wheel.name in self.exceptions:
            return None
        if release.added is None:
            return "the index tells no upload time of it"
        age = self.now - in_utc(release.added)
        if age >= timedelta(seconds=self.least):
            return None
        return _uploaded(age, release.added)

    @property
    def shown(self) -> str:
        """The rule as it is written: `older_than is 7d`."""
        return f"older_than is {shown_span(self.least)}"


def _uploaded(age: timedelta, at: datetime) -> str:
    seconds = int(age.total_seconds())
    if seconds < 0:
        return f"uploaded in the future, by the index's clock ({at:%Y-%m-%d %H:%M})"
    if seconds >= DAY:
        return f"uploaded {count(seconds // DAY, 'day')} ago"
    return f"uploaded {count(seconds // HOUR, 'hour')} ago" if seconds >= HOUR else "uploaded less than an hour ago"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A version that would be taken but for the rule; `taken` is the one that is, None where there is none."""

    shown_as: str
    version: Version
    why: str
    rule: str
    taken: Version | None = None

    def __str__(self) -> str:
        taken = f"; {self.taken} taken" if self.taken is not None else ""
        return f"{self.shown_as} {self.version} held back: {self.why}, {self.rule}{taken}"


@dataclass(slots=True)
class OldEnough:
    """A catalogue without the wheels to which an age rule objects; `objections` has the reasons by file name."""

    catalogue: Catalogue
    rule: AgeRule
    objections: dict[NormalizedName, dict[str, str]] = field(default_factory=dict)

    def projects(self) -> Collection[NormalizedName]:
        """As the catalogue has it."""
        return self.catalogue.projects()

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """Those of the catalogue that are old enough."""
        found = self.catalogue.releases(name)
        reasons = {one.wheel.filename: why for one in found if (why := self.rule.objection(one)) is not None}
        if reasons:
            self.objections[name] = reasons
        return [one for one in found if one.wheel.filename not in reasons]

    def unlogged(self, name: NormalizedName) -> Sequence[tuple[Wheel, str]]:
        """As the catalogue has it."""
        return self.catalogue.unlogged(name)

    def metadata(self, wheel: Wheel) -> WheelMetadata:
        """As the catalogue has it."""
        return self.catalogue.metadata(wheel)


@dataclass(frozen=True, slots=True)
class HeldBackSearch:
    """Finds what an interpreter would get but for the rule; `pages` has all releases, and costs no request."""

    old_enough: OldEnough
    pages: Catalogue
    environment: Environment

    def find(
        self, name: NormalizedName, wanted: Iterable[SpecifierSet] = (), taken: Version | None = None
    ) -> HeldBack | None:
        """The newest version of a project that was held back and meets all of `wanted`, if it is newer than `taken`."""
        reasons = self.old_enough.objections.get(name)
        if not reasons:
            return None
        specifier = SpecifierSet()
        for one in wanted:
            specifier &= one
        best = next(Candidates(self.environment, {}, self.pages).matching(name, specifier), None)
        if best is None or best.wheel is None or best.wheel.filename not in reasons:
            return None
        if taken is not None and best.version <= taken:
            return None
        rule = self.old_enough.rule.shown
        return HeldBack(best.wheel.shown_as, best.version, reasons[best.wheel.filename], rule, taken)

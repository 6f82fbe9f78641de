"""What the tasks through which wheels come in have in common: the rules of the settings, and what is refused."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from envfab.config.name_patterns import NamePatterns
from envfab.config.settings import Settings
from envfab.errors import SupplyError, UsageError, WheelError
from envfab.fetch.age_rule import AgeRule
from envfab.models.wheel import Wheel
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.publishers import PublisherCheck
from envfab.util.counts import count
from envfab.wheelhouse.digest_cache import cache_folder

if TYPE_CHECKING:
    from envfab.audit.malicious import MaliciousReleases

STALE = 30  # days after which the age of an advisory export is told


def age_rule(settings: Settings) -> AgeRule:
    """Return the rule on the age of wheels that are fetched."""
    return AgeRule(settings.older_than, settings.older_than_except)


def own_projects(words: Sequence[str]) -> NamePatterns:
    """Return the projects that `--own` names; raises `UsageError`."""
    try:
        return NamePatterns.parse(words)
    except ValueError as error:
        raise UsageError(
            f"must be the name of a project, or a pattern like mycorp-*, not {str(error)!a}", where="--own"
        ) from None


class MaliciousCheck:
    """Refuses wheels of releases that the fleet's advisory export reports as malicious; it is read when it is needed.

    `own` are projects that records are not about: those are about the index's projects of such names.
    """

    def __init__(self, run: TaskContext, own: NamePatterns) -> None:
        self._run = run
        self._own = own
        self._known: MaliciousReleases | None = None

    def refuse(self, wheels: Iterable[Wheel]) -> None:
        """Raise `SupplyError` that names all such wheels; warn where the export is old, or cannot be read in part."""
        concerned = list({wheel.filename: wheel for wheel in wheels if wheel.name not in self._own}.values())
        place = self._run.advisories()
        if not place or not concerned:
            return
        if self._known is None:
            self._known = self._read(place)
        found = self._known.among(concerned)
        if found:
            wheel, reason = found[0].wheel, shlex.quote(found[0].id)
            raise SupplyError(
                "; ".join(map(str, found)),
                where=place,
                hint=f"do not use it; if it is in the wheelhouse: fab yank_wheel {wheel.filename} --reason {reason};"
                f" if {wheel.name} is a project of your own, name it in the setting own",
            )

    def _read(self, place: str) -> MaliciousReleases:
        from envfab.audit.malicious import MaliciousReleases

        found = MaliciousReleases(Path(place), cache_folder(os.environ))
        now, export = datetime.now(timezone.utc), found.export
        if export.as_of is None or (now - export.as_of).days > STALE:
            self._run.console.warning(f"{place}: its records of malicious releases are {export.age(now)}")
        if export.unreadable:
            there = count(len(export.unreadable), "record")
            self._run.console.warning(f"{place}: {there} cannot be read, such as {export.unreadable[0]}")
        return found


class FileCheck:
    """Looks at files that the user adds to a wheelhouse: wheels, and those of bundles."""

    def __init__(self, malicious: MaliciousCheck, publishers: PublisherCheck) -> None:
        self._malicious = malicious
        self._publishers = publishers

    def refuse(self, paths: Sequence[Path], *, vouched: bool) -> None:
        """Raise `EnvfabError` to refuse them; names that are not those of wheels are passed over.

        The user vouches for a wheel (`vouched`), which needs no provenance, and not for those of a bundle.
        """
        wheels = {}
        for path in paths:
            with suppress(WheelError):
                wheels[path] = Wheel.from_filename(path.name)
        self._malicious.refuse(wheels.values())
        self._publishers.of_files(wheels, vouched=vouched)

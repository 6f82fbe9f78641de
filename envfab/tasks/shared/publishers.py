"""Provenances of wheels that come in: read and verified; the user is asked where the publisher is another one."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envfab.errors import SupplyError
from envfab.models.wheel import Wheel
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count

if TYPE_CHECKING:
    from envfab.fetch.publishers import Incoming, PublisherChange
    from envfab.index.client import PackageIndex
    from envfab.wheelhouse.wheelhouse import Wheelhouse


class PublisherCheck:
    """Looks at the provenances of wheels that come in, as the setting `provenance` says; `yes` accepts changes."""

    def __init__(self, run: TaskContext, wheelhouse: Wheelhouse, yes: bool) -> None:
        self._run = run
        self._wheelhouse = wheelhouse
        self._accept_all = yes
        # the file names of wheels that the user took; a wheel may come up twice
        self._accepted: set[str] = set()
        # where wheels come from, in words, by file name
        self.origins: dict[str, str] = {}

    def of_index(self, wheels: Sequence[Wheel], index: PackageIndex) -> list[Incoming]:
        """Return the wheels of an index with their provenances; raises `EnvfabError` to refuse them."""
        from envfab.fetch.publishers import fetched

        if not self._wanted(wheels):
            return []
        found = fetched(wheels, index)
        missing = [one.missing for one in found if one.missing is not None]
        if missing and self._run.settings.provenance == "verify":
            raise missing[0]
        if missing:
            self._run.console.warning(
                f"{missing[0]}; {count(len(missing), 'wheel')} without the provenance that it names"
            )
        self._accept(found)
        return found

    def of_files(self, wheels: Mapping[Path, Wheel], *, vouched: bool) -> None:
        """Raise `EnvfabError` to refuse wheels on disk, by the provenances that lie beside them.

        Files that the user names are `vouched` for: one without a provenance is not a change.
        """
        from envfab.fetch.publishers import on_disk

        if self._wanted(list(wheels.values())):
            found = on_disk(wheels)
            self._accept([one for one in found if one.provenance is not None or not vouched])

    def _accept(self, incoming: Sequence[Incoming]) -> None:
        """Tell of changes of publishers; raise `SupplyError` unless they are accepted."""
        from envfab.fetch.publishers import changes

        self.origins |= {one.wheel.filename: one.shown for one in incoming if one.shown}
        found = [one for one in changes(incoming, self._wheelhouse) if one.wheel.filename not in self._accepted]
        if not found:
            return
        for change in found:
            self._run.console.warning(str(change))
        if self._accept_all:
            return
        if self._run.console.as_json or not self._run.console.can_ask:
            raise SupplyError(
                f"{_shown(found)}: another publisher than that of earlier releases;"
                " that is asked about at a terminal alone, without --json",
                hint="does the project tell of it? then pass --yes",
            )
        what = "it from this publisher" if len(found) == 1 else "them from these publishers"
        if not self._run.console.confirm(f"Take {what}?"):
            raise SupplyError(f"{_shown(found)}: not taken, from another publisher than earlier releases")
        self._accepted |= {one.wheel.filename for one in found}

    def _wanted(self, wheels: Sequence[Wheel]) -> bool:
        from envfab.fetch.attestations import can_verify

        setting = self._run.settings.provenance
        if setting == "verify" and wheels and not can_verify():
            raise SupplyError(
                "provenance is verify, and the library pypi-attestations is not installed",
                hint="pip install 'envfab[provenance]'",
            )
        return setting != "off" and bool(wheels)


def _shown(found: Sequence[PublisherChange]) -> str:
    return ", ".join(f"{one.wheel.shown_as} {one.wheel.version}" for one in found)

"""The file of accepted findings, as far as it says something of applications."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from packaging.utils import NormalizedName

from envfab.audit import acceptances
from envfab.audit.acceptances import Acceptance
from envfab.collector.config import AcceptedFile
from envfab.collector.jobs.file_signature import Signature, signature_of
from envfab.config.selectors import select
from envfab.config.target import Member
from envfab.errors import EnvfabError
from envfab.registration.difio.registration import uuid_of_target

log = logging.getLogger(__name__)


def places_of(members: Callable[[], Sequence[Member]]) -> Callable[[str], frozenset[str]]:
    """What selectors name in a fleet: the uuids that its virtualenvs register with, unless they were given others.

    A virtualenv on localhost registers under its machine's own name, which is not known here.
    """

    def places(selector: str) -> frozenset[str]:
        try:
            chosen = select([selector], members())
        except EnvfabError:
            return frozenset()
        return frozenset(uuid_of_target(member.target) for member in chosen if not member.host.local)

    return places


class Acceptances:
    """What a file of accepted findings says. It is read again where it changed; raises `SupplyError` at first.

    A file that cannot be read later leaves what it said before, and `outdated` says so.
    """

    def __init__(self, file: AcceptedFile) -> None:
        self._file = file
        self._turn = threading.Lock()
        self._seen = signature_of(file.path)
        self._said = acceptances.read(file.path, date.today())
        self._places: dict[str, frozenset[str]] = {}
        self.outdated = False

    def now(self) -> Sequence[Acceptance]:
        """What the file says today, without what has expired."""
        today = date.today()
        with self._turn:
            there = signature_of(self._file.path)
            if there != self._seen:
                self._read(there, today)
            return [one for one in self._said if not one.is_expired(today)]

    def _read(self, there: Signature | None, today: date) -> None:
        self._seen = there
        try:
            self._said = acceptances.read(self._file.path, today)
        except EnvfabError as error:
            self.outdated = True
            log.warning("accepted findings are told as they were: %s", error)
        else:
            self._places.clear()
            self.outdated = False

    def places(self, acceptance: Acceptance) -> frozenset[str] | None:
        """The applications, by uuid, that an acceptance is about; None: all."""
        if acceptance.selector is None:
            return None
        if acceptance.selector not in self._places:
            self._places[acceptance.selector] = self._file.places(acceptance.selector)
        return self._places[acceptance.selector]


@dataclass(frozen=True, slots=True)
class AcceptancesOfOne:
    """The acceptances of one vulnerability, each with the applications that it is about (None: all)."""

    found: tuple[tuple[Acceptance, frozenset[str] | None], ...]

    @classmethod
    def of(cls, known: Acceptances | None, names: Sequence[str], packages: Mapping[str, object]) -> AcceptancesOfOne:
        """Those that name the vulnerability by any of its names, in one of its packages."""
        if known is None:
            return cls(())
        about = (one for one in known.now() if any(one.names(names, NormalizedName(name)) for name in packages))
        return cls(tuple((one, known.places(one)) for one in about))

    def about(self, uuid: str, package: str) -> Acceptance | None:
        """The acceptance of a finding, the one that lasts longest; None where it is not accepted."""
        fitting = [
            one for one, places in self.found if one.package in (None, package) and (places is None or uuid in places)
        ]
        return max(fitting, key=lambda one: one.until, default=None)

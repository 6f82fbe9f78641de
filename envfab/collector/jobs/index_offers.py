"""What a package index offers: asked in the background and remembered in the tables."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version
from sqlalchemy import bindparam, func, select, update

from envfab.collector.db.engine import Storage, insert_or, run_many
from envfab.collector.db.schema import index_projects, installed
from envfab.collector.jobs.latest_versions import Offer
from envfab.errors import SupplyError
from envfab.index.pages import File, sdist_version, wheel_of
from envfab.index.project_page import read_project_page
from envfab.index.session import IndexSession
from envfab.util.http import Timeouts
from envfab.util.versions import parse_specifiers

PATIENCE = 10.0  # seconds to wait for each piece of a page
AT_ONCE = 4
A_ROUND = 40  # projects that one round asks for
KNOWN_FOR = 6 * 60 * 60 * 1000  # milliseconds
RETRY_AFTER = 10 * 60 * 1000
_LOCK = 0x656E76666163
log = logging.getLogger(__name__)


class IndexNews:
    """Asks an index for the projects that are installed anywhere."""

    def __init__(self, storage: Storage, url: str) -> None:
        self._storage = storage
        self._url = url
        self.answered_at: float | None = None  # seconds since 1970

    def ask(self, now: int) -> bool:
        """Ask for the projects whose answers are too old, a bounded number of them; whether there were any."""
        names = self._claim(now)
        with IndexSession(Timeouts(read=PATIENCE)) as web, ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(zip(names, pool.map(partial(self._fetch, web), names), strict=True))
        rows = [{"project": name, "found": format_offers(offers)} for name, offers in answers if offers is not None]
        statement = update(index_projects).where(index_projects.c.name == bindparam("project"))
        with self._storage.writing() as connection:
            run_many(connection, statement.values(offers=bindparam("found"), due_at=now + KNOWN_FOR), rows)
        if rows:
            self.answered_at = now / 1000
        return bool(names)

    def _claim(self, now: int) -> list[NormalizedName]:
        """Names that are due, put off so that no other worker asks for them now, and not at once if this fails."""
        with self._storage.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            known = index_projects.c.name == installed.c.name
            query = select(installed.c.name).distinct().outerjoin(index_projects, known)
            query = query.where((index_projects.c.due_at <= now) | index_projects.c.name.is_(None))
            found = connection.execute(query.order_by(installed.c.name).limit(A_ROUND)).scalars()
            names = [NormalizedName(name) for name in found]
            statement = insert_or(connection, index_projects)
            statement = statement.on_conflict_do_update(
                index_elements=[index_projects.c.name], set_={"due_at": statement.excluded.due_at}
            )
            rows = [{"name": name, "due_at": now + RETRY_AFTER, "offers": "[]"} for name in names]
            run_many(connection, statement, rows)
        return names

    def _fetch(self, web: IndexSession, name: NormalizedName) -> tuple[Offer, ...] | None:
        """What the index offers; None where it does not answer just now."""
        try:
            return offers_of(name, read_project_page(web, self._url, name).files)
        except SupplyError as error:
            log.warning("the package index does not answer about %s: %s", name, error)
            return None


def offers_of(name: NormalizedName, files: Iterable[File]) -> tuple[Offer, ...]:
    """The offers of a project's files; withdrawn files, and those that cannot be read, are left out.

    Of the versions for the same Pythons only the newest are kept, which makes a few offers of thousands of files.
    """
    return _newest_of_each(offer for file in files if (offer := _offer(name, file)) is not None)


def format_offers(offers: Iterable[Offer]) -> str:
    """Offers as the table has them."""
    return json.dumps([[str(offer.version), str(offer.requires_python)] for offer in offers])


def parse_offers(text: str) -> tuple[Offer, ...]:
    """What `format_offers` wrote."""
    return tuple(Offer(Version(version), SpecifierSet(python)) for version, python in json.loads(text))


def _offer(name: NormalizedName, file: File) -> Offer | None:
    wheel = wheel_of(file)
    version = sdist_version(file, name) if wheel is None else str(wheel.version)
    if version is None or file.yanked is not None or (wheel is not None and wheel.name != name):
        return None
    try:
        return Offer(Version(version), parse_specifiers(file.requires_python or ""))
    except ValueError:
        return None


def _newest_of_each(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    best: dict[tuple[str, bool], Offer] = {}
    for offer in offers:
        key = (str(offer.requires_python), offer.version.is_prerelease)
        if key not in best or offer.version > best[key].version:
            best[key] = offer
    return tuple(sorted(best.values(), key=lambda offer: (offer.version, str(offer.requires_python)), reverse=True))

"""What a package index offers: PEP 691's JSON, asked in the background and remembered in the tables."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_sdist_filename
from packaging.version import Version
from sqlalchemy import bindparam, func, select, update

from envfab.collector.db.engine import Storage, insert_or, run_many
from envfab.collector.db.schema import index_projects, installed
from envfab.collector.jobs.latest_versions import Offer
from envfab.errors import WheelError
from envfab.models.wheel import Wheel
from envfab.util.untrusted import parse_json
from envfab.util.versions import parse_specifiers, problem_of

ACCEPT = "application/vnd.pypi.simple.v1+json"
TIMEOUT = 10.0  # seconds for each step
LARGEST = 64 * 1024 * 1024  # bytes of a project's list of files
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
        self._url = url.rstrip("/")

    def ask(self, now: int) -> bool:
        """Ask for the projects whose answers are too old, a bounded number of them; whether there were any."""
        names = self._claim(now)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = [(name, offers) for name, offers in zip(names, pool.map(self._fetch, names), strict=True)]
        rows = [{"project": name, "found": format_offers(offers)} for name, offers in answers if offers is not None]
        statement = update(index_projects).where(index_projects.c.name == bindparam("project"))
        with self._storage.writing() as connection:
            run_many(connection, statement.values(offers=bindparam("found"), due_at=now + KNOWN_FOR), rows)
        return bool(names)

    def _claim(self, now: int) -> list[str]:
        """Names that are due, put off so that no other worker asks for them now, and not at once if this fails."""
        with self._storage.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            known = index_projects.c.name == installed.c.name
            query = select(installed.c.name).distinct().outerjoin(index_projects, known)
            query = query.where((index_projects.c.due_at <= now) | index_projects.c.name.is_(None))
            names = list(connection.execute(query.order_by(installed.c.name).limit(A_ROUND)).scalars())
            statement = insert_or(connection, index_projects)
            statement = statement.on_conflict_do_update(
                index_elements=[index_projects.c.name], set_={"due_at": statement.excluded.due_at}
            )
            rows = [{"name": name, "due_at": now + RETRY_AFTER, "offers": "[]"} for name in names]
            run_many(connection, statement, rows)
        return names

    def _fetch(self, name: str) -> tuple[Offer, ...] | None:
        """What the index offers; None where it cannot be asked just now."""
        try:
            with requests.get(
                f"{self._url}/{name}/", headers={"Accept": ACCEPT}, timeout=TIMEOUT, stream=True
            ) as answer:
                if answer.status_code == 404:
                    return ()
                answer.raise_for_status()
                data = b""
                for piece in answer.iter_content(1 << 16):
                    data += piece
                    if len(data) > LARGEST:
                        raise ValueError("the list of files is too long")
            return parse_project(data)
        except (requests.RequestException, ValueError) as error:
            log.warning("the package index does not tell of %s: %s", name, error)
            return None


def parse_project(data: bytes) -> tuple[Offer, ...]:
    """The offers of a project's PEP 691 JSON; raises `ValueError` where it is none.

    Of the versions for the same Pythons only the newest are kept, for thousands of files come down to a few then.
    """
    try:
        document = parse_json(data)
    except ValueError:
        document = None
    files = document.get("files") if isinstance(document, Mapping) else None
    if not isinstance(files, list):
        raise ValueError("the answer is no PEP 691 JSON")
    return _newest_of_each(offer for file in files if (offer := _offer(file)) is not None)


def format_offers(offers: Iterable[Offer]) -> str:
    """Offers as the table has them."""
    return json.dumps([[str(offer.version), str(offer.requires_python)] for offer in offers])


def parse_offers(text: str) -> tuple[Offer, ...]:
    """What `format_offers` wrote."""
    return tuple(Offer(Version(version), SpecifierSet(python)) for version, python in json.loads(text))


def _offer(file: Any) -> Offer | None:
    """A file's offer; None where it is withdrawn or cannot be read."""
    if not isinstance(file, Mapping) or file.get("yanked", False) is not False:
        return None
    try:
        filename = str(file.get("filename"))
        if problem_of(filename):
            return None
        is_wheel = filename.endswith(".whl")
        version = Wheel.from_filename(filename).version if is_wheel else parse_sdist_filename(filename)[1]
        return Offer(version, parse_specifiers(file.get("requires-python") or ""))
    except (WheelError, ValueError, TypeError):
        return None


def _newest_of_each(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    best: dict[tuple[str, bool], Offer] = {}
    for offer in offers:
        key = (str(offer.requires_python), offer.version.is_prerelease)
        if key not in best or offer.version > best[key].version:
            best[key] = offer
    return tuple(sorted(best.values(), key=lambda offer: (offer.version, str(offer.requires_python)), reverse=True))

"""Whether a collector can do its work: read and write its database, and write reports."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from envfab.collector.db.engine import Storage

KNOWN_FOR = 1.0  # seconds
# As much as the smallest registration needs of a file system.
_PROBE = b"\0" * 4096
log = logging.getLogger(__name__)


class Health:
    """Looks at the database and the folder of reports, at most once a second."""

    def __init__(self, storage: Storage, reports: Path) -> None:
        self._storage = storage
        self._reports = reports
        self._turn = threading.Lock()
        self._at = -KNOWN_FOR
        self._problems: tuple[str, ...] = ()

    def problems(self) -> tuple[str, ...]:
        """What does not work, in words that tell no names of users, machines or versions; the log has the rest."""
        with self._turn:
            if time.monotonic() - self._at >= KNOWN_FOR:
                found = (self._database(), self._folder())
                self._problems = tuple(problem for problem in found if problem)
                self._at = time.monotonic()
            return self._problems

    def _database(self) -> str:
        try:
            return self._storage.problem()
        except SQLAlchemyError as error:
            log.warning("the database cannot be used: %s", error)
            return "the database cannot be read or written"

    def _folder(self) -> str:
        probe = self._reports / f".health-{os.getpid()}"
        try:
            probe.write_bytes(_PROBE)
            probe.unlink()
        except OSError as error:
            log.warning("the folder of reports cannot be written: %s", error)
            return f"the folder of reports cannot be written: {error.strerror}"
        return ""

"""Filling the house from a package index."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envfab.supply.index import Index
from envfab.supply.web import Timeouts, Web
from envfab.wheelhouse.digests import cache_folder


@contextmanager
def opened(url: str, downloads: Path | None = None, timeouts: Timeouts | None = None) -> Iterator[Index]:
    """An index to ask; what is downloaded lies in the user's cache folder, or in `downloads`."""
    with tempfile.TemporaryDirectory(prefix="envfab-") as folder:
        cache = cache_folder(os.environ)
        place = downloads or (cache / "fetched" if cache is not None else Path(folder))
        with Web(timeouts) as web, Index(url, web, place) as index:
            yield index

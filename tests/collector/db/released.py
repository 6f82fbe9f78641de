"""Databases as earlier versions of envfab left them: dumps, with rows in every table, in `released/`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg

from envfab.collector.db.engine import driver_url

DUMPS = Path(__file__).parent / "released"
FORMATS = (1, 2, 3, 4, 5, 6)


def restore(number: int, url: str) -> None:
    """Fill an empty database with what the last envfab of a format wrote."""
    target = driver_url(url)
    kind = target.get_backend_name()
    dump = (DUMPS / f"format-{number}.{kind}.sql").read_text(encoding="utf-8")
    if kind == "sqlite":
        with sqlite3.connect(str(target.database)) as connection:
            connection.executescript(dump)
        connection.close()
        return
    with psycopg.connect(target.set(drivername="postgresql").render_as_string(False), autocommit=True) as server:
        server.execute(dump.encode())

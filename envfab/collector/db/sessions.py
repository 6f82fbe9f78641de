"""Browsers that are signed in: kept in the tables, so that all workers know them, and signing out ends them."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, delete, insert, select

from envfab.collector.auth import digest_of
from envfab.collector.db.schema import sessions

# milliseconds
LASTS = 12 * 60 * 60 * 1000


def begin(connection: Connection, token: str, now: int) -> str:
    """Begin a session for a token (its digest); the cookie's value, of which only a digest is kept."""
    cookie = secrets.token_urlsafe(32)
    connection.execute(delete(sessions).where(sessions.c.ends_at <= now))
    connection.execute(insert(sessions).values(cookie=digest_of(cookie), token=token, ends_at=now + LASTS))
    return cookie


def token_of(connection: Connection, cookie: str, now: int) -> str | None:
    """The digest of the token that a session was begun with; None where there is none, or it is over."""
    query = select(sessions.c.token).where(sessions.c.cookie == digest_of(cookie), sessions.c.ends_at > now)
    return connection.execute(query).scalar_one_or_none()


def end(connection: Connection, cookie: str) -> None:
    """End a session."""
    connection.execute(delete(sessions).where(sessions.c.cookie == digest_of(cookie)))

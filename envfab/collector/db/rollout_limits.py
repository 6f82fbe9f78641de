"""What a document of a rollout must be beyond its form, so that tables can hold it and pages can show it."""

from __future__ import annotations

from collections import Counter

from envfab.collector.db.rollout_times import milliseconds_of
from envfab.collector.db.told_virtualenvs import key_of
from envfab.models.rollout_document import PackageChange, RolloutDocument, RolloutVirtualenv

MAX_NAME = 600  # bytes: an index of PostgreSQL holds entries of 2,700


def check_limits(document: RolloutDocument) -> None:
    """Raise `ValueError`, in words that name what is wrong, for a document that cannot be stored."""
    milliseconds_of(document.began, "began")
    if document.ended is not None:
        milliseconds_of(document.ended, "ended")
    for one in document.virtualenvs:
        _check_virtualenv(one)
    # of each set once: virtualenvs share them
    for changes in {id(one.changes): one.changes for one in document.virtualenvs}.values():
        _check_changes(changes)
    many = Counter(map(key_of, document.virtualenvs))
    if len(many) < len(document.virtualenvs):
        twice = next(one for one in document.virtualenvs if many[key_of(one)] > 1)
        raise ValueError(f"two entries of 'virtualenvs' are {twice.path} of {twice.owner} on {twice.host}")


def _check_virtualenv(one: RolloutVirtualenv) -> None:
    if not one.host:
        raise ValueError("'host' is empty")
    _check_size("host", one.host)
    if one.drift is not None and one.drift.since is not None:
        milliseconds_of(one.drift.since, "since")


def _check_changes(changes: tuple[PackageChange, ...]) -> None:
    for one in changes:
        _check_size("name", one.name)


def _check_size(field: str, text: str) -> None:
    size = len(text.encode())
    if size > MAX_NAME:
        raise ValueError(f"{field!r} has {size} bytes, and may have {MAX_NAME}")

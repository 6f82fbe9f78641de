"""The sizes of stores, to people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envfab.remote.upkeep import Upkeep
from envfab.util.counts import count

MEGABYTE = 1_000_000


def store_line(one: Upkeep) -> str:
    """Return a store in one line: `shop@web1: store of 12 wheels, 84.2 MB`."""
    target = one.member.target
    where = f"{target.owner}@{target.host}"
    if one.error is not None:
        return f"{where}: the size of the store is not known: {one.error.what}"
    return f"{where}: store of {count(one.value.wheels, 'wheel')}, {one.value.size / MEGABYTE:.1f} MB"


def stores_json(stores: Sequence[Upkeep]) -> list[dict[str, Any]]:
    """Return what `stores` is in JSON documents: an object for each host and owner."""
    return [
        {
            "host": one.member.target.host,
            "user": one.member.target.owner,
            "wheels": None if one.error else one.value.wheels,
            "bytes": None if one.error else one.value.size,
            "error": str(one.error) if one.error else None,
        }
        for one in stores
    ]

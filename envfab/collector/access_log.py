"""The access log: a line of JSON a request, on the logger `envfab.collector.access`.

It has no address as it was requested, no query and no token, so that it can be kept, and shown, without secrets.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

from envfab.collector.exchange import Exchange

access = logging.getLogger("envfab.collector.access")


class AccessLog:
    """Writes to standard error, unless the logger was given handlers by whoever runs the application.

    Without `store_addresses` lines on usage reports have no address of the client either.
    """

    def __init__(self, *, store_addresses: bool) -> None:
        self._store_addresses = store_addresses
        access.setLevel(logging.INFO)
        if not access.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(message)s"))
            access.addHandler(handler)

    def observe(self, exchange: Exchange) -> None:
        """Write a line."""
        known = self._store_addresses or exchange.route.kind != "reports"
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "method": exchange.method,
            "route": exchange.route.pattern,
            "status": exchange.status,
            "ms": round(exchange.seconds * 1000, 1),
            "bytes": exchange.size,
            "client": exchange.client if known else "",
            "token": exchange.route.token,
        }
        access.info("%s", json.dumps(line))

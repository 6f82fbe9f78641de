"""How much one client may ask for in a minute: requests, requests with a body, and requests with a wrong token.

A client is an address, as the proxies in front tell it, or the network of an IPv6 address (/64). What it has left is
kept in memory, by each process for itself: with four workers a client may ask for up to four times as much.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MINUTE = 60.0
CLIENTS = 10_000  # that are remembered


class RateLimit:
    """An allowance of so many a minute for each client, which may be used at once and fills up evenly."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._turn = threading.Lock()
        # by client: what it has left, and when that was; whoever asked last is at the end
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Take one of a client's allowance: 0, or after how many seconds it may try again. A limit of 0 is none."""
        if not self._a_minute:
            return 0
        client = client_of(address)
        with self._turn:
            now = self._clock()
            left = self._left_at(client, now)
            self._left.pop(client, None)
            self._left[client] = (left - 1 if left >= 1 else left, now)
            if len(self._left) > CLIENTS:
                self._left.popitem(last=False)
        return self._seconds_until_one(left)

    def expected_wait(self, address: str) -> int:
        """What `wait` would return, without taking anything."""
        if not self._a_minute:
            return 0
        with self._turn:
            return self._seconds_until_one(self._left_at(client_of(address), self._clock()))

    def _left_at(self, client: str, now: float) -> float:
        left, since = self._left.get(client, (float(self._a_minute), now))
        return min(self._a_minute, left + (now - since) * self._a_minute / MINUTE)

    def _seconds_until_one(self, left: float) -> int:
        return 0 if left >= 1 else math.ceil((1 - left) * MINUTE / self._a_minute)


def client_of(address: str) -> str:
    """What an address is counted as: itself, or the network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((int(found), 64), strict=False))

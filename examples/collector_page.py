"""Print where the demo's virtualenv is shown; `--wait` waits until the collector answers."""

from __future__ import annotations

import json
import sys
import time
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

COLLECTOR = "http://127.0.0.1:8088"
PATIENCE = 20


def applications() -> list[dict[str, Any]]:
    """Return the applications that the collector has."""
    with build_opener(ProxyHandler({})).open(f"{COLLECTOR}/api/applications", timeout=5) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def wait() -> int:
    """Wait for the collector to answer; return 0, or 1 if it does not."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            applications()
            return 0
        except URLError:
            time.sleep(0.1)
    return 1


if __name__ == "__main__":
    if "--wait" in sys.argv:
        sys.exit(wait())
    for application in applications():
        print(f"  {application['name']}: {application['packages']} packages, {application['behind']} of them behind")
        print(f"  {COLLECTOR}/applications/{application['uuid']}")

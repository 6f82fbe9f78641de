"""Opt-in usage statistics for any Python program; a drop-in for the `usagestats` package, version 1.0.1.

The way of a report: `stats` puts it together, `report` writes it down, `queue` keeps it on disk,
`delivery` brings it to the server through `transport`, and `pause` says when to try again.
"""

from __future__ import annotations

from envfab.usagestats.consent_prompt import Prompt
from envfab.usagestats.flags import OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME
from envfab.usagestats.stats import Stats

__all__ = ["OPERATING_SYSTEM", "PYTHON_VERSION", "SESSION_TIME", "Prompt", "Stats"]

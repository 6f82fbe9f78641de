"""Vulnerabilities and findings as JSON, in answers and in events."""

from __future__ import annotations

from typing import Any

from envfab.collector.db.finding_queries import StoredFinding, StoredVulnerability
from envfab.collector.template_filters import iso


def vulnerability_json(one: StoredVulnerability) -> dict[str, Any]:
    """A vulnerability, by its usual name, with all others."""
    return {"id": one.name, "aliases": list(one.names[1:]), "severity": one.severity, "score": one.score,
            "summary": one.summary, "first_seen": iso(one.first_seen)}  # fmt: skip


def finding_json(one: StoredFinding) -> dict[str, Any]:
    """A finding, without its vulnerability; `version` is what is installed now, or what was when it was seen first."""
    application = {"uuid": one.application.uuid, "name": one.application.name, "url": one.application.url}
    return {"application": application, "package": one.shown_as, "version": one.version or one.version_first,
            "fixed": list(one.fixed), "first_seen": iso(one.first_seen),
            "ended": iso(one.ended_at) if one.ended_at is not None else None}  # fmt: skip

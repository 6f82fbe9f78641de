"""What was deployed to a virtualenv, to people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from packaging.utils import canonicalize_name
from rich.text import Text

from envfab.deployment.journal import Record, to_json
from envfab.deployment.notes import spoken
from envfab.deployment.result import AS_BEFORE
from envfab.planning.plan import Status, status_without
from envfab.remote.probe import ProbeResult
from envfab.util.untrusted import one_line

SHOWN_CHANGES = 6
SHOWN_DIGEST = 12  # hex digits


def show_history(found: ProbeResult, records: Sequence[Record], limit: int) -> Text:
    """Return the newest `limit` of a virtualenv's `records` as text, and how many more there are."""
    text = Text(str(found.member.target), "bold")
    if found.error is not None:
        what = str(found.error).removeprefix(f"{found.member.target}: ")
        status = status_without(found.error)
        text.append(f"   {'unreadable' if status is Status.BLOCKED else status.value}", "bold red")
        text.append("".join(f"\n    {line.strip()}" for line in what.splitlines()))
    elif not records:
        text.append("   nothing was deployed yet", "dim")
    for record in records[:limit]:
        text.append(f"\n  {one_line(record.deployment)}", "bold")
        part = f"slice {record.slice}   " if record.slice else ""
        about = (
            f"{spoken(record.ended or record.began)}   {record.who} from {record.origin}   {part}{_ended_as(record)}"
        )
        digest = f"   digest {record.digest[:SHOWN_DIGEST]}" if record.digest else ""
        text.append(f"   {one_line(about + digest)}")
        if record.approved_by:
            text.append(f"\n      approved by {one_line(', '.join(record.approved_by))}", "dim")
        if record.upgrade:
            published = {canonicalize_name(change.name): change.name for change in record.changes}
            named = [published.get(canonicalize_name(name), name) for name in record.upgrade if name != "*"]
            upgraded = " ".join(["--upgrade", *named])
            text.append(f"\n      {one_line(upgraded)}", "dim")
        for change in record.changes[:SHOWN_CHANGES]:
            what = f"{change.name}   {change.installed or '-'} → {change.version or '-'}"
            text.append(f"\n      {one_line(what)}", "dim")
        if len(record.changes) > SHOWN_CHANGES:
            text.append(f"\n      and {len(record.changes) - SHOWN_CHANGES} more", "dim")
        if record.migrated:
            text.append(f"\n      migrated: {one_line(', '.join(record.migrated))}", "dim")
        for names, what in (
            (record.uncertain, "migrations that may or may not have run"),
            (record.unapplied, "migrations that failed or were never begun"),
        ):
            if names:
                text.append(f"\n      {what}: {one_line(', '.join(names))}", "yellow")
        if record.error:
            text.append(f"\n      {one_line(record.error)}", "red")
    if len(records) > limit:
        text.append(f"\n  {len(records) - limit} more: --limit {len(records)}", "dim")
    return text


def _ended_as(record: Record) -> str:
    """Return how a deployment ended, or its current state."""
    if record.status == "deployed":
        return f"rolled back {record.undoes}" if record.undoes else "deployed"
    if record.status in ("failed", "interrupted", "under way"):
        return f"{record.status} at {record.step}"
    if record.status == "rolled-back":
        return AS_BEFORE
    return str(record.status)


def history_json(found: ProbeResult, records: Sequence[Record], limit: int) -> dict[str, Any]:
    """Return the same as JSON."""
    return {
        "target": str(found.member.target),
        "error": str(found.error) if found.error else None,
        "deployments": [to_json(record) for record in records[::-1][:limit]],
        "more": max(0, len(records) - limit),
    }

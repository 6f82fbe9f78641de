"""Metrics of a fleet for Prometheus. What is not known has no sample, so that it never looks good."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from envfab.audit.findings import AuditedVirtualenv, FindingKind, FindingState
from envfab.audit.severity import Severity
from envfab.config.target import Target
from envfab.deployment.journal import from_json
from envfab.deployment.proposal import Proposal
from envfab.deployment.verification import Verification
from envfab.errors import FormatError, UsageError
from envfab.models.drift import Drift
from envfab.planning.plan import Status
from envfab.util.atomic import write_file
from envfab.util.prometheus import Gauge, exposition
from envfab.util.times import in_utc, parse_time

# node_exporter reads it as another user
READABLE = 0o644


def plan_metrics(proposals: Sequence[Proposal], now: datetime) -> str:
    """Return the metrics of `plan`: statuses, changes to come, wheels missing, and the last deployments."""
    planned = [one for one in proposals if one.plan.status in (Status.CURRENT, Status.CHANGES, Status.BLOCKED)]
    deployed = [(one, at) for one in proposals if (at := last_deployment(one)) is not None]
    statuses = [one.plan.status for one in proposals]
    return exposition(
        [
            Gauge(
                "envfab_virtualenvs",
                "Virtualenvs by the status of their plan.",
                tuple(({"status": status.value}, statuses.count(status)) for status in Status),
            ),
            _of_each(
                "envfab_virtualenv_current",
                "1 if there is nothing to do for the virtualenv, else 0.",
                ((one, int(one.plan.status is Status.CURRENT)) for one in proposals),
            ),
            _of_each(
                "envfab_virtualenv_changes",
                "Packages that the next deployment would install, change or remove.",
                ((one, len(one.plan.actions)) for one in planned),
            ),
            _of_each(
                "envfab_virtualenv_wheels_missing",
                "Requirements that the wheelhouse cannot meet.",
                ((one, len(one.plan.missing)) for one in planned),
            ),
            _of_each(
                "envfab_virtualenv_last_deployment_timestamp_seconds",
                "When the last deployment ended, in seconds since 1970.",
                ((one, at.timestamp()) for one, at in deployed),
            ),
            _of_each(
                "envfab_virtualenv_last_deployment_age_seconds",
                "Seconds from the end of the last deployment to this plan.",
                ((one, (now - at).total_seconds()) for one, at in deployed),
            ),
            *_drift("stat", [(one.plan.target, one.drift) for one in planned if one.drift is not None]),
            _made_at("plan", now),
        ]
    )


def verify_metrics(verified: Sequence[Verification], now: datetime) -> str:
    """Return the metrics of `verify`: what differs in each virtualenv, and since when."""
    known = [(one.member.target, one.drift) for one in verified if one.drift is not None]
    since = [(target, at) for target, drift in known if (at := _seconds_of(drift.since)) is not None]
    return exposition(
        [
            *_drift("content", known),
            Gauge(
                "envfab_virtualenv_drift_since_timestamp_seconds",
                "When the first difference was seen, in seconds since 1970.",
                tuple((_labels(target), at) for target, at in since),
            ),
            _made_at("verify", now),
        ]
    )


def audit_metrics(rows: Iterable[AuditedVirtualenv], now: datetime) -> str:
    """Return the metrics of `audit`: known vulnerabilities, findings that count, and packages not checked."""
    checked = [row for row in rows if row.found.error is None]
    counts: tuple[tuple[str, str, Callable[[AuditedVirtualenv], int]], ...] = (
        (
            "vulnerabilities",
            "Known vulnerabilities of installed packages.",
            lambda row: sum(one.kind is FindingKind.VULNERABILITY for one in row.findings),
        ),
        ("packages_unchecked", "Installed packages that could not be checked.", lambda row: len(row.unchecked)),
        (
            "findings_accepted",
            "Findings that are accepted.",
            lambda row: sum(one.state is FindingState.ACCEPTED for one in row.findings),
        ),
    )
    gauges = [
        Gauge(
            f"envfab_virtualenv_{name}",
            text,
            tuple((_labels(row.found.member.target), value(row)) for row in checked),
        )
        for name, text, value in counts
    ]
    by_severity = Gauge(
        "envfab_virtualenv_findings",
        "Findings that are not accepted, by severity.",
        tuple(
            (
                {**_labels(row.found.member.target), "severity": severity.value},
                sum(one.rating.severity is severity for one in row.counted),
            )
            for row in checked
            for severity in Severity
        ),
    )
    return exposition([*gauges, by_severity, _made_at("audit", now)])


def write_metrics(place: Path, text: str) -> None:
    """Write metrics to a file in one step; raises `UsageError` if it cannot be written."""
    try:
        write_file(place, text.encode(), READABLE)
    except OSError as error:
        raise UsageError(f"cannot write {str(place)!r}: {error.strerror}", where="--metrics") from None


def last_deployment(proposal: Proposal) -> datetime | None:
    """Return when a virtualenv's last deployment ended; None if that is not known, or there was none."""
    probe = proposal.probe
    if probe is None or probe.last is None:
        return None
    try:
        ended = from_json(probe.last, str(probe.target)).ended
        return in_utc(parse_time(ended)).astimezone(timezone.utc) if ended is not None else None
    except (FormatError, ValueError, OverflowError):
        return None


def _drift(by: str, known: Sequence[tuple[Target, Drift]]) -> list[Gauge]:
    """How much differs. The label `by` keeps apart what `plan` and `verify` find: both files may be in one folder."""
    return [
        Gauge(
            "envfab_virtualenv_drift_packages",
            "Packages that were installed, removed or replaced since the last deployment.",
            tuple(({**_labels(target), "by": by}, len(drift.packages)) for target, drift in known),
        ),
        Gauge(
            "envfab_virtualenv_drift_files",
            "Files beside those packages that differ from what was deployed.",
            tuple(({**_labels(target), "by": by}, drift.others) for target, drift in known),
        ),
    ]


def _seconds_of(since: str | None) -> float | None:
    """Return a time that a host tells (ISO 8601) in seconds since 1970; None if there is none, or it is not a time."""
    try:
        return in_utc(parse_time(since)).timestamp() if since is not None else None
    except (ValueError, OverflowError):
        return None


def _labels(target: Target) -> dict[str, str]:
    return {"host": target.host, "path": target.path, "owner": target.owner}


def _of_each(name: str, text: str, values: Iterable[tuple[Proposal, float]]) -> Gauge:
    return Gauge(name, text, tuple((_labels(one.plan.target), value) for one, value in values))


def _made_at(task: str, now: datetime) -> Gauge:
    text = "When the metrics of this task were made, in seconds since 1970."
    return Gauge("envfab_metrics_timestamp_seconds", text, (({"task": task}, now.timestamp()),))

"""Drift, to people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from envfab.deployment.notes import spoken
from envfab.deployment.verification import Verification
from envfab.models.drift import Drift, FileChange, FileChangeKind, PackageDrift, Place, to_json
from envfab.planning.plan import Status, status_without
from envfab.util.counts import count
from envfab.util.untrusted import one_line

SHOWN_FILES = 20
SHOWN_DIGEST = 12  # hex digits
SIGNS = {FileChangeKind.ADDED: "+", FileChangeKind.REMOVED: "-", FileChangeKind.CHANGED: "~"}
TITLES = {Place.PACKAGES: "", Place.SCRIPTS: "script", Place.DATA: "data file"}
NOT_KNOWN = "not known: no deployment of this version of envfab has been here; the next one begins to tell"


def show_verification(one: Verification) -> Text:
    """Return what differs in a virtualenv, or that nothing does."""
    text = Text(str(one.member.target), "bold")
    if one.error is not None:
        what = str(one.error).removeprefix(f"{one.member.target}: ")
        status = status_without(one.error)
        text.append(f"   {'unreadable' if status is Status.BLOCKED else status.value}", "bold red")
        text.append("".join(f"\n    {line.strip()}" for line in what.splitlines()))
    elif one.drift is None:
        text.append(f"   {NOT_KNOWN}", "yellow")
    elif not one.drift:
        text.append(f"   as deployed{_deployment(one)}", "dim")
    else:
        text.append(f"   changed since {spoken(one.drift.since or '')}{_deployment(one)}", "bold yellow")
        for line in _lines(one.drift):
            text.append(f"\n    {one_line(line)}")
    return text


def _deployment(one: Verification) -> str:
    """Return which deployment a virtualenv is compared with, and the digest of what it left."""
    deployed = one.probe.deployed if one.probe is not None else None
    if deployed is None:
        return ""
    return f" · {one_line(deployed.deployment or 'unknown deployment')} · {deployed.digest[:SHOWN_DIGEST]}"


def _lines(drift: Drift) -> Iterator[str]:
    for package in drift.packages:
        yield _package(package)
    for file in drift.files[:SHOWN_FILES]:
        yield _file(file)
    if drift.others > min(len(drift.files), SHOWN_FILES):
        yield f"and {count(drift.others - min(len(drift.files), SHOWN_FILES), 'more file')}: --json lists them"


def _package(package: PackageDrift) -> str:
    versions = " → ".join(version for version in (package.before, package.after) if version)
    if package.before == package.after:
        versions = str(package.after)
    return f"package {package.name} {versions} {package.what} by hand   {count(package.files, 'file')}"


def _file(file: FileChange) -> str:
    what = file.kind.value if not file.how else f"{' and '.join(file.how)} changed"
    shared = "; its other links, in the store and in other virtualenvs, have this content too" if file.shared else ""
    owner = f"of {file.owner}" if file.owner else "of no package"
    title = TITLES[file.place]
    return f"{SIGNS[file.kind]} {file.path}   {what}   {f'{title} ' if title else ''}{owner}{shared}"


def summary(verified: Sequence[Verification]) -> str:
    """Return how many are as deployed, changed, not known, or could not be verified; and how many digests there are."""
    counts: dict[str, int] = {}
    for one in verified:
        word = status_of(one)
        counts[word] = counts.get(word, 0) + 1
    digests = {one.probe.digest for one in verified if one.probe is not None} - {None}
    of_digests = f"; {count(len(digests), 'digest')}" if digests else ""
    return (", ".join(f"{number} {word}" for word, number in counts.items()) or "no virtualenv") + of_digests


def status_of(one: Verification) -> str:
    """Return the word for a result: as deployed, changed, not known, or why it could not be verified."""
    if one.error is not None:
        return status_without(one.error).value
    return "not known" if one.drift is None else "changed" if one.drift else "as deployed"


def verifications_json(verified: Sequence[Verification]) -> dict[str, Any]:
    """Return what `verify --json` prints."""
    return {"format": 1, "virtualenvs": [_verification_json(one) for one in verified]}


def _verification_json(one: Verification) -> dict[str, Any]:
    deployed = one.probe.deployed if one.probe is not None else None
    return {
        "target": str(one.member.target),
        "host": one.member.target.host,
        "user": one.member.target.owner,
        "path": one.member.target.path,
        "status": status_of(one),
        "error": str(one.error) if one.error else None,
        "deployment": deployed.deployment if deployed else None,
        "digest": one.probe.digest if one.probe is not None else None,
        "drift": None if one.drift is None else to_json(one.drift),
    }

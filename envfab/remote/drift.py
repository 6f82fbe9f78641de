"""Drift, asked of agents: what differs in a virtualenv from what its last deployment left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from envfab.errors import EnvfabError
from envfab.models.drift import Drift, FileChange, FileChangeKind, PackageDrift, Place
from envfab.models.probe import Probe
from envfab.remote import agent_sources
from envfab.remote.agent_frames import MAX_NAME, decoding
from envfab.remote.agent_replies import MAX_PATH
from envfab.remote.probe import ProbeResult, TargetSession
from envfab.util.json_fields import Fields
from envfab.util.progress import Reporter
from envfab.util.times import now

MAX_FILES = 10_000  # listed of a virtualenv; the rest is counted
MAX_PACKAGES = 10_000
MAX_TIME = 40  # characters

_PLACES = {place.value: place for place in Place}
_KINDS = {kind.value: kind for kind in FileChangeKind}


def drift_by_stat(site: TargetSession, probe: Probe) -> Drift | None:
    """Ask a virtualenv's agent what differs, by stat alone: no content is read, and a touched file counts as changed.

    None if nothing tells what was deployed. Raises `OperationFailed` if a newer envfab wrote that.
    """
    if probe.generation is None or probe.plain:
        return None
    agent, where = site.agent(), str(site.member.target)
    agent.load(agent_sources.INVENTORY)
    reply = agent.ask("compare")
    with decoding(where):
        said = Fields(reply)
        known, same = said.truth("known"), said.truth("same")
    if not known:
        return None
    return Drift(probe.generation, 0) if same else _drift(site, read=False)


def drift_by_content(site: TargetSession) -> Drift | None:
    """Ask a virtualenv's agent what differs; it reads each file that it has not read since that changed.

    None if nothing tells what was deployed. Raises `OperationFailed` if a newer envfab wrote that.
    """
    return _drift(site, read=True)


def confirmed_drift(site: TargetSession, probe: Probe) -> Drift | None:
    """Ask a virtualenv's agent what differs by stat; if something does, contents are read, so that it is true.

    None if nothing tells what was deployed. Raises as `drift_by_stat` does.
    """
    found = drift_by_stat(site, probe)
    return drift_by_content(site) if found else found


def with_drift(found: ProbeResult, reporter: Reporter) -> ProbeResult:
    """Return the result of probing a virtualenv, its probe with what differs; a warning tells if that cannot be had."""
    if found.site is None or found.probe is None:
        return found
    try:
        return replace(found, probe=replace(found.probe, drift=confirmed_drift(found.site, found.probe)))
    except EnvfabError as error:
        reporter.warning(f"drift is not known: {error}")
        return found


def _drift(site: TargetSession, *, read: bool) -> Drift | None:
    agent = site.agent()
    agent.load(agent_sources.DRIFT)
    return to_drift(agent.ask("drift", read=read, most=MAX_FILES, now=now()), str(site.member.target))


def to_drift(reply: Mapping[str, Any], where: str) -> Drift | None:
    """Decode what differs; None if nothing tells what was deployed. Raises `AgentError`."""
    with decoding(where):
        fields = Fields(reply)
        if not fields.truth("known"):
            return None
        return Drift(
            fields.number("generation"),
            fields.number("files"),
            tuple(map(_package, fields.objects("packages", MAX_PACKAGES))),
            tuple(map(_file, fields.objects("changes", MAX_FILES))),
            fields.number("others"),
        )


def _package(said: Fields) -> PackageDrift:
    return PackageDrift(
        said.line("name", MAX_NAME),
        said.line_or_none("before", MAX_NAME),
        said.line_or_none("after", MAX_NAME),
        said.number("files"),
        said.line("seen", MAX_TIME),
    )


def _file(said: Fields) -> FileChange:
    return FileChange(
        said.line("path", MAX_PATH),
        _KINDS[_one_of(said, "change", _KINDS)],
        said.lines("how", len(Place) + 1, MAX_NAME),
        _PLACES[_one_of(said, "place", _PLACES)],
        said.line_or_none("owner", MAX_NAME),
        said.truth("shared"),
        said.line("seen", MAX_TIME),
    )


def _one_of(said: Fields, name: str, words: Mapping[str, object]) -> str:
    word = said.line(name, MAX_NAME)
    if word not in words:
        raise ValueError(f"{name!r} must be one of {', '.join(words)}, not {word!r}")
    return word

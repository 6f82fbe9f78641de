"""Decoding of the probes that agents send: each becomes a `Probe`, with bounded sizes, or an error of its target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from packaging.utils import NormalizedName

from envfab.config.target import Target
from envfab.errors import Unusable
from envfab.models.distribution import Distribution, Origin
from envfab.models.drift import Deployed
from envfab.models.interpreter import MARKER_NAMES, Interpreter
from envfab.models.probe import Probe, Stranded
from envfab.remote.agent_frames import MAX_MESSAGE, MAX_NAME, decoding, to_drained, to_holder
from envfab.remote.agent_replies import MAX_GENERATIONS, MAX_PATH, to_digest, to_generation_number, to_processes
from envfab.util.json_fields import Fields
from envfab.util.versions import version_or_none

MAX_UNREADABLE = 10
MAX_DISTRIBUTIONS = 10_000
MAX_REQUIRES = 2_000  # of one distribution; some have hundreds
MAX_ALL_REQUIRES = 50_000
DEPLOYED_FORMAT = 1  # of what agents write about deployments (agent/deployed)

_ORIGINS = {origin.value: origin for origin in Origin}


def to_probe(target: Target, reply: object) -> Probe:
    """Decode a probe; raises `AgentError`, or `Unusable` if the interpreter's version is invalid."""
    with decoding(str(target)):
        fields = Fields.of(reply)
        said = fields.line("version", MAX_NAME)
        version = version_or_none(said.rstrip("+"))
        if version is None:
            raise Unusable(f"the interpreter reports an invalid version: {said!r}", where=str(target))
        own, duplicates = _by_name(fields.objects("own", MAX_DISTRIBUTIONS), None)
        outside, _ = _by_name(fields.objects("outside", MAX_DISTRIBUTIONS), Origin.OUTSIDE)
        markers = fields.object("markers")
        holder = to_holder(fields.value("holder"))
        return Probe(
            target=target,
            interpreter=Interpreter(
                version,
                fields.line("implementation", MAX_NAME),
                {name: markers.line(name, MAX_MESSAGE) for name in MARKER_NAMES},
            ),
            distributions=own,
            outside={name: found for name, found in outside.items() if name not in own},
            leftovers=(
                *fields.lines("leftovers", longest=MAX_NAME * 2),
                *fields.lines("damaged", longest=MAX_NAME * 2),
            ),
            duplicates=duplicates,
            journal=fields.value("journal") if holder is None else None,
            stranded=_stranded(fields),
            under_way=fields.value("journal") if holder is not None else None,
            holder=holder,
            fingerprint=fields.line("stamp", MAX_NAME),
            last=fields.value("last"),
            node=fields.line("node", MAX_NAME * 2),
            generation=to_generation_number(fields.value("generation")),
            generations=tuple(to_generation_number(one) or 0 for one in fields.items("generations", MAX_GENERATIONS)),
            plain=fields.truth("plain"),
            deployed=_deployed(fields),
            lingering=to_processes(fields.value("lingering")),
            drained=to_drained(Fields({"drained": None, **fields.values}).value("drained")),
            signed_only=Fields({"signed_only": False, **fields.values}).truth("signed_only"),
            unreadable=Fields({"unreadable": [], **fields.values}).lines("unreadable", MAX_UNREADABLE, MAX_PATH),
        )


def to_generation(reply: object, before: Probe) -> Probe:
    """Decode the probe of a new generation; what a generation does not contain is taken from `before`.

    Raises `AgentError`.
    """
    with decoding(str(before.target)):
        fields = Fields.of(reply)
        own, duplicates = _by_name(fields.objects("own", MAX_DISTRIBUTIONS), None)
        outside, _ = _by_name(fields.objects("outside", MAX_DISTRIBUTIONS), Origin.OUTSIDE)
        return replace(
            before,
            distributions=own,
            outside={name: found for name, found in outside.items() if name not in own},
            leftovers=(
                *fields.lines("leftovers", longest=MAX_NAME * 2),
                *fields.lines("damaged", longest=MAX_NAME * 2),
            ),
            duplicates=duplicates,
        )


def to_locked(reply: Mapping[str, Any], target: Target) -> Probe | None:
    """Decode the probe that comes with a lock, or None if the virtualenv has not changed; raises `AgentError`."""
    with decoding(str(target)):
        probe = Fields(reply).value("probe")
    return None if probe is None else to_probe(target, probe)


def _deployed(fields: Fields) -> Deployed | None:
    """What is known of the last deployment; what a newer envfab wrote is not understood."""
    said = Fields({"deployed": None, **fields.values}).object_or_none("deployed")
    if said is None or said.number("format") > DEPLOYED_FORMAT:
        return None
    return Deployed(
        to_generation_number(said.value("generation")) or 0,
        said.line_or_none("deployment", MAX_NAME),
        said.line_or_none("when", MAX_NAME),
        to_digest(said.value("digest")),
    )


def _stranded(fields: Fields) -> Stranded | None:
    said = Fields({"stranded": None, **fields.values}).object_or_none("stranded")
    return None if said is None else Stranded(said.line("folder", MAX_PATH), said.number("packages"))


def _by_name(
    entries: Sequence[Fields], origin: Origin | None
) -> tuple[dict[NormalizedName, Distribution], tuple[str, ...]]:
    """(distributions by canonical name, names installed twice); of two, the first one on the import path counts."""
    found: dict[NormalizedName, Distribution] = {}
    twice, requirements = [], 0
    for entry in entries:
        requires = entry.lines("requires", MAX_REQUIRES)
        requirements += len(requires)
        if requirements > MAX_ALL_REQUIRES:
            raise ValueError(f"the distributions have more than {MAX_ALL_REQUIRES} requirements together")
        distribution = Distribution.build(
            entry.line("name", MAX_NAME),
            entry.line("version", MAX_NAME),
            requires,
            entry.lines("extras", MAX_REQUIRES, MAX_NAME),
            origin or _origin(entry),
            entry.line_or_none("requires_python", MAX_NAME * 2),
        )
        if distribution.name in found:
            twice.append(distribution.shown_as)
        else:
            found[distribution.name] = distribution
    return found, tuple(twice)


def _origin(entry: Fields) -> Origin:
    said = entry.line("origin", MAX_NAME)
    if said not in _ORIGINS:
        raise ValueError(f"'origin' must be one of {', '.join(_ORIGINS)}, not {said!r}")
    return _ORIGINS[said]

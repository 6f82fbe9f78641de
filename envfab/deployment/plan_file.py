"""Saved plans: written by `fab plan --out`, carried out later by `fab deploy --plan` unchanged, or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from envfab.config.settings import read_batch
from envfab.config.slices import Slice
from envfab.config.target import Target
from envfab.errors import ConfigurationError, FormatError, UsageError
from envfab.planning.plan import Plan, Status
from envfab.planning.plan_json import from_json
from envfab.util.atomic import write_file
from envfab.util.json_fields import Fields
from envfab.util.paths import read_file
from envfab.util.untrusted import parse_json
from envfab.util.versions import shortened

FORMAT = 2
# a plan without waves, which versions of envfab that know none can carry out
WITHOUT_WAVES = 1
# bytes; a plan of 150 virtualenvs with 200 changes each takes 10 million
LIMIT = 256 << 20
HINT = "make one with fab plan --out FILE"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Waves:
    """The waves of a saved plan: `canaries` first, then `batch` at a time (a number, or a percentage of all)."""

    canaries: frozenset[Target] = frozenset()
    batch: int | str | None = None

    def to_json(self) -> dict[str, Any]:
        """Convert to the JSON object that is in a saved plan."""
        return {"canaries": sorted(map(str, self.canaries)), "batch": self.batch}


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan file: plans in the order in which it has them, and what slices of the plan depend on.

    `fleet` is the fingerprint of the fleet that it was made from, None in files of older versions. `slice` is the slice
    that was planned, None for all of the fleet. `sha256` is that of the file, in hex. `commands` are those of the
    fabfile that it was made from: (field, text for people).
    """

    plans: Mapping[Target, Plan]
    fleet: str | None = None
    slice: Slice | None = None
    waves: Waves | None = None
    sha256: str = ""
    commands: Mapping[Target, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def on(self, hosts: Container[str]) -> SavedPlan:
        """Return the part of it that is on some hosts."""
        return replace(self, plans={target: plan for target, plan in self.plans.items() if target.host in hosts})

    @property
    def deployable(self) -> tuple[Target, ...]:
        """The targets that the waves are made of: those with changes."""
        return tuple(target for target, plan in self.plans.items() if plan.status is Status.CHANGES)


def save(path: Path, document: Mapping[str, Any]) -> str:
    """Write a plan's JSON document atomically, and return the file's SHA-256 in hex.

    Raises `UsageError` if it cannot be written.
    """
    # an older envfab would pass over waves, and deploy to all at once
    document = {**document, "format": FORMAT if document.get("waves") else WITHOUT_WAVES}
    content = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    try:
        write_file(path, content)
    except OSError as error:
        raise UsageError(f"cannot write the plan: {error.strerror}", where=str(path)) from None
    return hashlib.sha256(content).hexdigest()


def load(path: Path) -> SavedPlan:
    """Read a file that `save` wrote.

    Raises `UsageError` if the file cannot be read, `FormatError` if it is not a saved plan or has a newer format.
    """
    try:
        content = read_file(path, LIMIT)
        document = parse_json(content)
    except OSError as error:
        raise UsageError(f"cannot read the plan: {error.strerror}", where=str(path), hint=HINT) from None
    except ValueError:
        raise FormatError("not a saved plan", where=str(path), hint=HINT) from None
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise FormatError("not a saved plan", where=str(path), hint=HINT)
    if document["format"] > FORMAT:
        raise FormatError(
            f"the plan has format {document['format']}; this envfab reads formats up to {FORMAT}",
            where=str(path),
            hint="use the version of envfab that made it",
        )
    try:
        return replace(_saved_plan(document), sha256=hashlib.sha256(content).hexdigest())
    except (FormatError, ValueError) as error:
        what = error.what if isinstance(error, FormatError) else f"not a valid plan: {error}"
        raise FormatError(what, where=str(path), hint=HINT) from None


def _saved_plan(document: Mapping[str, Any]) -> SavedPlan:
    """The saved plan in a document; raises `FormatError` or `ValueError`."""
    virtualenvs = document.get("virtualenvs")
    if not isinstance(virtualenvs, list):
        raise FormatError("not a saved plan: 'virtualenvs' must be a list")
    plans = [from_json(one) for one in virtualenvs]
    twice = [str(target) for target, number in Counter(plan.target for plan in plans).items() if number > 1]
    if twice:
        raise FormatError(f"not a valid plan: {twice[0]} is in it twice")
    fleet = document.get("fleet")
    if fleet is not None and not (isinstance(fleet, str) and _SHA256.fullmatch(fleet)):
        raise ValueError(f"'fleet' must be 64 hex digits, not {shortened(repr(fleet))}")
    by_target = {plan.target: plan for plan in plans}
    waves = _waves(document.get("waves"), by_target)
    commands = {plan.target: _commands(one.get("commands")) for plan, one in zip(plans, virtualenvs, strict=True)}
    return SavedPlan(by_target, fleet, _slice(document.get("slice")), waves, commands=commands)


def _commands(value: object) -> tuple[tuple[str, str], ...]:
    fields = Fields.of({"commands": [] if value is None else value}).objects("commands")
    return tuple((one.text("of"), one.text("command")) for one in fields)


def _slice(value: object) -> Slice | None:
    if value is None:
        return None
    try:
        return Slice.parse(value if isinstance(value, str) else "")
    except UsageError:
        raise ValueError(f"'slice' must be K/N, such as '3/8', not {shortened(repr(value))}") from None


def _waves(value: object, plans: Mapping[Target, Plan]) -> Waves | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError(f"'waves' must be an object, not {shortened(repr(value))}")
    by_name = {str(target): target for target in plans}
    canaries = value.get("canaries", [])
    if not isinstance(canaries, list):
        raise ValueError(f"'canaries' must be a list, not {shortened(repr(canaries))}")
    strange = [one for one in canaries if not isinstance(one, str) or one not in by_name]
    if strange:
        raise ValueError(f"the canary {shortened(repr(strange[0]))} is not in it")
    try:
        batch = read_batch("batch", value.get("batch"))
    except ConfigurationError as error:
        raise ValueError(f"'batch': {shortened(error.what)}") from None
    return Waves(frozenset(by_name[one] for one in canaries), batch)

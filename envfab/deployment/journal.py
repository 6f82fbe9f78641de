"""The record of a deployment: the journal while it is under way, a line of the history once it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name

from envfab.errors import FormatError
from envfab.models.probe import LingeringProcess, Probe
from envfab.planning.plan import Plan
from envfab.util.json_fields import Fields

FORMAT = 1
INTERRUPTED = "interrupted"
FAILED = "failed"
UNDER_WAY = "under way"
DEPLOYED = "deployed"
LATER = ("ended", "status", "error", "undoes", "generation", "previous")
MAX_ERROR = 100_000  # characters; it may name all that a deployment would have broken
FILES = {"journal": "journal.json", "history": "history.jsonl"}


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution as it was before: its name as published, its version, and how it came there."""

    name: str
    version: str
    origin: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a deployment did to one distribution; `installed` is what was there, `version` what came."""

    action: str
    name: str
    installed: str | None
    version: str | None
    wheel: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """One deployment. `snapshot` is all that was installed before; `ended` and `status` are None in a journal.

    `undoes` names the deployment that a rollback took back; `planned` are the migrations that the rollout was to apply
    to its databases, by this deployment or by another one, `migrated` those that this one is known to have applied,
    `uncertain` those that it may or may not have applied, `unapplied` those that failed or were never begun; times are
    ISO 8601 with zone. In a journal `status` is `failed` where the deployment itself could write down its end.
    """

    rollout: str
    deployment: str
    who: str
    origin: str
    began: str
    step: str
    snapshot: tuple[Installed, ...]
    changes: tuple[Change, ...]
    migrated: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()
    ended: str | None = None
    status: str | None = None
    error: str | None = None
    undoes: str | None = None
    # what `--upgrade` named, `*` where it named nothing
    upgrade: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    unapplied: tuple[str, ...] = ()
    # the generation that it made current, or was to, and the one before; None where it changed no packages
    generation: int | None = None
    previous: int | None = None
    # what still ran the generation before when it ended
    lingering: tuple[LingeringProcess, ...] = ()

    @property
    def applied(self) -> tuple[str, ...]:
        """The migrations that are known to be applied, by this deployment or by another one of its rollout."""
        names = dict.fromkeys((*self.planned, *self.migrated))
        return tuple(name for name in names if name not in self.uncertain and name not in self.unapplied)

    @property
    def touched(self) -> frozenset[NormalizedName]:
        """The canonical names of all that it changed, or was to change."""
        return frozenset(canonicalize_name(change.name) for change in self.changes)

    @property
    def changed_in_place(self) -> bool:
        """Whether it was one of envfab 1, which changed the packages of a virtualenv in place."""
        return self.generation is None and bool(self.changes)

    def at(self, step: str) -> Record:
        """The same, come to `step`."""
        return replace(self, step=step)


def open_record(probe: Probe, where: str) -> Record | None:
    """The deployment whose journal is open, with the status that it has now: under way, failed or interrupted.

    Raises `FormatError`.
    """
    if probe.holder is not None:
        if probe.under_way is None:
            return None
        record = from_json(probe.under_way, where)
        if record.deployment == probe.holder.deployment:
            return replace(record, status=UNDER_WAY)
    elif probe.journal is not None:
        record = from_json(probe.journal, where)
    else:
        return None
    return record if record.status == FAILED else replace(record, status=INTERRUPTED)


def snapshot(probe: Probe) -> tuple[Installed, ...]:
    """What is installed now, to go back to."""
    return tuple(
        Installed(one.shown_as, one.version_text, one.origin.value)
        for _, one in sorted(probe.distributions.items())
    )  # fmt: skip


def changes(plan: Plan, sha256: Mapping[str, str]) -> tuple[Change, ...]:
    """A plan's actions as a record has them; `sha256` is by file name."""
    return tuple(
        Change(
            action.kind.value,
            action.shown_as,
            action.installed,
            str(action.version) if action.version else None,
            action.wheel.filename if action.wheel else None,
            sha256[action.wheel.filename] if action.wheel else None,
        )
        for action in plan.actions
    )


def to_json(record: Record) -> dict[str, Any]:
    """A record as it is written; `from_json` reads it back."""
    document: dict[str, Any] = {"format": FORMAT}
    for field in fields(Record):
        value = getattr(record, field.name)
        if field.name in ("snapshot", "changes", "lingering"):
            value = [{part.name: getattr(one, part.name) for part in fields(one)} for one in value]
        document[field.name] = list(value) if isinstance(value, tuple) else value
    return document


def from_json(document: object, where: str, what: str = "journal") -> Record:
    """The record that `to_json` wrote; raises `FormatError` for a newer format and for anything else.

    Whoever owns the virtualenv can write there what he likes: nothing is believed to have a type, a size or an end.
    """
    number = document.get("format") if isinstance(document, Mapping) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise FormatError(f"its {what} is none of envfab's", where=where, hint=f"move it away: .envfab/{FILES[what]}")
    if number > FORMAT:
        raise FormatError(
            f"its {what} has format {number}, and this envfab knows {FORMAT}",
            where=where,
            hint="use the envfab that deployed there last, or a newer one",
        )
    try:
        return _record(Fields.of(document))
    except ValueError as error:
        raise FormatError(
            f"its {what} cannot be read: {error}", where=where, hint=f"move it away: .envfab/{FILES[what]}"
        ) from None


def readable(documents: Sequence[object]) -> list[Record]:
    """Those of a history's records that can be read: where the others only tell which wheels to keep."""
    found = []
    for document in documents:
        with suppress(FormatError):
            found.append(from_json(document, "", "history"))
    return found


def _record(said: Fields) -> Record:
    # what came with later versions may be missing
    lists: dict[str, Any] = {"migrated": [], "planned": [], "upgrade": [], "unapplied": [], "lingering": []}
    fields = Fields({**lists, "uncertain": None, **dict.fromkeys(LATER), **said.values})
    return Record(
        snapshot=tuple(
            Installed(one.text("name"), one.text("version"), one.text("origin")) for one in fields.objects("snapshot")
        ),
        changes=tuple(
            Change(
                one.text("action"),
                one.text("name"),
                one.text_or_none("installed"),
                one.text_or_none("version"),
                one.text_or_none("wheel"),
                one.text_or_none("sha256"),
            )
            for one in fields.objects("changes")
        ),
        rollout=fields.text("rollout"),
        deployment=fields.text("deployment"),
        who=fields.text("who"),
        origin=fields.text("origin"),
        began=fields.text("began"),
        step=fields.text("step"),
        migrated=fields.texts("migrated"),
        planned=fields.texts("planned"),
        ended=fields.text_or_none("ended"),
        status=fields.text_or_none("status"),
        error=fields.text_or_none("error", MAX_ERROR),
        undoes=fields.text_or_none("undoes"),
        upgrade=fields.texts("upgrade"),
        uncertain=fields.texts("uncertain") if fields.value("uncertain") is not None else _uncertain(fields),
        unapplied=fields.texts("unapplied"),
        generation=_number_of_generation(fields, "generation"),
        previous=_number_of_generation(fields, "previous"),
        lingering=tuple(
            LingeringProcess(one.number("pid"), one.number("started"), one.line("name"))
            for one in fields.objects("lingering")
        ),
    )


def _number_of_generation(fields: Fields, name: str) -> int | None:
    number = fields.number_or_none(name)
    if number is not None and number < 0:
        raise ValueError(f"{name!r} is {number}, and generations begin with 0")
    return number


def _uncertain(fields: Fields) -> tuple[str, ...]:
    """What an older version's record leaves open: the planned migrations, unless all went well."""
    if fields.text_or_none("status") == DEPLOYED:
        return ()
    migrated = fields.texts("migrated")
    return tuple(name for name in fields.texts("planned") if name not in migrated)


def retained(records: Sequence[Record], keep: int) -> frozenset[int]:
    """The generations to go back to over the last `keep` deployments."""
    return frozenset(record.previous for record in (records[-keep:] if keep else ()) if record.previous is not None)

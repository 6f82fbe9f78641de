"""Records of deployments: the journal of one under way, and the history of those that ended."""

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
LATER = ("ended", "status", "error", "undoes", "generation", "previous", "slice", "plan", "digest")
MAX_ERROR = 100_000  # characters; an error may list every package that a deployment would have broken
FILES = {"journal": "journal.json", "history": "history.jsonl"}


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution that was installed before: its name as published, its version, and its origin."""

    name: str
    version: str
    origin: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change to one distribution; `installed` is the version before, `version` the one after; None is "not there"."""

    action: str
    name: str
    installed: str | None
    version: str | None
    wheel: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one deployment. Times are ISO 8601 with zone.

    `snapshot` is everything that was installed before. `undoes` is the id of the deployment that a rollback took back.
    `planned` are the migrations of the virtualenv's databases that this rollout was to apply; `migrated` those that
    this deployment is known to have applied, `uncertain` those that it may or may not have applied, `unapplied` those
    that failed or were never started. In a journal, `ended` and `status` are None, unless the deployment could record
    its own failure (`failed`).
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
    # the names given to `--upgrade`; `*` if it was given without names
    upgrade: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    unapplied: tuple[str, ...] = ()
    # those of the planned migrations that break older code
    breaking: tuple[str, ...] = ()
    # the generation to make current and the one before it; None if the deployment changes no packages
    generation: int | None = None
    previous: int | None = None
    # processes that still ran the previous generation when the deployment ended
    lingering: tuple[LingeringProcess, ...] = ()
    # the slice of the fleet that the rollout was for, as text: `3/8`
    slice: str | None = None
    # the digest of the saved plan that was carried out (`planning.plan_json.plan_digest`)
    plan: str | None = None
    # the digest of all that the current generation has, in hex; None in records of older versions of envfab
    digest: str | None = None
    # who approved the saved plan, other than whoever deployed it
    approved_by: tuple[str, ...] = ()

    @property
    def applied(self) -> tuple[str, ...]:
        """The migrations known to be applied, by this deployment or another one of its rollout."""
        names = dict.fromkeys((*self.planned, *self.migrated))
        return tuple(name for name in names if name not in self.uncertain and name not in self.unapplied)

    @property
    def touched(self) -> frozenset[NormalizedName]:
        """The canonical names of the distributions that the deployment changes."""
        return frozenset(canonicalize_name(change.name) for change in self.changes)

    @property
    def changed_in_place(self) -> bool:
        """Whether the deployment was made by envfab 1, which changed packages in place."""
        return self.generation is None and bool(self.changes)

    def at(self, step: str) -> Record:
        """Return the record with the step that the deployment has reached."""
        return replace(self, step=step)


def open_record(probe: Probe, where: str) -> Record | None:
    """Return the record in an open journal, with its present status: under way, failed or interrupted; or None.

    Raises `FormatError` if the journal cannot be read.
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


def has_switched(left: Record, probe: Probe) -> bool:
    """Whether an interrupted deployment had made its generation current."""
    return left.generation is not None and left.generation == probe.generation


def snapshot(probe: Probe) -> tuple[Installed, ...]:
    """Return what is installed, sorted by canonical name."""
    return tuple(
        Installed(one.shown_as, one.version_text, one.origin.value)
        for _, one in sorted(probe.distributions.items())
    )  # fmt: skip


def changes(plan: Plan, sha256: Mapping[str, str]) -> tuple[Change, ...]:
    """Convert a plan's actions to changes; `sha256` maps wheel file names to hex digests."""
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
    """Convert a record to a JSON object, which `from_json` reads back."""
    document: dict[str, Any] = {"format": FORMAT}
    for field in fields(Record):
        value = getattr(record, field.name)
        if field.name in ("snapshot", "changes", "lingering"):
            value = [{part.name: getattr(one, part.name) for part in fields(one)} for one in value]
        document[field.name] = list(value) if isinstance(value, tuple) else value
    return document


def from_json(document: object, where: str, what: str = "journal") -> Record:
    """Read a record that `to_json` wrote; raises `FormatError` for anything else, and for a newer format.

    `what` is `journal` or `history`. The virtualenv's owner can write anything there, so types and sizes are checked.
    """
    number = document.get("format") if isinstance(document, Mapping) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise FormatError(
            f"{FILES[what]} was not written by envfab", where=where, hint=f"move it away: .envfab/{FILES[what]}"
        )
    if number > FORMAT:
        raise FormatError(
            f"{FILES[what]} has format {number}; this envfab reads formats up to {FORMAT}",
            where=where,
            hint="use the version of envfab that deployed there last, or a newer one",
        )
    try:
        return _record(Fields.of(document))
    except ValueError as error:
        raise FormatError(
            f"invalid {FILES[what]}: {error}", where=where, hint=f"move it away: .envfab/{FILES[what]}"
        ) from None


def readable(documents: Sequence[object]) -> list[Record]:
    """Return the records of a history that can be read; skip the others."""
    found = []
    for document in documents:
        with suppress(FormatError):
            found.append(from_json(document, "", "history"))
    return found


def _record(said: Fields) -> Record:
    # fields that later versions of envfab added may be missing
    lists: dict[str, Any] = {
        "migrated": [],
        "planned": [],
        "upgrade": [],
        "unapplied": [],
        "breaking": [],
        "lingering": [],
        "approved_by": [],
    }
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
        breaking=fields.texts("breaking"),
        generation=_number_of_generation(fields, "generation"),
        previous=_number_of_generation(fields, "previous"),
        lingering=tuple(
            LingeringProcess(one.number("pid"), one.number("started"), one.line("name"))
            for one in fields.objects("lingering")
        ),
        slice=fields.text_or_none("slice"),
        plan=fields.text_or_none("plan"),
        digest=fields.text_or_none("digest"),
        approved_by=fields.texts("approved_by"),
    )


def _number_of_generation(fields: Fields, name: str) -> int | None:
    number = fields.number_or_none(name)
    if number is not None and number < 0:
        raise ValueError(f"{name!r} must not be negative: {number}")
    return number


def _uncertain(fields: Fields) -> tuple[str, ...]:
    """The uncertain migrations of an older version's record: those planned and not applied, unless it succeeded."""
    if fields.text_or_none("status") == DEPLOYED:
        return ()
    migrated = fields.texts("migrated")
    return tuple(name for name in fields.texts("planned") if name not in migrated)


def retained(records: Sequence[Record], keep: int) -> frozenset[int]:
    """Return the numbers of the generations that rollbacks of the last `keep` deployments need."""
    return frozenset(record.previous for record in (records[-keep:] if keep else ()) if record.previous is not None)

"""Reading of a rollout's log, also of one that is still written, or was cut off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envfab.deployment.rollout_log.places import HEADER, LOG, PLANS, ROLLOUT, Logs
from envfab.deployment.rollout_log.writer import FORMAT
from envfab.errors import FormatError, UsageError
from envfab.util.json_fields import Fields
from envfab.util.paths import read_file
from envfab.util.untrusted import one_line, parse_json

SHOWN_IDS = 12
SHOWN_NAME = 60  # characters
MAX_HEADER = 1_000_000  # bytes
MAX_TEXT = 1_000_000  # characters; an output has at most 200,000, and an error may list every package


@dataclass(frozen=True, slots=True)
class LoggedCommand:
    """A command that ran; `cut` says that it printed more than the end that is in `output`."""

    title: str
    command: str
    user: str | None
    status: int | None
    seconds: float
    output: str
    cut: bool


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """A step, and how long it took."""

    name: str
    seconds: float
    failed: bool


@dataclass(slots=True)
class LoggedVirtualenv:
    """What a log has of one virtualenv.

    `plan` is what `plan --json` says of it, `outcome` what `deploy --json` adds to that: None if it is not known how it
    ended. `done` are its steps and commands in order, `output` what the command printed that failed.
    """

    plan: dict[str, Any]
    deployment: str | None = None
    waited: list[str] = field(default_factory=list)
    done: list[LoggedStep | LoggedCommand] = field(default_factory=list)
    outcome: dict[str, Any] | None = None
    left_open: str = ""
    output: str = ""

    @property
    def target(self) -> str:
        """The virtualenv's name."""
        return str(self.plan["target"])

    @property
    def steps(self) -> Sequence[LoggedStep]:
        """The steps, in order."""
        return [one for one in self.done if isinstance(one, LoggedStep)]

    @property
    def commands(self) -> Sequence[LoggedCommand]:
        """The commands, in order."""
        return [one for one in self.done if isinstance(one, LoggedCommand)]


@dataclass(frozen=True, slots=True)
class LoggedRollout:
    """A whole log; `asked` is as `writer.Asked`. `seconds` is None if the rollout has not ended, or was killed.

    `out_of_service` is as `deploy --json` has it.
    """

    folder: Path
    asked: Mapping[str, Any]
    virtualenvs: Sequence[LoggedVirtualenv]
    seconds: float | None
    given_up: bool
    out_of_service: Sequence[Mapping[str, Any]] = ()


def find_log(logs: Logs, named: str) -> str:
    """Return the id of the rollout that is named by its own id, or by that of one of its deployments.

    Raises `UsageError` if it has no log here.
    """
    known = logs.ids()
    rollout = named.partition(".")[0]
    if ROLLOUT.fullmatch(rollout) and rollout in known:
        return rollout
    shown = one_line(named)[:SHOWN_NAME]
    more = f" and {len(known) - SHOWN_IDS} older ones" if len(known) > SHOWN_IDS else ""
    there = f"there are: {', '.join(known[:SHOWN_IDS])}{more}" if known else f"{logs.folder} has none"
    raise UsageError(
        f"rollout {shown!r} has no log on this machine",
        where="--rollout",
        hint=f"{there}; logs are kept where fab ran, and only the newest ones",
    )


def read_log(logs: Logs, rollout: str) -> LoggedRollout:
    """Read a rollout's log; lines that are cut off or damaged are skipped.

    Raises `FormatError` if it cannot be read, or was written by a newer envfab.
    """
    folder = logs.path(rollout)
    asked = _asked(folder / HEADER)
    try:
        virtualenvs = {one.target: one for one in map(LoggedVirtualenv, _plans(folder / PLANS))}
        reading = _Reading(virtualenvs)
        for document in _documents(folder / LOG):
            reading.take(document)
    except OSError as error:
        raise FormatError(f"cannot read the log: {error.strerror}", where=str(error.filename or folder)) from None
    every = tuple(virtualenvs.values())
    return LoggedRollout(folder, asked, every, reading.seconds, reading.given_up, reading.out_of_service)


def _asked(file: Path) -> Mapping[str, Any]:
    try:
        document = parse_json(read_file(file, MAX_HEADER))
        number = Fields.of(document).number("format")
    except OSError as error:
        raise FormatError(f"cannot read the log: {error.strerror}", where=str(file)) from None
    except ValueError as error:
        raise FormatError(f"not the log of a rollout: {error}", where=str(file)) from None
    if number > FORMAT:
        raise FormatError(
            f"the log has format {number}; this envfab reads formats up to {FORMAT}",
            where=str(file),
            hint="use the version of envfab that wrote it, or a newer one",
        )
    fields = Fields(document)
    try:
        for name in ("rollout", "task", "who", "origin", "began", "command", "fabfile"):
            fields.text(name, MAX_TEXT)
        fields.text_or_none("slice")
        # logs of older versions do not have it
        Fields({"approved_by": [], **fields.values}).texts("approved_by")
    except ValueError as error:
        raise FormatError(f"not the log of a rollout: {error}", where=str(file)) from None
    return fields.values


def _documents(file: Path) -> Iterator[Fields]:
    """Yield the objects in a file of lines, without what is damaged; nothing if there is no file yet."""
    if not file.exists():
        return
    with open(file, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            try:
                yield Fields.of(parse_json(line))
            except ValueError:
                continue


def _plans(file: Path) -> Iterator[dict[str, Any]]:
    known: dict[int, Mapping[str, Any]] = {}
    for number, said in enumerate(_documents(file), 1):
        plan = said.values.get("plan", known.get(said.values.get("as", number)))
        names = [said.values.get(key) for key in ("target", "user", "host", "path")]
        if not isinstance(plan, Mapping) or not all(isinstance(name, str) for name in names):
            continue
        known[number] = plan
        own = {key: value for key, value in said.values.items() if key not in ("plan", "as")}
        yield {**own, **plan}


class _Reading:
    """What the lines of a log so far tell of each virtualenv."""

    def __init__(self, virtualenvs: Mapping[str, LoggedVirtualenv]) -> None:
        self._virtualenvs = virtualenvs
        self._by_deployment: dict[str, LoggedVirtualenv] = {}
        self._outputs: dict[int, str] = {}
        self.seconds: float | None = None
        self.given_up = False
        self.out_of_service: list[dict[str, Any]] = []

    def take(self, said: Fields) -> None:
        """Take one line into account; one that is not as it must be is skipped."""
        try:
            event = said.text("event")
            if event == "output":
                self._outputs[said.number("output")] = said.text("text", MAX_TEXT)
            elif event == "began":
                one = self._virtualenvs[said.text("virtualenv")]
                one.deployment = said.text("deployment")
                self._by_deployment[one.deployment] = one
            elif event == "ended":
                self._ended(said)
            elif event == "rollout ended":
                self.seconds, self.given_up = _seconds(said), said.truth("given_up")
                self.out_of_service = [
                    {"host": one.text("host"), "why": one.text_or_none("why", MAX_TEXT)}
                    for one in Fields({"out_of_service": [], **said.values}).objects("out_of_service")
                ]
            else:
                self._during(event, said, self._by_deployment[said.text("deployment")])
        except (KeyError, ValueError):
            return

    def _during(self, event: str, said: Fields, one: LoggedVirtualenv) -> None:
        if event == "waiting":
            one.waited.append(said.text("for"))
        elif event == "step":
            one.done.append(LoggedStep(said.text("step"), _seconds(said), said.values.get("failed") is True))
        elif event == "command":
            one.done.append(self._command(said))

    def _command(self, said: Fields) -> LoggedCommand:
        status = said.value("status")
        return LoggedCommand(
            said.text("of"),
            said.text("command", MAX_TEXT),
            said.text_or_none("user"),
            status if isinstance(status, int) else None,
            _seconds(said),
            self._output(said),
            said.truth("cut"),
        )

    def _output(self, said: Fields) -> str:
        number = said.number_or_none("output")
        return self._outputs.get(number, "") if number is not None else ""

    def _ended(self, said: Fields) -> None:
        one = self._virtualenvs[said.text("virtualenv")]
        _check_outcome(said)
        one.output, one.left_open = self._output(said), said.text("left_open", MAX_TEXT)
        apart = ("event", "after", "virtualenv", "left_open", "output")
        one.outcome = {key: value for key, value in said.values.items() if key not in apart}


def _check_outcome(said: Fields) -> None:
    """Raise `ValueError` if what is shown to people is not as `result.outcome_json` has it."""
    said.text("status")
    said.text_or_none("error", MAX_TEXT)
    _seconds(said)
    for key in ("migrated", "uncertain", "unapplied"):
        said.texts(key)
    for process in said.objects("lingering"):
        process.number("pid")
        process.text("name")


def _seconds(said: Fields) -> float:
    value = said.value("seconds")
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError("'seconds' must be a number")
    return float(value)

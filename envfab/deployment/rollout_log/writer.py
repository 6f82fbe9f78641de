"""The log of a rollout, written as it happens, by a thread of its own: no deployment waits for this machine's disk.

The folder has three files: `rollout.json`, what was asked; `plans.jsonl`, a line for each virtualenv with its plan;
`log.jsonl`, a line for each thing that happened. Alike plans and alike outputs are written once, so that the log of
10,000 alike virtualenvs stays small. `reader` reads them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from queue import SimpleQueue
from typing import Any

from envfab.config.name_patterns import NamePatterns
from envfab.config.settings import Settings
from envfab.deployment.observers import (
    CommandEnded,
    DeploymentBegan,
    DeploymentEnded,
    Happening,
    LockAwaited,
    RolloutBegan,
    RolloutEnded,
    StepEnded,
)
from envfab.deployment.proposal import Proposal, proposal_json
from envfab.deployment.result import Deployment, outcome_json
from envfab.deployment.rollout_log.masking import Masking
from envfab.deployment.rollout_log.places import MEGABYTE, PLANS, Logs, new_file, opened
from envfab.remote.run_command import OUTPUT_KEPT
from envfab.util.progress import Reporter

FORMAT = 1
# what a plan says of its virtualenv alone
OF_THE_TARGET = ("target", "host", "user", "path", "fingerprint")
# characters of output that may wait for a slow disk
MOST_WAITING = 64_000_000
TOO_SLOW = "(left out: the disk with the rollout's log was too slow)"
TOO_LARGE = "(left out: the rollout's log has become too large; the setting log_megabytes allows more)"
HINT = "set XDG_STATE_HOME to a folder that can be written; the setting log_rollouts: 0 does without logs"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of `fab`, by whom, and with which settings. `began` is an ISO 8601 time."""

    rollout: str
    task: str
    who: str
    origin: str
    began: str
    command: str
    fabfile: str
    slice: str | None
    settings: Mapping[str, Any]
    version: str
    approved_by: tuple[str, ...] = ()


def settings_json(settings: Settings) -> dict[str, Any]:
    """Convert settings to a JSON object; the umask is a text, in octal as it is configured."""
    document = {one.name: _setting_json(getattr(settings, one.name)) for one in fields(settings)}
    return {**document, "umask": f"{settings.umask:03o}"}


def _setting_json(value: object) -> Any:
    if isinstance(value, NamePatterns):
        return list(value.patterns)
    return list(value) if isinstance(value, tuple) else value


class RolloutLog:
    """Writes the log of one rollout; an observer. If it cannot be written any more, it ends there, with a warning."""

    def __init__(self, logs: Logs, asked: Asked, masking: Masking, reporter: Reporter, settings: Settings) -> None:
        self.folder = logs.path(asked.rollout)
        self._logs = logs
        self._asked = asked
        self._masking = masking
        self._reporter = reporter
        self._settings = settings
        self._began = time.monotonic()
        # how many more characters of output it keeps
        self._room = settings.log_megabytes * MEGABYTE
        # the numbers of the outputs that it has, by the digests of their texts
        self._outputs: dict[bytes, int] = {}
        # the virtualenvs whose end it has
        self._told: set[str] = set()
        self._counting = threading.Lock()
        self._waiting = 0
        self._lost = False
        self._queue: SimpleQueue[tuple[float, Happening] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self) -> bool:
        """Make the folder and begin to write; return False, after a warning, if that is impossible."""
        header = {"format": FORMAT, **asdict(self._asked), "command": self._masking.masked(self._asked.command)}
        try:
            descriptor = self._logs.make(self._asked.rollout, json.dumps(header, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            where = error.filename2 or error.filename or self._logs.folder
            self._reporter.warning(f"this rollout has no log: {where}: {error.strerror}\n  {HINT}")
            return False
        self._thread = threading.Thread(target=self._work, args=(descriptor,), name="envfab-log", daemon=True)
        self._thread.start()
        return True

    def hear(self, what: Happening) -> None:
        """Have it written."""
        if self._lost:
            return
        if isinstance(what, CommandEnded):
            with self._counting:
                full = self._waiting + len(what.output) > MOST_WAITING
                what = replace(what, output=TOO_SLOW) if full else what
                self._waiting += len(what.output)
        self._queue.put((time.monotonic() - self._began, what))

    def close(self, until: float) -> None:
        """Have everything written; if the disk is too slow for that, a warning says so."""
        if self._thread is None:
            return
        self._queue.put(None)
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            self._reporter.warning(f"the end of the rollout's log is missing: {self.folder} is too slow")

    def _work(self, descriptor: int) -> None:
        try:
            with opened(descriptor) as file:
                self._logs.prune(self._settings.log_rollouts, self._settings.log_megabytes, self._asked.rollout)
                while (heard := self._queue.get()) is not None:
                    after, what = heard
                    for line in self._lines(what):
                        file.write(_line({"after": round(after, 3), **line}))
                    if self._queue.empty():
                        file.flush()
        except OSError as error:
            self._lost = True
            self._reporter.warning(f"the rollout's log is cut off: {self.folder}: {error.strerror}")
        except Exception as error:
            self._lost = True
            logging.getLogger("envfab").debug("the log of a rollout failed", exc_info=error)
            self._reporter.warning(f"internal error: the rollout's log is cut off: {type(error).__name__}")

    def _lines(self, what: Happening) -> Iterator[dict[str, Any]]:
        if isinstance(what, RolloutBegan):
            self._write_plans(what.proposals)
        elif isinstance(what, DeploymentBegan):
            yield {"event": "began", "deployment": what.deployment, "virtualenv": str(what.target)}
        elif isinstance(what, LockAwaited):
            yield {"event": "waiting", "deployment": what.deployment, "for": what.reason}
        elif isinstance(what, StepEnded):
            line = {
                "event": "step",
                "deployment": what.deployment,
                "step": what.step,
                "seconds": round(what.seconds, 3),
            }
            yield {**line, "failed": True} if what.failed else line
        elif isinstance(what, CommandEnded):
            yield from self._command(what)
        elif isinstance(what, DeploymentEnded):
            yield from self._end(what.result)
        else:
            yield from self._rollout_end(what)

    def _write_plans(self, proposals: Sequence[Proposal]) -> None:
        for proposal in proposals:
            self._masking.learn(proposal.member)
        with opened(new_file(self.folder / PLANS)) as file:
            file.writelines(map(_line, plan_lines(proposals)))

    def _command(self, what: CommandEnded) -> Iterator[dict[str, Any]]:
        with self._counting:
            self._waiting -= len(what.output)
        number, *lines = self._output(self._masking.masked(what.output, what.target))
        yield from lines
        yield {
            "event": "command",
            "deployment": what.deployment,
            "of": what.title,
            "command": self._masking.masked(what.command, what.target),
            "user": what.user,
            "status": what.status,
            "seconds": round(what.seconds, 3),
            "output": number,
            "cut": len(what.output.encode("utf-8", "replace")) >= OUTPUT_KEPT,
        }

    def _output(self, text: str) -> tuple[Any, ...]:
        """Return the number of an output, None for an empty one, and the line that has it if it is a new one."""
        if not text:
            return (None,)
        if len(text) > self._room:
            text = TOO_LARGE
        digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
        known = self._outputs.get(digest)
        if known is not None:
            return (known,)
        number = self._outputs[digest] = len(self._outputs) + 1
        self._room -= len(text)
        return (number, {"event": "output", "output": number, "text": text})

    def _end(self, one: Deployment) -> Iterator[dict[str, Any]]:
        self._told.add(str(one.target))
        number, *lines = self._output(self._masking.masked(one.output, one.target))
        yield from lines
        outcome = outcome_json(one)
        if outcome["error"]:
            outcome["error"] = self._masking.masked(outcome["error"], one.target)
        left_open = self._masking.masked(one.left_open, one.target)
        yield {"event": "ended", "virtualenv": str(one.target), **outcome, "left_open": left_open, "output": number}

    def _rollout_end(self, what: RolloutEnded) -> Iterator[dict[str, Any]]:
        for one in what.deployments:
            if str(one.target) not in self._told:
                yield from self._end(one)
        out = [
            {"host": host, "why": why and self._masking.masked(str(why))} for host, why in what.out_of_service.items()
        ]
        ended = {"seconds": round(what.seconds, 3), "given_up": what.given_up, "out_of_service": out}
        yield {"event": "rollout ended", **ended}


def plan_lines(proposals: Iterable[Proposal]) -> Iterator[dict[str, Any]]:
    """Yield for each virtualenv what `plan --json` says of it; what another line says as well is `as` in that one."""
    known: dict[bytes, int] = {}
    for number, proposal in enumerate(proposals, 1):
        document = proposal_json(proposal)
        own = {key: document.pop(key) for key in OF_THE_TARGET}
        digest = hashlib.sha256(json.dumps(document).encode()).digest()
        first = known.setdefault(digest, number)
        yield {**own, "plan": document} if first == number else {**own, "as": first}


def _line(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False) + "\n"

"""The terminal: results on standard output, all else on standard error; a live line where somebody looks."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from rich.console import Console as RichConsole
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from envfab.errors import UsageError

SHOWN_AT_WORK = 8


class Console:
    """Prints, asks, and shows progress (it is a `Reporter`). With `as_json`, standard output is for JSON alone."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = RichConsole(highlight=False, soft_wrap=True, stderr=as_json)
        self.err = RichConsole(highlight=False, soft_wrap=True, stderr=True)
        self._progress = _Progress(self.err)
        self._turn = threading.RLock()

    def __enter__(self) -> Console:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def print(self, text: str | Text = "", style: str = "") -> None:
        """One line or several for people."""
        self._progress.stop()
        self.out.print(text if isinstance(text, Text) else Text(text, style))

    def note(self, text: str, style: str = "") -> None:
        """One line or several for people, beside the result: on standard error."""
        self._progress.stop()
        self.err.print(Text(text, style))

    def line(self, text: str) -> None:
        """One line of the result of a run whose standard output is for programs, as it is."""
        self._progress.stop()
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def json(self, document: Mapping[str, Any]) -> None:
        """The one JSON document of a run with `--json`."""
        self._progress.stop()
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to answer."""
        return sys.stdin is not None and sys.stdin.isatty()

    def ask(self, question: str, answers: Sequence[str]) -> str:
        """The first letter of an answer that is one of `answers`; asks again until it is. The end of input is `q`."""
        self._progress.stop()
        while True:
            self.out.print(Text(question, "bold"), end=" ")
            try:
                answer = input().strip().lower()
            except EOFError:
                self.out.print()
                return "q"
            if answer[:1] and answer[:1] in answers:
                return answer[0]
            self.out.print(Text(f"answer one of {', '.join(answers)}", "yellow"))

    def turn(self) -> AbstractContextManager[Any]:
        """Held by a thread while it talks with the user, so that two do not at once."""
        return self._turn

    def need_somebody(self, what: str) -> None:
        """Raise `UsageError` where a question would find nobody."""
        if not self.can_ask:
            raise UsageError(f"{what} asks before it changes anything, and this is no terminal", hint="say --yes")

    # what follows is `Reporter`

    def stage(self, what: str, total: int) -> None:
        """As `Reporter` says."""
        self._progress.stage(what, total)

    def advance(self, what: str, subject: str) -> None:
        """As `Reporter` says."""
        self._progress.advance(what, subject)

    def working(self, subject: str, step: str) -> None:
        """As `Reporter` says."""
        self._progress.working(subject, step)

    def done(self, subject: str, outcome: str) -> None:
        """As `Reporter` says."""
        self._progress.done(subject, outcome)

    def warning(self, message: str) -> None:
        """As `Reporter` says."""
        self._progress.aside(Text(f"warning: {message}", "yellow"))


class _Progress:
    """A live block on a terminal: how far the stage is, and who is at what. Plain lines elsewhere."""

    def __init__(self, console: RichConsole) -> None:
        self._console = console
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._what, self._total, self._count = "", 0, 0
        self._at_work: dict[str, str] = {}

    def stage(self, what: str, total: int) -> None:
        with self._lock:
            self._what, self._total, self._count = what, total, 0
            self._at_work.clear()
            self._show()

    def advance(self, what: str, subject: str) -> None:
        with self._lock:
            if what == self._what:
                self._count += 1
            self._at_work.pop(subject, None)
            self._show()

    def working(self, subject: str, step: str) -> None:
        with self._lock:
            self._at_work[subject] = step
            if self._console.is_terminal:
                self._show()
            else:
                self._console.print(Text(f"{subject}: {step}"))

    def done(self, subject: str, outcome: str) -> None:
        with self._lock:
            self._at_work.pop(subject, None)
            self._count += 1
            self.aside(Text(f"{subject}: {outcome}", "green" if outcome == "deployed" else "red"))
            self._show()

    def aside(self, line: Text) -> None:
        with self._lock:
            (self._live.console if self._live else self._console).print(line)

    def stop(self) -> None:
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _show(self) -> None:
        if not self._console.is_terminal or not self._total:
            return
        if self._live is None:
            self._live = Live(console=self._console, transient=True, refresh_per_second=10)
            self._live.start()
        lines = [f" {self._what}: {self._count} of {self._total}"]
        shown = list(self._at_work.items())[:SHOWN_AT_WORK]
        lines += [f"   {subject}  {step}" for subject, step in shown]
        if len(self._at_work) > SHOWN_AT_WORK:
            lines.append(f"   and {len(self._at_work) - SHOWN_AT_WORK} more")
        self._live.update(Spinner("dots", Text("\n".join(lines), "dim", overflow="ellipsis")))

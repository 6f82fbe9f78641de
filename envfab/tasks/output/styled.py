"""What rich does for the console: styles, and a live block that says how far long work is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from envfab.tasks.output.terminal_width import columns
from envfab.tasks.output.wrapping import cut, wrap
from envfab.util.untrusted import harmless

if TYPE_CHECKING:
    from envfab.tasks.shared.command_line import Speech

SHOWN_AT_WORK = 8
# outcomes of work that ended well
WELL = frozenset({"deployed", "rolled back", "current"})


class Styled:
    """Both streams in style, and the progress of the work; results go to standard error where `as_json`."""

    def __init__(self, as_json: bool, speech: Speech | None = None) -> None:
        self._out = Console(highlight=False, soft_wrap=True, stderr=as_json)
        self._err = Console(highlight=False, soft_wrap=True, stderr=True)
        self._speech = speech
        self.progress = Progress(self._err, speech)

    def result(self, text: str | Text, style: str = "", end: str = "\n") -> None:
        """Print a part of the result."""
        self._out.print(_fitting(_text(text, style, self._speech), self._out), end=end)

    def beside(self, text: str, style: str = "") -> None:
        """Print what is not part of the result."""
        self._err.print(_fitting(_text(text, style, self._speech), self._err))


class Progress:
    """A live block on a terminal: the stage's progress, and what runs at present. Plain lines elsewhere."""

    def __init__(self, console: Console, speech: Speech | None = None) -> None:
        self._console = console
        self._speech = speech
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._spinner = Spinner("dots")
        self._what, self._total, self._count = "", 0, 0
        self._waiting_for: Callable[[], Sequence[str]] | None = None
        # when the stage began, and what is at work: its step, and since when
        self._since = 0.0
        self._at_work: dict[str, tuple[str, float]] = {}
        # where lines are printed: the last step of each, for steps are told again while they last
        self._told: dict[str, str] = {}
        # while a question is asked: what is to be printed afterwards
        self._held: list[Text] | None = None

    def stage(self, what: str, total: int, waiting_for: Callable[[], Sequence[str]] | None) -> None:
        with self._lock:
            self._what, self._total, self._count = what, total, 0
            self._waiting_for = waiting_for
            self._since = time.monotonic()
            self._at_work.clear()
            self._told.clear()
            self._show()

    def advance(self, what: str, subject: str) -> None:
        with self._lock:
            if what == self._what:
                self._count += 1
            self._at_work.pop(subject, None)
            self._show()

    def working(self, subject: str, step: str) -> None:
        with self._lock:
            known, since = self._at_work.get(subject, ("", 0.0))
            self._at_work[subject] = step, since if known == step else time.monotonic()
            if self._console.is_terminal:
                self._show()
            elif self._told.get(subject) != step:
                self._told[subject] = step
                self._console.print(_text(f"{subject}: {step}"))

    def done(self, subject: str, outcome: str) -> None:
        with self._lock:
            self._at_work.pop(subject, None)
            self._count += 1
            self.aside(f"{subject}: {outcome}", "green" if outcome in WELL else "red")
            self._show()

    def aside(self, line: str, style: str) -> None:
        with self._lock:
            shown = _fitting(_text(line, style, self._speech), self._console)
            if self._held is not None:
                self._held.append(shown)
            else:
                (self._live.console if self._live else self._console).print(shown)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The screen belongs to a question; what others tell meanwhile is shown after it."""
        with self._lock:
            self.stop()
            self._held = []
        try:
            yield
        finally:
            with self._lock:
                held, self._held = self._held, None
                for line in held:
                    self._console.print(line)

    def go_on(self) -> None:
        with self._lock:
            if self._count < self._total:
                self._show()

    def stop(self) -> None:
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def end(self) -> None:
        """Stop showing progress for good."""
        with self._lock:
            self.stop()
            # only then: the display is drawn once more while it stops
            self._total = 0

    def _show(self) -> None:
        if not self._console.is_terminal or not self._total or self._held is not None:
            return
        if self._live is None:
            self._live = Live(get_renderable=self._block, console=self._console, transient=True, refresh_per_second=10)
            self._live.start()

    def _block(self) -> Spinner:
        """What is shown at this moment; asked for in a thread of rich's, which is waited for under the lock."""
        now = time.monotonic()
        lines = [f" {elapsed(now - self._since)}  {self._what}: {self._count} of {self._total}{self._late()}"]
        at_work = list(self._at_work.items())
        lines += [f"   {subject}  {elapsed(now - since)}  {step}" for subject, (step, since) in at_work[:SHOWN_AT_WORK]]
        if len(at_work) > SHOWN_AT_WORK:
            lines.append(f"   and {len(at_work) - SHOWN_AT_WORK} more")
        # two columns are the spinner's, in the first line
        width = self._console.width - 2
        self._spinner.update(text=Text("\n".join(cut(harmless(line), width) for line in lines), "dim"))
        return self._spinner

    def _late(self) -> str:
        """The last few that are waited for, by name."""
        few = self._waiting_for is not None and self._total - self._count <= SHOWN_AT_WORK
        waiting = self._waiting_for() if few and self._waiting_for else []
        return f", still connecting: {', '.join(waiting)}" if waiting else ""


def _fitting(text: Text, console: Console) -> Text:
    """The text in lines that fit the terminal, where there is one."""
    width = columns(console.file)
    return text if width is None else wrap(text, width)


def elapsed(seconds: float) -> str:
    """A duration as clocks show it: `0:07`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _text(text: str | Text, style: str = "", speech: Speech | None = None) -> Text:
    """Return text that is safe to print, with commands as they are called here; only envfab's own styles count."""
    if isinstance(text, str):
        return Text(harmless(speech(text) if speech is not None else text), style)
    text.plain = harmless(text.plain)
    return _spoken(text, speech) if speech is not None else text


def _spoken(text: Text, speech: Speech) -> Text:
    """A styled text with its commands as they are called here."""
    said, done = [], 0
    for start, end, instead in speech.find(text.plain):
        styles = text[start:end].spans
        said += [text[done:start], Text(instead, styles[0].style if styles else "")]
        done = end
    if not said:
        return text
    return Text.assemble(*said, text[done:], style=text.style, end=text.end)

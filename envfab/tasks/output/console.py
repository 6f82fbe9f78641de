"""The terminal: results on standard output, all else on standard error; live progress on a terminal.

Styles and progress are rich's, which is loaded when first needed: a plain list does not need it.
"""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from envfab.errors import UsageError
from envfab.tasks.output.terminal_width import columns
from envfab.util.untrusted import format_json, harmless

if TYPE_CHECKING:
    from rich.text import Text

    from envfab.tasks.output.styled import Styled
    from envfab.tasks.shared.command_line import Speech


class Console:
    """Prints, asks, and shows progress (it is a `Reporter`). With `as_json`, standard output is for JSON alone.

    `speech` replaces commands by the words that call them in the running fabfile.
    """

    def __init__(self, as_json: bool = False, speech: Speech | None = None) -> None:
        self.as_json = as_json
        self._speech = speech
        self._turn = threading.RLock()
        self._loading = threading.Lock()
        self._loaded: Styled | None = None

    def __enter__(self) -> Console:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._loaded is not None:
            self._loaded.progress.end()

    def print(self, text: str | Text = "", style: str = "") -> None:
        """Print one or several lines for people."""
        self._stop_progress()
        if isinstance(text, str) and not style:
            said = harmless(self._speech(text) if self._speech is not None else text)
            stream = sys.stderr if self.as_json else sys.stdout
            width = columns(stream)
            if width is None or all(len(line) <= width for line in said.splitlines()):
                _write(stream, said)
                return
        self._load_styled().result(text, style)

    def command(self, what: str, command: str, style: str = "") -> None:
        """Print a command to copy, after `what` it is for: on a narrow terminal in lines that a shell joins."""
        self.print(_to_copy(what, command, sys.stderr if self.as_json else sys.stdout), style)

    def note_command(self, what: str, command: str, style: str = "") -> None:
        """Print a command to copy, as `command` does, on standard error, beside the result."""
        self.note(_to_copy(what, command, sys.stderr), style)

    def note(self, text: str, style: str = "") -> None:
        """Print one or several lines for people on standard error, beside the result."""
        self._stop_progress()
        self._load_styled().beside(text, style)

    def complain(self, message: str) -> None:
        """Print an error that does not end the run, beside the result."""
        self.note(f"envfab: {message}", "red")

    def line(self, text: str) -> None:
        """Print one line of a result for programs, unchanged."""
        self._stop_progress()
        _write(sys.stdout, text)

    def json(self, document: Mapping[str, Any]) -> None:
        """Print the one JSON document of a run with `--json`."""
        self._stop_progress()
        text = format_json(document)
        try:
            text.encode(sys.stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            # a stream of another encoding
            text = json.dumps(document, indent=2)
        _write(sys.stdout, text)

    @property
    def can_ask(self) -> bool:
        """Whether standard input is a terminal, so that a question can be answered."""
        return sys.stdin is not None and sys.stdin.isatty()

    def confirm(self, question: str) -> bool:
        """Ask a question to be answered by yes or no; the end of input is a no."""
        return self.ask(question, ("yes", "no")) == "yes"

    def ask(self, question: str, answers: Sequence[str]) -> str:
        """Ask until one of `answers` is given by its first word or the beginning of that; return the first word.

        No two answers begin with the same letter. The end of input is `quit`.
        """
        words = [answer.split()[0] for answer in answers]
        with self._load_styled().progress.paused():
            while True:
                self._load_styled().result(format_question(question, answers), "bold", end=" ")
                try:
                    typed = input().strip().lower()
                except EOFError:
                    self.print()
                    return "quit"
                chosen = next((word for word in words if typed and word.startswith(typed)), None)
                if chosen is not None:
                    return chosen
                self._load_styled().result(f"answer {', '.join(words[:-1])} or {words[-1]}", "yellow")

    def go_on(self) -> None:
        """Show the progress again, after something was printed in its place."""
        self._load_styled().progress.go_on()

    def turn(self) -> AbstractContextManager[Any]:
        """Return the lock that a thread holds while it talks with the user, so that two do not at once."""
        return self._turn

    def require_terminal(self, what: str) -> None:
        """Raise `UsageError` where the task `what` could not ask a question."""
        if not self.can_ask:
            raise UsageError(f"not a terminal, so {what} cannot ask", hint="pass --yes")

    def _load_styled(self) -> Styled:
        with self._loading:
            if self._loaded is None:
                from envfab.tasks.output.styled import Styled

                self._loaded = Styled(self.as_json, self._speech)
            return self._loaded

    def _stop_progress(self) -> None:
        if self._loaded is not None:
            self._loaded.progress.stop()

    # what follows is `Reporter`

    def stage(self, what: str, total: int, waiting_for: Callable[[], Sequence[str]] | None = None) -> None:
        """As `Reporter` says."""
        self._load_styled().progress.stage(what, total, waiting_for)

    def advance(self, what: str, subject: str) -> None:
        """As `Reporter` says."""
        self._load_styled().progress.advance(what, subject)

    def working(self, subject: str, step: str) -> None:
        """As `Reporter` says."""
        self._load_styled().progress.working(subject, step)

    def done(self, subject: str, outcome: str) -> None:
        """As `Reporter` says."""
        self._load_styled().progress.done(subject, outcome)

    def warning(self, message: str) -> None:
        """As `Reporter` says."""
        self._load_styled().progress.aside(f"warning: {message}", "yellow")


def format_question(question: str, answers: Sequence[str]) -> str:
    """Return a question and its answers on one line, the first letter of each in brackets: `Go on?  [y]es  [n]o`."""
    return "  ".join([question, *(f"[{answer[0]}]{answer[1:]}" for answer in answers)])


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()


def _to_copy(what: str, command: str, stream: TextIO) -> str:
    """`what` and a command, which are broken as a shell joins them where the terminal of `stream` is too narrow."""
    width = columns(stream)
    line = f"{what} {command}"
    if width is None or len(line) <= width:
        return line
    from envfab.tasks.output.wrapping import wrap_command

    return wrap_command(what, command, width)

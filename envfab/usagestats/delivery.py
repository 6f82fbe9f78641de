"""How reports reach the server without holding up the program.

A daemon thread sends what waits; a program that ends waits for it at most `EXIT_WAIT` seconds. A
report leaves the queue only when the server has acknowledged it, so that a program may be killed
at any moment. Before each POST the pause after a failure is written down already: a program that
is killed while a dead server keeps it waiting does not try again at once when it is next run.
"""

from __future__ import annotations

# Imported in function bodies: transport, which takes longer to load than all else, and only where reports are sent.
import atexit
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envfab.usagestats.counters import unfinished_reports
from envfab.usagestats.kept_policy import KeptPolicy, read_kept, write_kept
from envfab.usagestats.pause import Pauses, format_pauses, parse_pauses
from envfab.usagestats.queue import Queue, write_atomically
from envfab.usagestats.quiet import quietly
from envfab.usagestats.report import MAX_REPORT

if TYPE_CHECKING:
    from envfab.usagestats.transport import Send

EXIT_WAIT = 2.0  # seconds
RETRY = "retry"


@dataclass(frozen=True, slots=True)
class ReportDelivery:
    """Brings the reports of `queue` to `drop_point` while `wanted()` says that the user has not opted out.

    In a `hurry` no pause holds anything back: a person asked for it.
    """

    queue: Queue
    drop_point: str
    ssl_verify: str | None
    wanted: Callable[[], bool]
    hurry: bool = False

    def due(self) -> list[str]:
        """The reports to send now."""
        pauses = Pauses() if self.hurry else self._pauses()
        unfinished = unfinished_reports(self.queue.folder)
        return pauses.due([name for name in self.queue.names() if name not in unfinished], now())

    def run(self, unsaved: bytes | None = None) -> None:
        """Send what is due, then `unsaved`, a report that could not be written to the queue."""
        from envfab.usagestats.transport import sender

        send = sender(self.drop_point, self.ssl_verify)
        tried: set[str] = set()
        # Once more after each unlock: a process that found the queue locked relies on its report being sent here.
        while any(name not in tried for name in self.due()):
            with self.queue.lock() as locked:
                if not (locked and self._round(send, tried)):
                    break
        if unsaved is not None and self.wanted() and self._pauses().server.over(now()):
            kept = self._policy()
            data = kept.allowed(unsaved) if kept.known else b""
            if data:
                send(data)

    def _round(self, send: Send, tried: set[str]) -> bool:
        """Try what is due and not in `tried`; whether to go on after it."""
        from envfab.usagestats.transport import SendOutcome

        kept = self._policy()
        if not kept.known:
            return False
        pauses = self._pauses().only(self.queue.names())
        for name in [name for name in self.due() if name not in tried]:
            if not self.wanted():
                return False
            tried.add(name)
            data = self.queue.read(name)
            if data is None:
                continue
            allowed = kept.allowed(data) if len(data) <= MAX_REPORT else b""
            if not allowed:
                self.queue.remove(name)
                continue
            self._save(pauses.unanswered(now()))
            answer = send(allowed)
            if answer.outcome is SendOutcome.NO_ANSWER:
                self._save(pauses.unanswered(now(), answer.at_least))
                return False
            # One that cannot be removed is treated as refused, or it would be sent by every run.
            if answer.outcome is SendOutcome.STORED and self.queue.remove(name):
                pauses = pauses.delivered(name)
            else:
                pauses = pauses.refused(name, now())
            self._save(pauses)
        return True

    def _policy(self) -> KeptPolicy:
        """What the server takes, asked again if that is due."""
        from envfab.usagestats.policy_fetch import fetch_policy

        kept = read_kept(self.queue.folder, self.drop_point)
        if kept.due(now()) and self.wanted():
            pauses = self._pauses()
            # As before each POST: a server that keeps a program waiting must not do so at each run.
            self._save(pauses.unanswered(now()))
            kept = fetch_policy(kept, self.ssl_verify, now())
            write_kept(self.queue.folder, kept)
            if kept.known:
                self._save(pauses)
        return kept

    def _pauses(self) -> Pauses:
        try:
            return parse_pauses((self.queue.folder / RETRY).read_bytes())
        except OSError:
            return Pauses()

    def _save(self, pauses: Pauses) -> None:
        path = self.queue.folder / RETRY
        if pauses != Pauses():
            write_atomically(path, format_pauses(pauses))
        else:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


class Courier(threading.Thread):
    """The thread of a delivery; a daemon, so that nothing but `wait_for_couriers` holds up the program's end."""

    def __init__(self, delivery: ReportDelivery, unsaved: bytes | None = None) -> None:
        super().__init__(name="usage statistics", daemon=True)
        self._delivery = delivery
        self._unsaved = unsaved

    def run(self) -> None:
        """Deliver; errors never reach the terminal."""
        with quietly("deliver usage reports"):
            self._delivery.run(self._unsaved)


def wait_for_couriers() -> None:
    """At the program's end: give all deliveries under way `EXIT_WAIT` seconds together, less if the user interrupts."""
    deadline = time.monotonic() + EXIT_WAIT
    with contextlib.suppress(KeyboardInterrupt):
        for thread in threading.enumerate():
            if isinstance(thread, Courier):
                thread.join(max(0.0, deadline - time.monotonic()))


def wait_at_exit() -> None:
    """Have `wait_for_couriers` called once when the program ends, however often this is asked for."""
    atexit.unregister(wait_for_couriers)
    atexit.register(wait_for_couriers)


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000

"""The face of the library: `Stats`, compatible with that of `usagestats` 1.0.1, except that it raises no errors."""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from envfab.usagestats import erasure, installation
from envfab.usagestats.calendar_week import monday, week_of, week_start
from envfab.usagestats.choice import UserChoice
from envfab.usagestats.consent import FIRST_VERSION, forget_user_id, id_made_at, user_id
from envfab.usagestats.consent_prompt import CHANGED, Prompt
from envfab.usagestats.counters import ENDING, Counters, week_report_moment
from envfab.usagestats.delivery import Courier, ReportDelivery, now, wait_at_exit
from envfab.usagestats.kept_policy import KeptPolicy, read_kept
from envfab.usagestats.queue import Queue
from envfab.usagestats.quiet import quietly
from envfab.usagestats.report import MAX_KEY, MAX_REPORT, Entry, Report, clean_entries, clean_text, format_report
from envfab.usagestats.weekly_totals import Totals, count_entries

Info = Mapping[Any, Any] | Iterable[tuple[Any, Any]]
Flag = Callable[["Stats", list[tuple[Any, Any]]], object]
WEEKLY = "weekly"
MAX_ENTRIES = 10_000  # notes a report; a program that runs for months must not fill its memory


class Stats(UserChoice):
    """A report in the making, and the user's choice of what becomes of it.

    Made when a program starts; `note()` collects, `submit()` ends the report. Reports, the user's
    choice and the user's id are kept in the folder `location`.
    """

    def __init__(  # noqa: PLR0913  # the signature of usagestats 1.0.1, and skip_ci
        self,
        location: str | os.PathLike[str],
        prompt: Prompt | str,
        drop_point: str,
        version: str,
        unique_user_id: bool | Literal["weekly"] = False,
        env_var: str = "PYTHON_USAGE_STATS",
        ssl_verify: str | bytes | os.PathLike[str] | None = None,
        *,
        skip_ci: bool = False,
        consent: str = FIRST_VERSION,
        erasable: bool = False,
    ) -> None:
        """With `skip_ci`, statistics are also off where a continuous integration service runs the program.

        `consent` is the version of what is collected: who said yes to another one is asked again. With `erasable`,
        reports with an id also carry the proof that `erase()` needs.

        Raises `TypeError` for a wrong prompt, and `ValueError` for a text other than "weekly" as `unique_user_id`.
        """
        self.started_time = time.time()
        self.ssl_verify = None if ssl_verify is None else os.fsdecode(ssl_verify)
        self.env_var = env_var
        self.skip_ci = skip_ci
        self.consent = clean_text(consent, MAX_KEY)
        self.location = os.path.expanduser(os.fspath(location))
        self.drop_point = drop_point
        self.version = version
        if not isinstance(prompt, (Prompt, str)):
            raise TypeError("prompt must be a Prompt or a string")
        if isinstance(unique_user_id, str) and unique_user_id != WEEKLY:
            # A misspelt "weekly" must not give each user an id.
            raise ValueError(f"unique_user_id must be True, False or {WEEKLY!r}, not {unique_user_id!r}")
        self.prompt = prompt if isinstance(prompt, Prompt) else Prompt(prompt)
        self.status = Stats.DISABLED_ENV if self._forbidden() else Stats.UNSET
        self.notes: list[tuple[Any, Any]] | None = [("version", version)]
        self.user_id: str | None = None
        self._unique_user_id = unique_user_id
        self._erasable = erasable
        self._proof: tuple[Entry, ...] = ()
        self._shown: tuple[object, bytes] | None = None
        if not self._configure():
            self.status = Stats.ERRORED
        with quietly("begin a usage report"):
            # Full, so that it means the same folder after the program changed its working directory.
            self.location = os.path.abspath(self.location)
            if self.recording:
                self._identify()
                wait_at_exit()
        self._counters = Counters(Path(self.location))
        self._saves_at_exit = False

    def enable_reporting(self) -> bool:
        """Opt in: this report and those that wait are sent by `submit()`; whether the choice could be kept."""
        if self.status == Stats.ENABLED:
            return True
        wait_at_exit()
        return self.enableable and self._choose(Stats.ENABLED)

    def disable_reporting(self) -> bool:
        """Opt out: reports that wait are deleted, no more are recorded; whether the choice could be kept."""
        kept = self.status == Stats.DISABLED or (self.disableable and self._choose(Stats.DISABLED))
        if self.status == Stats.DISABLED:
            with quietly("delete usage reports"):
                self._queue.clear()
                self._counters.delete()
                installation.forget_installation(Path(self.location))
        return kept

    def forget_user(self) -> bool:
        """Forget the user's random id, and delete the reports that wait, which carry it; whether the id is gone.

        A later report has a new id.
        """
        self.user_id = None
        self._proof = ()
        self._shown = None
        with quietly("forget the user's id"):
            self._queue.clear()
            gone = forget_user_id(Path(self.location))
            # Last: without it nothing under the id can be erased.
            erasure.forget_secret(Path(self.location))
            return gone
        return False

    def erase(self) -> erasure.ErasureResult:
        """Ask the server to delete all reports under the user's id; then forget the id, as `forget_user()` does.

        It waits for the server. Where that does not confirm, the id is kept, so that one can ask again. Reports that
        wait are deleted in any case. This needs `erasable`, and asks the server whatever the user chose.
        """
        with quietly("have reports erased"):
            self._queue.clear()
            result = erasure.erase_at_server(Path(self.location), self.drop_point, self.ssl_verify)
            if result.confirmed and not self.forget_user():
                return erasure.ErasureResult(result.deleted, "the id cannot be deleted here")
            return result
        return erasure.ErasureResult(why="the server cannot be asked")

    def note(self, info: Info) -> None:
        """Add entries, a mapping or pairs, to the report; an entry never replaces an earlier one of the same key."""
        with quietly("note something"):
            if self.recording and self.notes is not None:
                room = MAX_ENTRIES - len(self.notes)
                self.notes.extend(_pairs(info)[: max(0, room)])

    def count(self, name: str, value: str = "", by: int = 1) -> None:
        """Add to this week's total of `name` with `value`, a report of which is made when the week is over.

        A call costs a few microseconds; now and then one saves the totals. It never asks the user.
        """
        with quietly("count something"):
            if not self.recording:
                return
            self._counters.add(name, value, by)
            if not self._saves_at_exit and self._counters.has_unsaved():
                self._saves_at_exit = True
                atexit.register(self._save_in_passing)
            if self._counters.is_due():
                self._save_in_passing()

    def counted(self) -> bytes:
        """The report of this week's totals as it would be if the week were over; none where nothing was counted."""
        with quietly("show what was counted"):
            return self._kept_policy().allowed(self._counts_so_far())
        return b""

    def submit(self, info: Info, *flags: Flag) -> None:
        """End the report: keep it, and send it if the user has opted in. Returns at once; the first call counts."""
        with quietly("submit a usage report"):
            if not self.recording or self.notes is None:
                return
            self._save_counts()
            data = self._compose(info, flags, self._age_entry(installation.claim_entry)) if self.recording else b""
            self.notes = None
            if data:
                self._hand_over(data)

    def preview(self, info: Info = (), *flags: Flag) -> bytes:
        """The very bytes that `submit()` with the same arguments would send; none where nothing is recorded.

        So that this holds, what depends on the time stays as shown until something else is noted.
        """
        with quietly("show a usage report"):
            if self.recording and self.notes is not None:
                return self._kept_policy().allowed(self._compose(info, flags, self._age_entry(installation.due_entry)))
        return b""

    def pending(self) -> tuple[bytes, ...]:
        """The reports that wait, oldest first, as they would be sent."""
        allowed = map(self._kept_policy().allowed, self._waiting())
        return tuple(data for data in allowed if data)

    def held_back(self) -> tuple[Entry, ...]:
        """The entries, each once, that are not sent since the server's policy does not allow them.

        Those of reports that wait, of what was noted for this one, and of this week's counters.
        """
        with quietly("show what is held back"):
            noted = format_report(Report(now(), self.user_id, clean_entries(self.notes or ())))
            held = map(self._kept_policy().held, [*self._waiting(), noted, self._counts_so_far()])
            return tuple(dict.fromkeys(entry for entries in held for entry in entries))
        return ()

    def flush(self, timeout: float = 30.0) -> int:
        """Send what waits now, whatever the pause, if the user has opted in; how many reports are left after it.

        Unlike all else it waits for the server, at most `timeout` seconds: for a command with which
        a user asks for it.
        """
        with quietly("send usage reports"):
            self._save_counts()
            if self.sending:
                courier = Courier(self._delivery(hurry=True))
                courier.start()
                courier.join(timeout)
        return len(self._queue.names())

    def _waiting(self) -> list[bytes]:
        """The reports that wait, as they are kept."""
        queue = self._queue
        return [data for data in map(queue.read, queue.names()) if data and len(data) <= MAX_REPORT]

    def _kept_policy(self) -> KeptPolicy:
        return read_kept(Path(self.location), self.drop_point)

    @property
    def _queue(self) -> Queue:
        return Queue(Path(self.location))

    def _delivery(self, *, hurry: bool = False) -> ReportDelivery:
        return ReportDelivery(self._queue, self.drop_point, self.ssl_verify, self._still_wanted, hurry)

    def _save_in_passing(self) -> None:
        """Save what was counted, and send the report of a week that is over."""
        self._save_counts()
        with quietly("send what was counted"):
            if self.sending and self._delivery().due():
                Courier(self._delivery()).start()

    def _save_counts(self) -> None:
        """Save what was counted; or forget it, if the user opted out."""
        with quietly("save what was counted"):
            self._look_again()
            if not self.recording:
                self._counters.forget()
            elif self._counters.has_unsaved() or self._counters.has_finished_week():
                self._counters.save(self._keep_week)
            # The user may also have opted out, and deleted what there was, just before it was written again.
            if self.status == Stats.DISABLED or self._choice_now() == Stats.DISABLED:
                self._counters.delete()
        if not self._counters.has_unsaved():
            self._saves_at_exit = False
            atexit.unregister(self._save_in_passing)

    def _counts_so_far(self) -> bytes:
        totals = self._counters.so_far() if self.recording else {}
        return self._week_report(week_of(now()), now(), totals) if totals else b""

    def _keep_week(self, week: int, totals: Totals) -> bool:
        """Put the report of a week in the queue; its date and name are the week's, so that it is never there twice."""
        data = self._week_report(week, week_start(week + 1), totals)
        return self._queue.add(data, week_report_moment(week), ENDING) is not None

    def _week_report(self, week: int, date: int, totals: Totals) -> bytes:
        self._identify()
        entries = (("version", self.version), ("week", monday(week)), *count_entries(totals), *self._proof)
        return format_report(Report(date, self.user_id, entries))

    def _identify(self) -> None:
        if self._unique_user_id == WEEKLY:
            self._drop_earlier_id()
        elif self._unique_user_id and self.user_id is None:
            self.user_id = user_id(Path(self.location))
        if self._erasable and self.user_id is not None and not self._proof:
            secret = erasure.erasure_secret(Path(self.location))
            self._proof = () if secret is None else ((erasure.KEY, secret.proof),)

    def _drop_earlier_id(self) -> None:
        """Forget the id of a version of the program that sent one; how old it is tells when the installation began."""
        with quietly("forget an earlier id"):
            folder = Path(self.location)
            made = id_made_at(folder)
            if made is not None:
                installation.note_beginning(folder, week_of(made))
                self.forget_user()

    def _age_entry(self, take: Callable[[Path, int], Entry | None]) -> tuple[Entry, ...]:
        """The age class that one report a week carries in place of an id."""
        entry = None
        with quietly("read the installation's age"):
            if self._unique_user_id == WEEKLY and self.notes is not None:
                entry = take(Path(self.location), week_of(now()))
        return () if entry is None else (entry,)

    def _compose(self, info: Info, flags: tuple[Flag, ...], age: tuple[Entry, ...]) -> bytes:
        """The report's bytes; the same again for the same entries."""
        self._identify()
        entries = [*(self.notes or ())]
        with quietly("read the report's entries"):
            entries += _pairs(info)
        key = (self.user_id, clean_entries(entries), flags, self._proof, age)
        if self._shown is None or self._shown[0] != key:
            for flag in flags:
                with quietly("add what a flag knows"):
                    flag(self, entries)
            self._shown = key, format_report(Report(now(), self.user_id, clean_entries([*entries, *self._proof, *age])))
        return self._shown[1]

    def _hand_over(self, data: bytes) -> None:
        """Put a report in the queue and send it, or ask the user."""
        queue = self._queue
        saved = queue.add(data, time.time_ns())
        if self._choice_now() == Stats.DISABLED:
            # The user opted out, and deleted what waited, after `_look_again` and before this was written.
            if saved:
                queue.remove(saved)
            return
        if not self.sending:
            changed = CHANGED if self.outdated and self.prompt.prompt else ""
            sys.stderr.write(changed + self.prompt.prompt)
            return
        delivery = self._delivery()
        if saved is None:
            Courier(delivery, unsaved=data).start()
        elif delivery.due():
            Courier(delivery).start()


def _pairs(info: Any) -> list[tuple[Any, Any]]:
    """The entries of a mapping, or the pairs themselves."""
    return list(info.items() if hasattr(info, "items") else info)

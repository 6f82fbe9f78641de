"""Events of new findings: each finding is in exactly one, and each receiver gets each event at least once.

What is to be sent, and what was, stands in the tables, so that neither a restart nor a kill loses an event. One that
was sent just before a kill is sent again, with the same id, by which receivers know it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, insert, select, update

from envfab.collector.days import DAY
from envfab.collector.db import finding_queries
from envfab.collector.db.engine import Storage, run_many
from envfab.collector.db.schema import event_deliveries, finding_events, findings
from envfab.collector.jobs.finding_event import FindingEvent
from envfab.config.events import FINDING, Exec, Receiver, Webhook
from envfab.receivers.sender import Sender, sender_for
from envfab.receivers.undelivered import Undelivered

LONGEST_SENDING = 60.0  # seconds
CLAIMED_FOR = 5 * 60 * 1000  # milliseconds: longer than any receiver may take
RETRY_AFTER, LONGEST_PAUSE = 60 * 1000, 60 * 60 * 1000
# Of what a receiver refuses: whoever runs it may mend that, and nothing else does.
REFUSED_PAUSE = DAY
GIVEN_UP_AFTER = 7 * DAY
_AT_ONCE = 500  # events that a round deletes
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Delivery:
    """An event that one receiver is to get now."""

    event: int
    message: str
    at: int
    receiver: str
    tries: int


class FindingEvents:
    """Tells receivers of new findings; `url` is the collector's address for people, empty where it is not known."""

    def __init__(self, storage: Storage, receivers: Sequence[Receiver], folder: Path, url: str) -> None:
        wanted = [one for one in receivers if not one.kinds or FINDING in one.kinds]
        self._storage = storage
        self._senders: dict[str, Sender] = {
            _key(one, number): sender_for(one, folder) for number, one in enumerate(wanted)
        }
        self._url = url

    def send(self, now: Callable[[], int]) -> None:
        """Make an event of what is new, and send what is due; what is not delivered is tried again later."""
        self._forget(now() - GIVEN_UP_AFTER)
        if not self._senders:
            return
        self._make(now())
        # Whatever waits for a receiver that does not answer must not cost a time-out each.
        silent: set[str] = set()
        while (one := self._claim(now(), self._senders.keys() - silent)) is not None:
            if not self._deliver(one, now):
                silent.add(one.receiver)

    def _forget(self, before: int) -> None:
        """Delete events that were delivered or given up. The last one stays: SQLite would use its number again."""
        last = select(func.max(finding_events.c.id)).scalar_subquery()
        old = finding_events.c.at <= before, finding_events.c.id < last
        with self._storage.reading() as connection:
            ids = connection.execute(select(finding_events.c.id).where(*old).limit(_AT_ONCE)).scalars().all()
        if ids:
            with self._storage.writing() as connection:
                connection.execute(delete(event_deliveries).where(event_deliveries.c.event_id.in_(ids)))
                connection.execute(delete(finding_events).where(finding_events.c.id.in_(ids)))

    def _make(self, now: int) -> None:
        new = findings.c.event_id.is_(None) & findings.c.ended_at.is_(None)
        with self._storage.reading() as connection:
            if connection.execute(select(findings.c.id).where(new).limit(1)).first() is None:
                return
        with self._storage.writing() as connection:
            values = {"message": f"msg_{secrets.token_hex(12)}", "at": now}
            made = insert(finding_events).values(values).returning(finding_events.c.id)
            event = connection.execute(made).scalar_one()
            told = connection.execute(update(findings).where(new).values(event_id=event)).rowcount
            rows = [{"event_id": event, "receiver": key, "due_at": now, "tries": 0} for key in self._senders]
            # another worker may have been quicker: then there is nothing to tell
            run_many(connection, insert(event_deliveries), rows if told else ())

    def _claim(self, now: int, receivers: Collection[str]) -> _Delivery | None:
        """A delivery that is due to one of `receivers`, put off so that no other worker makes it at the same time."""
        table = event_deliveries
        due = (table.c.sent_at.is_(None), table.c.due_at <= now, table.c.receiver.in_(list(receivers)))
        query = select(table.c.event_id, finding_events.c.message, finding_events.c.at, table.c.receiver, table.c.tries)
        query = query.join_from(table, finding_events).where(*due, finding_events.c.at > now - GIVEN_UP_AFTER)
        with self._storage.reading() as connection:
            found = connection.execute(query.order_by(table.c.event_id).limit(1)).first()
        if found is None:
            return None
        one = _Delivery(*found)
        own = (table.c.event_id == one.event, table.c.receiver == one.receiver)
        statement = update(table).where(*own, *due).values(due_at=now + CLAIMED_FOR, tries=one.tries + 1)
        with self._storage.writing() as connection:
            claimed = connection.execute(statement).rowcount
        return one if claimed else self._claim(now, receivers)

    def _deliver(self, one: _Delivery, now: Callable[[], int]) -> bool:
        """Whether the receiver answered, though it may have refused."""
        sender = self._senders[one.receiver]
        with self._storage.reading() as connection:
            found = finding_queries.findings_of_event(connection, one.event)
        try:
            _send(sender, FindingEvent(one.message, one.at, found, self._url))
        except Undelivered as error:
            pause = min(RETRY_AFTER * 2**one.tries, LONGEST_PAUSE) if error.again else REFUSED_PAUSE
            log.warning("%s: the event of new findings was not delivered: %s", sender.name, error.reason)
            self._note(one, due_at=now() + pause)
            return not error.again
        self._note(one, sent_at=now())
        return True

    def _note(self, one: _Delivery, **values: int) -> None:
        table = event_deliveries
        own = (table.c.event_id == one.event, table.c.receiver == one.receiver)
        with self._storage.writing() as connection:
            connection.execute(update(table).where(*own).values(values))


def _send(sender: Sender, event: FindingEvent) -> None:
    """Send an event; raises `Undelivered`, also where that takes too long: a server may answer byte by byte."""
    ended: Future[None] = Future()

    def send() -> None:
        try:
            sender.send(event)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for it
            ended.set_exception(error)
        else:
            ended.set_result(None)

    # a daemon, so that it does not hold up the end of the process either
    threading.Thread(target=send, name="envfab-event", daemon=True).start()
    try:
        ended.result(LONGEST_SENDING)
    except TimeoutError:
        raise Undelivered(f"it took longer than {LONGEST_SENDING:g} s") from None


def _key(receiver: Receiver, number: int) -> str:
    """What the tables call a receiver: the same after a restart, and no secret."""
    if isinstance(receiver, Exec):
        return _digest(f"command {receiver.command}")
    assert isinstance(receiver, Webhook)
    return _digest(f"{receiver.format} {receiver.url}") if isinstance(receiver.url, str) else f"webhook {number}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

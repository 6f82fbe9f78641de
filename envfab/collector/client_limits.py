"""waitress with limits on clients: how many connections one may hold, and how long a whole exchange may take.

waitress buffers requests and answers, so that a slow client holds no thread; but it holds a connection, of which
waitress has a hundred, for as long as now and then a byte comes.
"""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast
from wsgiref.types import WSGIApplication

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

THREADS = 8
IDLE = 30  # seconds after which a connection that says nothing is closed
EXCHANGE = 60.0  # seconds for a whole request, and for a whole answer
CLEANUP = 1  # seconds between two checks of these limits
CONNECTIONS = 1000  # at most, and no more than half of the files that the process may have open
CONNECTIONS_A_CLIENT = 64
NEW = 1.0  # seconds in which a new connection may still be without a request when the server stops
# Larger than what endpoints take: a body that is a little too large is read and refused in words, not cut off.
MAX_BODY = 32 * 1024 * 1024


class CollectorServer(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Serves an application on a socket that listens, until `SystemExit` or `KeyboardInterrupt`.

    A client with too many connections loses the one that has been in a request for the longest; where there are too
    many connections in all, that is the client with the most. `by_client` is off behind a proxy, which is one client.
    """

    def __init__(self, application: WSGIApplication, listener: socket.socket, *, by_client: bool) -> None:
        adjustments = Adjustments(
            sockets=[listener],
            threads=THREADS,
            channel_timeout=IDLE,
            cleanup_interval=CLEANUP,
            # above the limits of this module, with room to accept a connection that displaces another
            connection_limit=2 * CONNECTIONS,
            # select() knows 1,024 descriptors
            asyncore_use_poll=True,
            max_request_body_size=MAX_BODY,
            ident=None,
            clear_untrusted_proxy_headers=by_client,
        )
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(THREADS)
        self._by_client = by_client
        self._limit = _connections()
        info = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            application, None, True, listener, dispatcher=dispatcher, adj=adjustments, sockinfo=info, bind_socket=False
        )
        self.channel_class = Channel

    def handle_accept(self) -> None:
        """Take a connection in, and close another where that makes too many."""
        super().handle_accept()
        channels = [channel for channel in self._channels() if not channel.will_close]
        by_client: dict[str, list[Channel]] = {}
        for channel in channels:
            by_client.setdefault(str(channel.addr[0]), []).append(channel)
        most = max(by_client.values(), key=len, default=[])
        if len(channels) > self._limit or (self._by_client and len(most) > CONNECTIONS_A_CLIENT):
            # never the newest, which has had no time yet, nor one whose request is complete if there is another
            oldest = min(most[:-1], key=lambda one: (bool(one.requests), one.creation_time), default=None)
            if oldest is not None:
                oldest.cut()

    def maintenance(self, now: float) -> None:
        """Close connections that are idle, as waitress does, and those whose exchange takes too long."""
        super().maintenance(now)
        for channel in self._channels():
            channel.keep_deadline(now)

    def turn(self) -> None:
        """Do what there is to do for all connections, or wait a second for something."""
        self.asyncore.loop(timeout=1, map=self._map, use_poll=True, count=1)

    def stop_accepting(self) -> None:
        """Take in the connections that clients have already made, and close the door."""
        before = -1
        while len(self.active_channels) != before:
            before = len(self.active_channels)
            self.handle_accept()
        self.del_channel()
        self.socket.close()

    def close_idle(self, now: float) -> int:
        """Close connections without a request, and let the others end with their answer; how many are left."""
        self.maintenance(now)
        for channel in self._channels():
            if channel.is_busy(now):
                channel.make_last()
            else:
                channel.handle_close()
        return len(self.active_channels)

    def end(self) -> None:
        """Wait a little for threads that still work on answers, and close all connections."""
        self.task_dispatcher.shutdown()
        for channel in self._channels():
            channel.cut()
            channel.handle_close()
        if not self.task_dispatcher.threads:  # one that works on would pull it
            self.trigger.close()

    def _channels(self) -> Iterator[Channel]:
        return iter(cast("list[Channel]", list(self.active_channels.values())))


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Tells the application that a body was chunked, which waitress hides: a size must be declared beforehand."""

    def parse_header(self, header_plus: bytes) -> Any:
        """As waitress does, and keep the header; a number that Python does not read is the client's fault."""
        try:
            result = super().parse_header(header_plus)
        except ValueError:
            raise ParsingError("Content-Length is invalid") from None
        if self.chunked:
            self.headers["TRANSFER_ENCODING"] = "chunked"
        return result


class RequestTask(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Answers HEAD without a body (RFC 9110, 9.3.2); waitress would end one of unknown length as a chunked one."""

    def finish(self) -> None:
        """Send the header, if that is not done yet, and the end of the body where there is one."""
        if not self.wrote_header:
            self.write(b"")
        if self.request.command == "HEAD":
            self.chunked_response = False
        super().finish()


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that knows since when it has been receiving one request, or sending one answer."""

    parser_class = Parser
    task_class = RequestTask
    _since: float | None = None

    def keep_deadline(self, now: float) -> None:
        """Close the connection where a part of a request, or of an answer, is under way for longer than `EXCHANGE`."""
        under_way = self.request is not None or (self.total_outbufs_len and not self.requests)
        if not under_way:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since > EXCHANGE:
            self.cut()

    def is_busy(self, now: float) -> bool:
        """Whether a request or an answer is under way, or the client had no time yet to send anything."""
        under_way = self.request is not None or self.requests or self.total_outbufs_len
        return bool(under_way) or (self.last_activity == self.creation_time and now - self.creation_time < NEW)

    def make_last(self) -> None:
        """Tell the client, with the answer to what is under way, that the connection ends then."""
        with self.requests_lock:
            for request in (self.request, *self.requests):
                if request is not None and request.headers_finished:
                    request.headers["CONNECTION"] = "close"

    def cut(self) -> None:
        """Close the connection. `will_close` alone waits until a byte can be sent: for ever if none is read."""
        self.will_close = True
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def received(self, data: bytes) -> Any:
        """Take data in; a request that it completes ends the time for that one."""
        if self.request is None:
            self._since = time.time()
        return super().received(data)


def _connections() -> int:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(CONNECTIONS_A_CLIENT, min(CONNECTIONS, soft // 2))

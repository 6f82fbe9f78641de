"""Serving the application by waitress, on one address."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import create_server

from envfab.collector.app import create_app
from envfab.collector.config import Config
from envfab.collector.storage import CollectorError
from envfab.errors import UsageError

THREADS = 8
IDLE = 30  # seconds after which a connection that says nothing is closed
# Larger than what endpoints take: a body that is a little too large is read and refused in words, not cut off.
MAX_BODY = 32 * 1024 * 1024


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `[IPV6]:PORT` or `:PORT` (every address there is); raises `UsageError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{text!r} is no address to listen on", hint="say --bind 127.0.0.1:8088")
    if host[:1] == "[" and host[-1:] == "]":
        host = host[1:-1]
    return host or "0.0.0.0", int(port)


def serve(config: Config, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until interrupted; `announce` is called with the URL once clients can connect."""
    listener = _listen(host, port)
    try:
        # A client that trickles its request is buffered by waitress, and holds no thread.
        server = create_server(
            create_app(config),
            sockets=[listener],
            threads=THREADS,
            channel_timeout=IDLE,
            max_request_body_size=MAX_BODY,
            ident=None,
            clear_untrusted_proxy_headers=not config.proxies,
        )
        server.channel_class = _Channel
        signal.signal(signal.SIGTERM, _stop)
        announce(_url(listener))
        server.run()
    finally:
        listener.close()


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Tells the application that a body was chunked, which waitress hides: a size must be declared beforehand."""

    def parse_header(self, header_plus: bytes) -> Any:
        result = super().parse_header(header_plus)
        if self.chunked:
            self.headers["TRANSFER_ENCODING"] = "chunked"
        return result


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    parser_class = _Parser


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CollectorError(
            f"cannot listen: {error.strerror}", where=f"{host}:{port}", hint="choose another with --bind HOST:PORT"
        ) from None
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _stop(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)

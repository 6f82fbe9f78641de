"""Serving the application by waitress, on one address."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

from envfab.collector.app import create_app
from envfab.collector.client_limits import CollectorServer
from envfab.collector.config import Config
from envfab.collector.db.engine import CollectorError
from envfab.collector.graceful_stop import GracefulServer
from envfab.collector.service import Service
from envfab.errors import UsageError


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `[IPV6]:PORT` or `:PORT` (every address there is); raises `UsageError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{text!r} is not an address to listen on", hint="say --bind 127.0.0.1:8088")
    if host[:1] == "[" and host[-1:] == "]":
        host = host[1:-1]
    return host or "0.0.0.0", int(port)


def serve(config: Config, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `announce` is called with the URL once clients can connect."""
    listener = _listen(host, port)
    try:
        app = create_app(config)
        server = GracefulServer(CollectorServer(app, listener, by_client=not config.proxies))
        signal.signal(signal.SIGTERM, lambda _number, _frame: server.stop())
        announce(_url(listener))
        server.run()
        service: Service = app.extensions["envfab"]
        service.close()
    finally:
        listener.close()


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

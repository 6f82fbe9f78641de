"""SSH: one connection a host and login user, made from the task's own Fabric configuration.

Fabric itself trusts any host key, opens a chain of jump hosts for each connection, and lets connections that
share a configuration pile up each other's keys; here every key is checked, jump hosts are shared, and each
connection gets arguments of its own.
"""

from __future__ import annotations

import logging
import shlex
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection

from envfab.errors import Unreachable
from envfab.fleet import Host
from envfab.managed import host_keys, trust
from envfab.managed.channel import GONE, PLACES, start
from envfab.managed.login import login
from envfab.managed.lookups import keep_lookups
from envfab.managed.process import GOODBYE, Link, local_link
from envfab.managed.refusals import failure

KEEPALIVE = 30
DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
DEFAULT_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"


class Connections:
    """The hosts' links, opened when they are first asked for, and shared; safe to use from many threads."""

    def __init__(self, config: Config, host_key_rule: str, connect_timeout: float) -> None:
        keep_lookups(config)
        self._config = config
        self._rule = host_key_rule
        self._timeout = connect_timeout
        self._lock = threading.Lock()
        self._locks: dict[object, threading.Lock] = {}
        self._open: dict[object, Connection] = {}
        self._links: dict[object, Link] = {}
        self._failed: dict[object, Unreachable] = {}
        # by id: Fabric calls two connections equal that lead to the same place by different ways
        self._opening: dict[int, Connection] = {}
        self._closed = False
        self._remembering = threading.Lock()
        # Paramiko reports refused channels there, which are dealt with here
        logging.getLogger("paramiko").addHandler(logging.NullHandler())

    @property
    def sudo_password(self) -> str | None:
        """What `--prompt-for-sudo-password` or `sudo.password` said."""
        password = self._config.sudo.password
        return str(password) if password is not None else None

    def login(self, host: Host) -> str:
        """Who logs in to a host."""
        return login(host, self._config)

    def link(self, host: Host) -> Link:
        """The link to a host, its connection open; raises `Unreachable`."""
        key = (host.name, None if host.local else self.login(host))
        with self._lock_of(("link", key)):
            if key not in self._links:
                if host.local:
                    self._links[key] = local_link()
                else:
                    self._refuse_circles(host.name)
                    connection = self._connection(_Hop(host.name, host.user))
                    self._links[key] = Link(
                        host.name, PLACES, partial(start, connection.transport, host.name, self._timeout)
                    )
            return self._links[key]

    def open_ahead(self, hosts: Iterable[Host], most: int) -> None:
        """Begin to connect, to `most` hosts at once; what fails is told by `link`."""
        waiting = deque({host.name: host for host in hosts}.values())

        def work() -> None:
            while not self._closed:
                try:
                    host = waiting.popleft()
                except IndexError:
                    return
                # whatever it is, `link` tells it to whoever asks
                with suppress(Exception):
                    self.link(host)

        for _ in range(min(most, len(waiting))):
            threading.Thread(target=work, name="envfab-ahead", daemon=True).start()

    def close(self) -> None:
        """End all connections, the jump hosts' last; those that are still being opened are given up."""
        with self._lock:
            self._closed = True
            opening, made = [*self._opening.values()], [*reversed(self._open.values())]
            self._open.clear()
        for connection in opening:
            # whoever opens it cleans up after the error that this is to them, and must still find the transport then
            if (transport := connection.client.get_transport()) is not None:
                with suppress(*GONE):
                    transport.close()
        for connection in made:
            _close(connection)
        self._links.clear()

    def _lock_of(self, key: object) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(key, threading.Lock())

    def _refuse_circles(self, name: str, seen: tuple[str, ...] = ()) -> None:
        """Raise `Unreachable` where jump hosts lead back to one that is on the way already.

        Nothing is locked before that is known: two that lead through each other would wait for each other.
        """
        if name in seen:
            raise Unreachable("its jump hosts lead back to itself", where=name, hint="mend ProxyJump")
        # the first is reached as its own configuration says, each other one through the one before
        for hop in self._jumps(name)[:1]:
            self._refuse_circles(hop.name, (*seen, name))

    def _connection(self, hop: _Hop, via: Connection | None = None) -> Connection:
        """An open connection, made once however many ask for it (jump hosts); one that failed is not tried again."""
        key = (hop, via)
        with self._lock_of(key):
            if key in self._failed:
                raise self._failed[key]
            if key not in self._open:
                try:
                    connection = self._opened(hop, via)
                except Unreachable as error:
                    self._failed[key] = error
                    raise
                with self._lock:
                    if not self._closed:
                        self._open[key] = connection
                if self._closed:
                    _close(connection)
                    raise Unreachable("nobody waits for it any more", where=hop.name)
            return self._open[key]

    def _opened(self, hop: _Hop, via: Connection | None) -> Connection:
        """A new connection; raises `Unreachable`."""
        connection, place, timeout = self._configured(hop, via)
        with self._lock:
            self._opening[id(connection)] = connection
        try:
            if self._closed:
                raise EOFError
            connection.open()
        except BaseException as error:
            # Paramiko leaves its thread and socket behind where it is refused
            _close(connection)
            if isinstance(error, (*GONE, ValueError)):
                raise failure(error, hop.name, connection.user, place, timeout) from None
            raise
        finally:
            with self._lock:
                del self._opening[id(connection)]
        # a question may wait for its answer longer than a firewall remembers a silent connection
        connection.transport.set_keepalive(KEEPALIVE)
        return connection

    def _configured(self, hop: _Hop, via: Connection | None) -> tuple[Connection, str, int]:
        """(a connection that can be opened, where it leads, its timeout); raises `Unreachable`."""
        gateway = via or self._gateway(hop.name)
        try:
            return self._as_configured(hop, gateway)
        except (ValueError, RuntimeError) as error:
            # a port that is no number, the home of a user who is none
            raise Unreachable(
                f"its SSH configuration cannot be used: {error}",
                where=hop.name,
                hint="mend what your SSH config says of it",
            ) from None

    def _as_configured(self, hop: _Hop, gateway: Any) -> tuple[Connection, str, int]:
        name = hop.name
        settings = self._config.base_ssh_config.lookup(name)
        kwargs: dict[str, Any] = dict(self._config.connect_kwargs)
        # Fabric adds the configuration's own keys to ours: they would be tried twice
        kwargs.pop("key_filename", None)
        # Fabric refuses a timeout that is named twice; the command line's own (-t) comes first
        named = self._config.timeouts.get("connect"), kwargs.pop("timeout", None), _seconds(settings)
        timeout = max(1, int(float(next((value for value in named if value), self._timeout))))
        address, at_port = settings.get("hostname", name), hop.port or int(settings.get("port", self._config.port))
        known_as = host_keys.lookup_name(address, at_port, settings.get("hostkeyalias"))
        user_files = _paths(settings.get("userknownhostsfile", DEFAULT_KNOWN_HOSTS))
        global_files = _paths(settings.get("globalknownhostsfile", DEFAULT_GLOBAL_KNOWN_HOSTS))
        known = host_keys.known_keys(known_as, [*user_files, *global_files])
        if not known and known_as.startswith("["):
            # as ssh does: a key that is recorded for the host serves its other ports
            known = host_keys.known_keys(address.lower(), [*user_files, *global_files])
        kwargs["transport_factory"] = self._unless_closed(trust.transport_preferring(known))
        kwargs.setdefault("banner_timeout", timeout)
        connection = Connection(
            name,
            user=hop.user,
            port=hop.port,
            config=self._config,
            gateway=gateway,
            connect_timeout=timeout,
            connect_kwargs=kwargs,
        )
        policy = trust.Policy(self._rule, known_as, known, name, user_files, self._remembering)
        connection.client.set_missing_host_key_policy(policy)
        return connection, f"{address} port {at_port}", timeout

    def _unless_closed(self, make: Callable[..., paramiko.Transport]) -> Callable[..., paramiko.Transport]:
        """What makes transports, but none that `close` could not see any more."""

        def make_unless_closed(sock: Any, **options: Any) -> paramiko.Transport:
            if self._closed:
                _give_up(sock)
                raise EOFError
            return make(sock, **options)

        return make_unless_closed

    def _gateway(self, name: str) -> Any:
        """What the connection to `name` goes through: a shared connection, a proxy command, or False for nothing."""
        through: Connection | None = None
        for hop in self._jumps(name):
            through = self._connection(hop, through)
        if through is not None:
            return through
        settings = self._config.base_ssh_config.lookup(name)
        command, gateway = settings.get("proxycommand"), self._config.gateway
        if "proxyjump" in settings:
            return False
        if command is not None:
            return False if command.lower() == "none" else command
        # one that is a connection leads nowhere but to itself here
        return False if isinstance(gateway, Connection) else gateway or False

    def _jumps(self, name: str) -> tuple[_Hop, ...]:
        """The jump hosts on the way to a host, in order: the SSH configuration's, or else Fabric's `gateway`."""
        settings = self._config.base_ssh_config.lookup(name)
        jump, gateway = settings.get("proxyjump"), self._config.gateway
        hops: tuple[_Hop, ...] = ()
        if jump is not None and jump.lower() != "none":
            hops = tuple(_Hop.parse(text) for text in jump.split(","))
        elif jump is None and "proxycommand" not in settings and isinstance(gateway, Connection):
            hops = (_Hop(gateway.original_host, gateway.user, gateway.port),)
        # a pattern may match the jump host itself
        return () if hops and hops[-1].name == name else hops


@dataclass(frozen=True, slots=True)
class _Hop:
    """A place to log in to; the SSH configuration says what is None."""

    name: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> _Hop:
        """One of ProxyJump's `[user@]host[:port]`, or `ssh://…`; an IPv6 address is in brackets."""
        user, _, place = text.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
        if place.startswith("["):
            host, _, rest = place[1:].partition("]")
            port = rest.removeprefix(":")
        else:
            host, _, port = place.partition(":")
        if not host or (port and not port.isdigit()):
            raise Unreachable(f"ProxyJump {text.strip()!r} is no [user@]host[:port]", where=host or text.strip())
        return cls(host, user or None, int(port) if port else None)


def _close(connection: Connection) -> None:
    """End a connection, and the ProxyCommand that it goes through, which Paramiko leaves half-closed."""
    transport = connection.client.get_transport()
    # what leads through a jump host says good-bye to it, which may be gone
    with suppress(*GONE):
        connection.client.close()
    proxy = getattr(transport, "sock", None)
    if transport is not None and isinstance(proxy, paramiko.ProxyCommand):
        # its thread ends the program too, and must find it
        transport.join(GOODBYE)
        _give_up(proxy)


def _give_up(sock: Any) -> None:
    """End what a connection would have gone through."""
    if isinstance(sock, paramiko.ProxyCommand):
        sock.process.kill()
        sock.process.communicate()
    else:
        with suppress(*GONE):
            sock.close()


def _seconds(settings: dict[str, Any]) -> str | None:
    """ConnectTimeout; `none` is OpenSSH's word for its own default, and says nothing here."""
    value = settings.get("connecttimeout")
    return None if value is None or value.lower() == "none" else str(value)


def _paths(value: str | Iterable[str]) -> list[Path]:
    # Paramiko takes the quotes off a value, so that one file with a space in its name looks like two
    if isinstance(value, str):
        names = [value] if Path(value).expanduser().exists() else shlex.split(value)
    else:
        names = list(value)
    return [Path(name).expanduser() for name in names if name.lower() != "none"]

"""SSH connections, one for each host and login user, made from the task's Fabric configuration.

Fabric itself trusts any host key, opens a chain of jump hosts for each connection, and lets connections that share a
configuration collect each other's keys. Here every host key is checked, jump hosts are shared, and each connection has
arguments of its own.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from typing import Any

import paramiko
from fabric import Config, Connection

from envfab.config.host import Host
from envfab.errors import Unreachable
from envfab.remote.process import HostConnection, local_link
from envfab.remote.ssh import host_key_policy, known_hosts
from envfab.remote.ssh.authentication import Authentication
from envfab.remote.ssh.channel import GONE, Sessions
from envfab.remote.ssh.config import SSHConfiguration
from envfab.remote.ssh.errors import failure, refused_at_once
from envfab.remote.ssh.fabric_connection import Addresses, FabricConnection, close_connection, end_connection, give_up
from envfab.remote.ssh.hop import Hop
from envfab.remote.ssh.host_config import HostConfig
from envfab.remote.ssh.keepalive import LiveTransport, Watch
from envfab.remote.ssh.keys import KeyFiles
from envfab.remote.ssh.login import login
from envfab.remote.ssh.pool import ConnectionPool, PooledConnection
from envfab.remote.workers import HURRY, SPARE, join, start_workers

# seconds before a host that ended a new connection at once is tried again: they grow, up to the second of these
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Connections:
    """The connections to hosts, opened on demand and shared. Thread-safe.

    As many stay open as `parallel` hosts in work need, and `SPARE` more. An idle one is closed when another host needs
    the room, and opened again when a process is started on it.
    """

    def __init__(
        self,
        config: Config,
        host_key_rule: str,
        connect_timeout: float,
        ssh: SSHConfiguration | None = None,
        *,
        parallel: int = 20,
        jump_parallel: int = 10,
    ) -> None:
        """Initialise; `config` must not be used elsewhere, `ssh` is its SSH configuration if that was read before.

        At most `jump_parallel` connections are opened at the same time through one jump host or ProxyCommand.
        """
        self._ssh = ssh or SSHConfiguration.of(config)
        # Fabric looks up hosts as well: it gets the addresses found here
        config._set(base_ssh_config=Addresses(self._ssh))
        self._config = config
        # read once, here: Invoke's configuration must not be read while other threads copy it
        password = config.sudo.password
        # of --prompt-for-sudo-password or the setting `sudo.password`
        self.sudo_password = str(password) if password is not None else None
        self._key_files = KeyFiles()
        self._rule = host_key_rule
        self._timeout = connect_timeout
        self._lock = threading.Lock()
        self._locks: dict[object, threading.Lock] = {}
        self._open: dict[object, Connection] = {}
        # which of them lead to others
        self._gateways: set[object] = set()
        self._pool = ConnectionPool(parallel + SPARE)
        # each has a thread beside those of the hosts in work
        self._ahead = min(parallel, SPARE)
        self._jump_parallel = jump_parallel
        self._jumping: dict[object, threading.Semaphore] = {}
        self._links: dict[object, HostConnection] = {}
        self._failed: dict[object, Unreachable] = {}
        # by id, since Fabric compares two connections to the same place by different ways as equal
        self._opening: dict[int, Connection] = {}
        self._closing = threading.Event()
        self._may_ask = True
        self._watch = Watch()
        self._remembering = threading.Lock()
        # Paramiko logs refused channels, which are handled here, and would print them without a handler
        logging.getLogger("paramiko").addHandler(logging.NullHandler())

    def login(self, host: Host) -> str:
        """Return the login user for a host."""
        return login(host, self._config, self._ssh)

    def link(self, host: Host) -> HostConnection:
        """Return the connection to a host, opened unless it was before; raises `Unreachable`."""
        key = (host.name, None if host.local else self.login(host))
        with self._lock_of(("link", key)):
            if key not in self._links:
                if host.local:
                    self._links[key] = local_link()
                else:
                    line = self._line(Hop(host.name, host.user))
                    line.open()
                    self._links[key] = line.link
            return self._links[key]

    def link_later(self, host: Host) -> HostConnection:
        """Return the connection to a host, which is opened when a process is started on it, if it is not open."""
        if host.local:
            return self.link(host)
        key = (host.name, self.login(host))
        with self._lock_of(("link", key)):
            return self._links.setdefault(key, self._line(Hop(host.name, host.user)).link)

    def ask_nobody(self) -> None:
        """Raise `NeedsTerminal` from now on where a server asks a question that the user would have to answer."""
        self._may_ask = False

    def _line(self, hop: Hop) -> PooledConnection:
        def connect() -> Sessions:
            self._refuse_circles(hop)
            return Sessions(self._connection(hop).transport, hop.name, self._timeout)

        return PooledConnection(hop.name, connect, lambda: self._disconnect(hop), self._pool)

    def open_ahead(self, hosts: Iterable[Host]) -> None:
        """Start to connect to the first hosts, at most `SPARE`, without waiting; `link` raises the errors."""

        def work(host: Host) -> None:
            # `link` raises it again
            with suppress(Exception):
                self.link(host)

        first = list({host.name: host for host in hosts}.values())[: self._ahead]
        start_workers(work, first, len(first), "envfab-ahead", self._closing.is_set)

    def close(self) -> None:
        """Close all connections, those to jump hosts last, and give up those that are being opened."""
        with self._lock:
            self._closing.set()
            opening, made = [*self._opening.values()], [*reversed(self._open.values())]
            self._open.clear()
        self._watch.close()
        for connection in opening:
            # only the transport: the thread that opens the connection gets an error and cleans up the rest
            if (transport := connection.client.get_transport()) is not None:
                with suppress(*GONE):
                    transport.close()
        for connection in made:
            close_connection(connection)
        self._links.clear()

    def close_in_a_hurry(self) -> None:
        """Close all connections, but wait for silent or slow hosts only briefly: for a Ctrl-C."""
        join(start_workers(lambda connections: connections.close(), [self], 1, "envfab-close"), HURRY)

    def _lock_of(self, key: object) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(key, threading.Lock())

    def _refuse_circles(self, hop: Hop, seen: tuple[str, ...] = ()) -> None:
        """Raise `Unreachable` if the chain of jump hosts contains a host twice.

        This is checked before any lock is taken: two hosts that lead through each other would deadlock.
        """
        if hop.name in seen:
            raise Unreachable(
                "its jump hosts lead back to itself", where=hop.name, hint="correct ProxyJump in your SSH config"
            )
        # only the first is reached by its own configuration, each other one through the one before it
        for jump in self._jumps(hop)[:1]:
            self._refuse_circles(jump, (*seen, hop.name))

    def _connection(self, hop: Hop, via: Connection | None = None) -> Connection:
        """An open connection, made once and shared (jump hosts); one that failed is not tried again."""
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
                    if not self._closing.is_set():
                        self._open[key] = connection
                if self._closing.is_set():
                    close_connection(connection)
                    raise Unreachable("the connections were closed", where=hop.name)
            return self._open[key]

    def _disconnect(self, hop: Hop) -> bool:
        """Close the connection to a host, unless others lead through it; return whether it was closed."""
        with self._lock_of((hop, None)):
            if (hop, None) in self._gateways:
                return False
            connection = self._open.pop((hop, None), None)
            if connection is None:
                return False
            end_connection(connection)
            return True

    def _opened(self, hop: Hop, via: Connection | None) -> Connection:
        """A new connection; raises `Unreachable`.

        A server that ends new connections at once has too many that have not logged in (`MaxStartups`): it is tried
        again, as long as the time limit of a connection allows.
        """
        began, tries, pause = time.monotonic(), 0, FIRST_PAUSE
        while True:
            connection, place, timeout = self._configured(hop, via)
            tries += 1
            try:
                self._open_once(connection)
            except BaseException as error:
                ended = "" if isinstance(error, paramiko.AuthenticationException) else connection.proxy_s_end()
                # Paramiko leaves a thread and a socket behind if the login is refused
                close_connection(connection)
                # not all at the same time again
                pause = min(2 * pause, LONGEST_PAUSE) * random.uniform(0.5, 1)
                late = time.monotonic() - began + pause > timeout
                again = refused_at_once(ended) if ended else refused_at_once(error)
                if again and not late and not self._closing.wait(pause):
                    continue
                if ended and isinstance(error, GONE) and not self._closing.is_set():
                    raise Unreachable(ended, where=hop.name, hint="correct it in your SSH config") from None
                if isinstance(error, (*GONE, ValueError)):
                    raise failure(error, hop.name, connection.user, place, timeout, tries) from None
                raise
            # a question to the user may take longer than a firewall remembers a silent connection, and a host may
            # be gone
            if isinstance(connection.transport, LiveTransport):
                self._watch.add(connection.transport)
            return connection

    def _open_once(self, connection: FabricConnection) -> None:
        with self._lock:
            self._opening[id(connection)] = connection
            gateway = connection.gateway or None
            turn = self._jumping.setdefault(gateway, threading.Semaphore(self._jump_parallel)) if gateway else None
        try:
            with turn or nullcontext():
                if self._closing.is_set():
                    raise EOFError
                connection.open()
        finally:
            with self._lock:
                del self._opening[id(connection)]

    def _configured(self, hop: Hop, via: Connection | None) -> tuple[FabricConnection, str, int]:
        """(a connection that can be opened, its address for messages, its timeout in seconds); raises `Unreachable`."""
        ssh = self._ssh.lookup(hop.name, hop.user, hop.port)
        gateway = via or self._gateway(hop, ssh)
        try:
            return self._as_configured(hop, ssh, gateway)
        except (ValueError, RuntimeError) as error:
            raise Unreachable(
                f"invalid SSH configuration: {error}",
                where=hop.name,
                hint="correct your SSH config for this host",
            ) from None

    def _as_configured(self, hop: Hop, ssh: HostConfig, gateway: Any) -> tuple[FabricConnection, str, int]:
        kwargs: dict[str, Any] = dict(self._config.connect_kwargs)
        # Fabric refuses a timeout that is given twice; that of the command line (-t) comes first
        named = self._config.timeouts.get("connect"), kwargs.pop("timeout", None), ssh.connect_timeout
        timeout = max(1, int(float(next((value for value in named if value), self._timeout))))
        port = hop.port or ssh.port or int(self._config.port)
        user = hop.user or ssh.user or str(self._config.user)
        known_as = known_hosts.lookup_name(ssh.hostname, port, ssh.host_key_alias)
        files = [*ssh.user_known_hosts, *ssh.global_known_hosts]
        known = known_hosts.known_keys(known_as, files)
        if not known and known_as.startswith("["):
            # as ssh does: a key recorded for the host is valid for its other ports
            known = known_hosts.known_keys(ssh.hostname.lower(), files)
        strategy = Authentication(ssh, user, dict(kwargs), self._key_files, self._may_ask)
        # Fabric would add the configuration's keys to these; the strategy has them all
        kwargs.pop("key_filename", None)
        kwargs["auth_strategy"] = strategy
        kwargs["transport_factory"] = self._unless_closed(host_key_policy.transport_preferring(known, ssh.algorithms))
        kwargs.setdefault("banner_timeout", timeout)
        connection = FabricConnection(
            hop.name,
            user=user,
            port=port,
            config=self._config,
            gateway=gateway,
            forward_agent=False,
            connect_timeout=timeout,
            connect_kwargs=kwargs,
        )
        policy = host_key_policy.Policy(self._rule, known_as, known, ssh, self._remembering)
        connection.client.set_missing_host_key_policy(policy)
        return connection, f"{ssh.hostname} port {port}", timeout

    def _unless_closed(self, make: Callable[..., paramiko.Transport]) -> Callable[..., paramiko.Transport]:
        """Wrap a transport factory so that it makes none after `close`, which would never be closed."""

        def make_unless_closed(sock: Any, **options: Any) -> paramiko.Transport:
            if self._closing.is_set():
                give_up(sock)
                raise EOFError
            try:
                return make(sock, **options)
            except paramiko.SSHException:
                # Paramiko does not close it
                give_up(sock)
                raise

        return make_unless_closed

    def _gateway(self, hop: Hop, ssh: HostConfig) -> Any:
        """The gateway of the connection to `hop`: a shared connection, a proxy command, or False for none."""
        through: Connection | None = None
        for jump in self._jumps(hop):
            # before it is used: from here on, it is not closed
            self._gateways.add((jump, through))
            through = self._connection(jump, through)
        if through is not None:
            return through
        gateway = self._config.gateway
        if ssh.proxy_jump is not None:
            return False
        if ssh.proxy_command is not None:
            return False if ssh.proxy_command.lower() == "none" else ssh.proxy_command
        # a gateway that is a connection was used by `_jumps`, unless `hop` is that gateway
        return False if isinstance(gateway, Connection) else gateway or False

    def _jumps(self, hop: Hop) -> tuple[Hop, ...]:
        """The jump hosts on the way to a host, in order: the SSH configuration's, or else Fabric's `gateway`."""
        ssh, gateway = self._ssh.lookup(hop.name, hop.user, hop.port), self._config.gateway
        hops: tuple[Hop, ...] = ()
        if ssh.proxy_jump is not None and ssh.proxy_jump.lower() != "none":
            hops = tuple(Hop.parse(text) for text in ssh.proxy_jump.split(","))
        elif ssh.proxy_jump is None and ssh.proxy_command is None and isinstance(gateway, Connection):
            hops = (Hop(gateway.original_host, gateway.user, gateway.port),)
        # the SSH config's pattern may match the jump host itself
        return () if hops and hops[-1].name == hop.name else hops

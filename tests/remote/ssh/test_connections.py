"""Connections by SSH: whom they log in as, through what, whom they trust, and what is said where they fail."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko
import pytest
from fabric import Config, Connection
from paramiko import SSHConfig
from paramiko.config import SSHConfigDict

from envfab.config.host import Host
from envfab.errors import Disconnected, HostKeyError, Unreachable
from envfab.remote.process import Silence
from envfab.remote.run_command import run_command
from envfab.remote.ssh.channel import PLACES
from envfab.remote.ssh.connections import Connections
from envfab.remote.startup import Identity
from tests.remote.conftest import Connect
from tests.support.late import behind_gates, mute
from tests.support.sshd import Hosts

WriteConfig = Callable[..., Path]
# into the window that sshd opens and its pipe to a program, where nobody reads
MORE_THAN_FITS = bytes(10_000_000)


@pytest.fixture
def ssh_config(hosts: Hosts, tmp_path: Path) -> WriteConfig:
    """Writes an SSH configuration: `ssh_config("Host a", "User b", …)`, before what the hosts' own says."""

    def write(*lines: str, identity: Path | None = None) -> Path:
        file = tmp_path / "ssh_config"
        text = hosts.config.read_text()
        if identity is not None:
            text = text.replace(f"IdentityFile {hosts.key}", f"IdentityFile {identity}")
        file.write_text("\n".join(lines) + "\n\n" + text)
        return file

    return write


def says(connections: Connections, host: str, text: str = "id -un", user: str | None = None) -> str:
    """What a command prints on a host."""
    link = connections.link(Host(host, user=user))
    return run_command(link.reserve(1), text, where=host, identity=Identity()).output.strip()


def refusal(connections: Connections, host: str, user: str | None = None) -> str:
    """What is said about a host that cannot be reached."""
    with pytest.raises(Unreachable) as caught:
        connections.link(Host(host, user=user))
    return str(caught.value)


def host_key(hosts: Hosts, kind: str) -> str:
    """A public key of the hosts, as known_hosts has it."""
    return " ".join((hosts.folder / "etc" / f"host_{kind}.pub").read_text().split()[:2])


def count(hosts: Hosts, words: str, since: int) -> int:
    """How often the log has said so since then."""
    return hosts.log_since(since).count(words)


class TestLogin:
    """Who logs in, by which key."""

    def test_the_fabfile_comes_before_the_ssh_config(self, hosts: Hosts, connect: Connect) -> None:
        """`Host.user`, else the configuration's user."""
        connections = connect()
        assert connections.login(Host("web1")) == hosts.users.admin
        assert connections.login(Host("web1", user="ada")) == "ada"
        assert says(connections, "web1") == hosts.users.admin
        assert says(connections, "web1", user=hosts.users.blog) == hosts.users.blog

    def test_the_local_user_comes_last(self, connect: Connect, tmp_path: Path) -> None:
        """Without any word on it, who runs fab logs in."""
        import getpass

        empty = tmp_path / "config"
        empty.touch()
        assert connect(empty).login(Host("somewhere")) == getpass.getuser()
        assert connect(empty).login(Host("localhost")) == getpass.getuser()

    def test_a_wrong_key_is_one_clear_message(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path
    ) -> None:
        """The message names the user, and what to try."""
        other = tmp_path / "other"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
        admin = hosts.users.admin
        assert refusal(connect(ssh_config(identity=other)), "web1") == (
            f"web1: the login as {admin} was refused: no key or password was accepted\n"
            f"  does `ssh {admin}@web1` work? With a password, run fab --prompt-for-login-password"
        )

    def test_an_encrypted_key_is_named_as_such(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path
    ) -> None:
        """Without its passphrase there is an option to give it; with it the key opens."""
        key = tmp_path / "key"
        shutil.copy(hosts.key, key)
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(key)], check=True, capture_output=True)
        config = ssh_config(identity=key)
        said = refusal(connect(config), "web1")
        assert "was refused: the private key is encrypted\n" in said
        assert said.endswith("run fab --prompt-for-passphrase")
        assert says(connect(config, connect_kwargs={"passphrase": "open sesame"}), "web1") == hosts.users.admin

    def test_keys_of_many_hosts_do_not_pile_up(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path
    ) -> None:
        """Ten hosts with a key each: every one is offered its own key, not those of the others as well."""
        lines = []
        for number in range(1, 11):
            key = tmp_path / f"key{number}"
            shutil.copy(hosts.key, key)
            lines += [f"Host web{number}", f"    IdentityFile {key}"]
        config = ssh_config(*lines)
        config.write_text(config.read_text().replace(f"    IdentityFile {hosts.key}\n", ""))
        connections = connect(config)
        assert [says(connections, f"web{number}") for number in range(1, 11)] == [hosts.users.admin] * 10

    def test_the_command_line_s_key_is_used_too(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path
    ) -> None:
        """`fab -i KEY` opens what the configuration's key does not."""
        config = ssh_config(identity=tmp_path / "none")
        connections = connect(config, connect_kwargs={"key_filename": [str(hosts.key)]})
        assert [says(connections, name) for name in ("web1", "web2")] == [hosts.users.admin] * 2


class TestSharing:
    """One connection a host and user, however many ask."""

    def test_many_who_ask_at_once_share_a_connection(self, hosts: Hosts, connect: Connect) -> None:
        """Ten threads, one login."""
        connections, began = connect(), hosts.log.stat().st_size
        threads = [threading.Thread(target=connections.link, args=(Host("web5"),)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert says(connections, "web5") == hosts.users.admin
        assert count(hosts, "Accepted publickey", began) == 1

    def test_a_jump_host_is_shared(self, hosts: Hosts, connect: Connect) -> None:
        """Two hosts behind one jump host: three logins in all."""
        connections, began = connect(), hosts.log.stat().st_size
        threads = [threading.Thread(target=connections.link, args=(Host(name),)) for name in ("inner1", "inner2")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [says(connections, name) for name in ("inner1", "inner2")] == [hosts.users.admin] * 2
        assert count(hosts, "Accepted publickey", began) == 3

    def test_a_host_that_failed_is_not_tried_again(self, connect: Connect, ssh_config: WriteConfig) -> None:
        """Five virtualenvs on a host that is down do not wait five times."""
        listener = socket.create_server(("127.0.0.1", 0))
        config = ssh_config("Host silent", "    HostName 127.0.0.1", f"    Port {listener.getsockname()[1]}")
        with listener:
            connections = connect(config, timeout=1)
            began = time.monotonic()
            said = {refusal(connections, "silent") for _ in range(5)}
        assert len(said) == 1
        assert time.monotonic() - began < 3

    def test_nothing_is_left_at_the_end(self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig) -> None:
        """Paramiko's threads end with the connections, also with those that were refused."""
        before = set(threading.enumerate())
        connections = connect(ssh_config("Host web7", "    UserKnownHostsFile /dev/null"))
        assert says(connections, "inner1") == hosts.users.admin
        refusal(connections, "web7")
        refusal(connections, "web8", user="nobody-here")
        connections.close()
        deadline = time.monotonic() + 5
        while set(threading.enumerate()) - before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert set(threading.enumerate()) - before == set()


class TestWays:
    """Aliases, ports and jump hosts."""

    def test_a_chain_of_jump_hosts(self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig) -> None:
        """Each hop has a user and a port of its own, and is reached through the one before."""
        blog, port = hosts.users.blog, hosts.port
        config = ssh_config(
            "Host far", "    HostName 127.0.0.9", f"    ProxyJump web1,{blog}@127.0.0.2:{port}", f"    Port {port}"
        )
        began = hosts.log.stat().st_size
        assert says(connect(config), "far", user=hosts.users.shop) == hosts.users.shop
        users = [
            line.split("for ")[1].split()[0]
            for line in hosts.log_since(began).splitlines()
            if "Accepted publickey" in line
        ]
        assert users == [hosts.users.admin, blog, hosts.users.shop]

    @pytest.mark.parametrize("option", ["ProxyJump", "ProxyCommand"])
    def test_none_is_no_jump_host(self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, option: str) -> None:
        """`none` takes back what a wider pattern says."""
        config = ssh_config("Host web1", f"    {option} none", "Host web*", f"    {option} nowhere.invalid")
        assert says(connect(config), "web1") == hosts.users.admin

    def test_a_pattern_that_matches_the_jump_host_itself(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig
    ) -> None:
        """The jump host is reached directly."""
        assert says(connect(ssh_config("Host web*", "    ProxyJump web1")), "web2") == hosts.users.admin

    def test_jump_hosts_in_a_circle_are_refused(self, connect: Connect, ssh_config: WriteConfig) -> None:
        """Nothing hangs: the circle is named."""
        config = ssh_config("Host a", "    ProxyJump b", "Host b", "    ProxyJump a")
        assert (
            refusal(connect(config), "a")
            == "a: its jump hosts lead back to itself\n  correct ProxyJump in your SSH config"
        )

    def test_two_that_lead_through_each_other_do_not_wait_for_each_other(
        self, connect: Connect, ssh_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each is refused before anything is locked, however many ask at once."""
        config = ssh_config("Host a", "    ProxyJump b", "Host b", "    ProxyJump a")
        connections = connect(config)
        met = threading.Barrier(2)
        opened = Connections._opened

        def together(self: Connections, hop: Any, via: Any) -> Any:
            with suppress(threading.BrokenBarrierError):
                met.wait(1)
            return opened(self, hop, via)

        monkeypatch.setattr(Connections, "_opened", together)
        told: list[str] = []
        threads = [
            threading.Thread(target=lambda name=name: told.append(refusal(connections, name)), daemon=True)
            for name in ("a", "b")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(told) == [
            f"{name}: its jump hosts lead back to itself\n  correct ProxyJump in your SSH config" for name in ("a", "b")
        ]

    def test_a_gateway_of_the_configuration_is_reached_directly(self, hosts: Hosts, connect: Connect) -> None:
        """Fabric's own `gateway` setting: all hosts go through it, and it does not go through itself."""
        fabrics = Config(runtime_ssh_path=str(hosts.config))
        connections = connect(gateway=Connection("web5", config=fabrics))
        began = hosts.log.stat().st_size
        assert says(connections, "web1") == hosts.users.admin
        assert count(hosts, "Accepted publickey", began) == 2
        assert says(connections, "web5") == hosts.users.admin

    def test_a_proxy_command_comes_before_the_configuration_s_gateway(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path
    ) -> None:
        """What the SSH configuration says of a host is nearer than Fabric's `gateway` for all."""
        used = tmp_path / "used"
        command = f"sh -c 'touch {used}; exec ssh -F {hosts.config} -W 127.0.0.1:{hosts.port} web1'"
        config = ssh_config("Host web2", f"    ProxyCommand {command}")
        gateway = Connection("web5", config=Config(runtime_ssh_path=str(hosts.config)))
        assert says(connect(config, gateway=gateway), "web2")
        assert used.exists()

    def test_a_proxy_command(self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig) -> None:
        """A program may make the connection."""
        relay = "import socket,sys,threading,shutil;s=socket.create_connection(('127.0.0.1',int(sys.argv[1])));"
        relay += "r,w=s.makefile('rb',0),s.makefile('wb',0);"
        relay += "threading.Thread(target=lambda:[w.write(d) for d in iter(lambda:sys.stdin.buffer.raw.read(9999),b'')],daemon=True).start();"
        relay += "[(sys.stdout.buffer.write(d),sys.stdout.buffer.flush()) for d in iter(lambda:r.read(9999),b'')]"
        script = hosts.folder / "relay.py"
        script.write_text(relay)
        config = ssh_config("Host web1", f"    ProxyCommand python3 {script} %p")
        assert says(connect(config), "web1") == hosts.users.admin

    def test_a_proxy_command_is_run_by_the_user_s_shell(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its variables, quotes and redirections are the shell's to understand, as under ssh."""
        gated = behind_gates(hosts, tmp_path / "gates", "web1")
        (tmp_path / "gates" / "web1").touch()
        monkeypatch.setenv("GATES", str(tmp_path / "gates"))
        assert gated.config.exists()
        command = 'python3 "$GATES/gate.py" ${GATES}/web1 %h %p 2>"$GATES/said"'
        assert says(connect(ssh_config("Host web1", f"    ProxyCommand {command}")), "web1") == hosts.users.admin
        assert (tmp_path / "gates" / "said").exists()

    def test_a_proxy_command_that_fails_is_named_with_its_last_words(
        self, connect: Connect, ssh_config: WriteConfig
    ) -> None:
        """At once, and not as a server that does not answer."""
        config = ssh_config("Host web1", "    ProxyCommand sh -c 'echo no way through >&2; exit 3'")
        assert refusal(connect(config, timeout=30), "web1") == (
            "web1: its ProxyCommand ended with status 3: no way through\n  correct it in your SSH config"
        )

    def test_the_configured_algorithms_are_used(self, connect: Connect, ssh_config: WriteConfig) -> None:
        """As far as they are there; where none of them is, that is said."""
        before = {*threads_of_paramiko()}
        assert says(connect(ssh_config("Host web1", "    Ciphers chacha20-poly1305@openssh.com,aes192-ctr")), "web1")
        assert {transport.local_cipher for transport in {*threads_of_paramiko()} - before} == {"aes192-ctr"}
        said = refusal(connect(ssh_config("Host web1", "    Ciphers chacha20-poly1305@openssh.com")), "web1")
        assert "none of the configured ciphers is available: chacha20-poly1305@openssh.com" in said

    def test_a_broken_jump_host_is_named(self, connect: Connect, ssh_config: WriteConfig) -> None:
        """What cannot be reached is the jump host, and the message says so."""
        config = ssh_config("Host web1", "    ProxyJump nowhere.invalid")
        assert refusal(connect(config), "web1").startswith("nowhere.invalid: unknown host 'nowhere.invalid': ")

    def test_a_jump_host_that_cannot_reach_the_host(self, connect: Connect, ssh_config: WriteConfig) -> None:
        """A closed port behind a jump host is told for the host."""
        config = ssh_config("Host inner", "    HostName 127.0.0.1", "    Port 9", "    ProxyJump web1")
        assert refusal(connect(config), "inner").startswith("inner: cannot connect to 127.0.0.1 port 9: ")


class TestHostKeys:
    """Nobody is talked to who cannot prove who they are."""

    def recorded(self, tmp_path: Path, *lines: str) -> str:
        """The configuration's line for a known_hosts with these lines."""
        file = tmp_path / "known_hosts"
        file.write_text("".join(f"{line}\n" for line in lines))
        return f"    UserKnownHostsFile {file}"

    @pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
    def test_any_recorded_type_is_enough(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path, kind: str
    ) -> None:
        """The server is asked for the type that known_hosts has."""
        line = self.recorded(tmp_path, f"[127.0.0.1]:{hosts.port} {host_key(hosts, kind)}")
        assert says(connect(ssh_config("Host web1", line)), "web1") == hosts.users.admin

    def test_an_unknown_host_is_refused(self, connect: Connect, ssh_config: WriteConfig, tmp_path: Path) -> None:
        """The message says what to run."""
        config = ssh_config("Host web1", self.recorded(tmp_path))
        said = refusal(connect(config), "web1")
        assert said.startswith("web1: its host key is not known (ssh-ed25519 SHA256:")
        assert said.endswith("check and record it once with: ssh web1")

    @pytest.mark.parametrize(
        ("lines", "hint"),
        [
            (
                ("    StrictHostKeyChecking no",),
                "your SSH config has StrictHostKeyChecking no, which applies to ssh only",
            ),
            (
                (),
                "your SSH config keeps no host keys (UserKnownHostsFile): name a file, or set envfab.host_keys to off",
            ),
        ],
    )
    def test_where_ssh_asks_nobody_the_message_helps(
        self, connect: Connect, ssh_config: WriteConfig, lines: tuple[str, ...], hint: str
    ) -> None:
        """To log in by hand would record no key there; `off` is what such a configuration means."""
        config = ssh_config("Host web1", "    UserKnownHostsFile /dev/null", *lines)
        first, second = refusal(connect(config), "web1").splitlines()
        assert first.startswith("web1: its host key is not known (ssh-ed25519 SHA256:")
        assert second.strip().startswith(hint)
        assert says(connect(config, rule="off"), "web1")

    def test_a_changed_key_is_refused(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path
    ) -> None:
        """Another host's key is recorded under that name."""
        other = tmp_path / "other"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
        public = " ".join(other.with_suffix(".pub").read_text().split()[:2])
        config = ssh_config("Host web1", self.recorded(tmp_path, f"[127.0.0.1]:{hosts.port} {public}"))
        for rule in ("strict", "accept-new"):
            said = refusal(connect(config, rule=rule), "web1")
            assert said.startswith("web1: its host key has changed: it offers ssh-ed25519 SHA256:")
            assert f"ssh-keygen -R '[127.0.0.1]:{hosts.port}'" in said
        assert says(connect(config, rule="off"), "web1") == hosts.users.admin

    def test_an_alias_and_a_name_without_its_port_are_looked_up(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path
    ) -> None:
        """As ssh does: HostKeyAlias replaces the name, and a host's key serves its other ports."""
        key = host_key(hosts, "ed25519")
        line = self.recorded(tmp_path, f"shop-cluster {key}", f"127.0.0.2 {key}")
        config = ssh_config("Host web1", "    HostKeyAlias shop-cluster", "Host web*", line)
        connections = connect(config)
        assert [says(connections, name) for name in ("web1", "web2")] == [hosts.users.admin] * 2

    def test_a_file_with_a_space_in_its_name(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path
    ) -> None:
        """Quotes in the configuration are understood."""
        file = tmp_path / "known hosts"
        shutil.copy(hosts.known_hosts, file)
        assert says(connect(ssh_config("Host web1", f'    UserKnownHostsFile "{file}"')), "web1") == hosts.users.admin

    def test_new_keys_are_recorded_once_though_many_ask(
        self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig, tmp_path: Path
    ) -> None:
        """`accept-new`, from threads and for several users of one host; afterwards `strict` is content."""
        file = tmp_path / "known_hosts"
        config = ssh_config("Host *", f"    UserKnownHostsFile {file}")
        connections = connect(config, rule="accept-new")
        wanted = [Host(name, user=user) for name in ("web1", "web2") for user in (hosts.users.admin, hosts.users.blog)]
        threads = [threading.Thread(target=connections.link, args=(host,)) for host in wanted]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(line.split()[0] for line in file.read_text().splitlines()) == [
            f"[127.0.0.1]:{hosts.port}",
            f"[127.0.0.2]:{hosts.port}",
        ]
        assert says(connect(config), "web2") == hosts.users.admin

    def test_a_jump_host_is_checked_as_well(self, connect: Connect, ssh_config: WriteConfig, tmp_path: Path) -> None:
        """Somebody in the middle is still somebody unknown."""
        config = ssh_config("Host jump", self.recorded(tmp_path))
        with pytest.raises(HostKeyError, match=r"^jump: its host key is not known"):
            connect(config).link(Host("inner1"))


class TestTroubles:
    """One clear message each."""

    def test_an_unknown_name(self, connect: Connect) -> None:
        """The address book does not have it."""
        said = refusal(connect(), "no-such-host.invalid")
        assert said.startswith("no-such-host.invalid: unknown host 'no-such-host.invalid': ")

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("Port 99999", "CONFIG line 2: Bad port '99999'."),
            ("UserKnownHostsFile ~nosuchuser/known", "tilde_expand: No such user nosuchuser"),
            ("ConnectTimeout soon", "CONFIG line 2: invalid time value."),
        ],
    )
    def test_a_configuration_that_cannot_be_used(
        self, connect: Connect, ssh_config: WriteConfig, line: str, message: str
    ) -> None:
        """The host is named, and no other host is kept waiting by it."""
        config = ssh_config("Host web1", f"    {line}")
        connections = connect(config)
        connections.open_ahead([Host("web1")])
        said = f"web1: ssh rejects its configuration: {message.replace('CONFIG', str(config))}"
        assert refusal(connections, "web1").startswith(said)
        assert says(connections, "web2")

    def test_no_timeout_of_its_own(self, hosts: Hosts, connect: Connect, ssh_config: WriteConfig) -> None:
        """`none` is a word that OpenSSH takes for ConnectTimeout."""
        assert says(connect(ssh_config("Host web1", "    ConnectTimeout none")), "web1") == hosts.users.admin

    def test_a_closed_port(self, connect: Connect, ssh_config: WriteConfig) -> None:
        """A host that is up and has no SSH there."""
        config = ssh_config("Host closed", "    HostName 127.0.0.1", "    Port 9")
        assert refusal(connect(config), "closed") == "closed: nothing listens at 127.0.0.1 port 9"

    @pytest.mark.parametrize("source", ["setting", "ssh_config", "command line", "both"])
    def test_a_host_that_says_nothing(self, connect: Connect, ssh_config: WriteConfig, source: str) -> None:
        """It is given as much time as the setting, ConnectTimeout or `-t` says, the last before the others."""
        overrides: dict[str, Any] = {"timeouts": {"connect": 1}} if source in ("command line", "both") else {}
        listed = {"ssh_config": ["    ConnectTimeout 1"], "both": ["    ConnectTimeout 60"]}.get(source, [])
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            config = ssh_config("Host silent", "    HostName 127.0.0.1", f"    Port {port}", *listed)
            began = time.monotonic()
            connections = connect(config, timeout=1 if source == "setting" else 60, **overrides)
            assert refusal(connections, "silent") == f"silent: no answer from 127.0.0.1 port {port} within 1 s"
        assert time.monotonic() - began < 5

    def test_a_host_that_speaks_something_else(self, connect: Connect, ssh_config: WriteConfig) -> None:
        """A web server at the SSH port is no SSH server."""
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer() -> None:
                peer, _ = listener.accept()
                with peer:
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200)

            thread = threading.Thread(target=answer)
            thread.start()
            port = listener.getsockname()[1]
            config = ssh_config("Host web", "    HostName 127.0.0.1", f"    Port {port}")
            said = refusal(connect(config, timeout=2), "web")
            assert said == f"web: 127.0.0.1 port {port} is not an SSH server"
            thread.join()

    def test_a_connection_that_is_lost_says_so(self, hosts: Hosts, connect: Connect) -> None:
        """Whatever is started on it afterwards is told that it ended."""
        connections = connect()
        link = connections.link(Host("web6"))
        hosts.cut()
        with pytest.raises((Disconnected, Unreachable), match=r"^web6: the connection ended"):
            run_command(link.reserve(1), "true", where="web6", identity=Identity())

    @pytest.mark.parametrize("host", ["web6", "inner1"])
    def test_a_connection_that_breaks_is_told_by_the_next_write(self, connect: Connect, host: str) -> None:
        """Paramiko raises EOFError where it has not seen the end by itself; to give up says nothing at all."""
        before = {*threads_of_paramiko()}
        connections = connect()
        process = connections.link(Host(host)).reserve(1).start(["sleep", "30"])
        for transport in {*threads_of_paramiko()} - before:
            if isinstance(transport.sock, socket.socket):
                # what comes can still be read: nobody notices before something is sent
                transport.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(Disconnected, match=r"^the connection ended$"):
            process.write(MORE_THAN_FITS)
        assert process.finish() is None
        process.kill()
        connections.close()

    def test_a_process_that_reads_nothing_is_waited_for_within_the_limit(self, connect: Connect) -> None:
        """As one that says nothing is: what is lost is not the connection."""
        process = connect().link(Host("web6")).reserve(1).start(["sleep", "30"])
        process.limit(0.2)
        with pytest.raises(Silence, match=r"^no answer within 0\.2 s$"):
            process.write(MORE_THAN_FITS)
        process.kill()


class TestSessions:
    """Places on a connection; sshd refuses more than ten sessions, and frees them late."""

    def test_more_commands_than_max_sessions_one_after_another(self, connect: Connect) -> None:
        """Sixty sessions in quick succession, eight at once: none is refused for good."""
        link = connect().link(Host("web3"))
        assert link.places == PLACES == 8
        results: list[str] = []

        def work() -> None:
            for _ in range(5):
                with link.reserve(1) as places:
                    results.append(run_command(places, "echo ok", where="web3", identity=Identity()).output)

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == ["ok\n"] * 60

    def test_our_end_is_not_sent_to_one_who_has_ended(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        """Paramiko may send it after its answer to the peer's close, and sshd ends the whole connection over that."""
        process = connect().link(Host("web3")).reserve(1).start(["sh", "-c", "exit 3"])
        assert process.stream.chunk() == b""
        monkeypatch.setattr(paramiko.Channel, "shutdown_write", lambda _channel: pytest.fail("sent"))
        assert process.finish() == 3


@pytest.fixture(autouse=True)
def _quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Paramiko prints nothing of its own, whatever happens."""
    yield
    assert capfd.readouterr().err == ""


def test_the_ssh_configuration_is_looked_through_once_for_each_host(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever asks: for the name that logs in, for our own settings, and by Fabric."""
    asked: list[str] = []
    lookup = SSHConfig.lookup

    def counting(self: SSHConfig, hostname: str) -> SSHConfigDict:
        asked.append(hostname)
        return lookup(self, hostname)

    monkeypatch.setattr(SSHConfig, "lookup", counting)
    connections = connect()
    for name in ("web1", "web2", "web1"):
        connections.link(Host(name))
    assert sorted(asked) == ["web1", "web2"]


@pytest.mark.parametrize("way", ["a port", "a proxy command"])
def test_closing_gives_up_what_is_still_being_opened(hosts: Hosts, connect: Connect, tmp_path: Path, way: str) -> None:
    """Whoever waits for it is told at once, and no thread or program stays; nor is anything opened afterwards."""
    before = set(threading.enumerate())
    with mute(hosts, tmp_path / "mute", "web1") as silent:
        gated = behind_gates(hosts, tmp_path / "gates", "web1")
        links = connect((silent if way == "a port" else gated).config, timeout=60)
        told: list[str] = []
        thread = threading.Thread(target=lambda: told.append(refusal(links, "web1")))
        thread.start()
        deadline = time.monotonic() + 10
        while not set(threads_of_paramiko()) - before and time.monotonic() < deadline:
            time.sleep(0.02)
        began = time.monotonic()
        links.close()
        thread.join(20)
        assert time.monotonic() - began < 5
        assert told
        assert told[0].startswith("web1: ")
        assert refusal(links, "web2").startswith("web2: ")
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(threading.enumerate()) - before == set()
    assert not subprocess.run(["pgrep", "-f", str(tmp_path / "gates" / "web1")], capture_output=True).stdout


@pytest.mark.parametrize("way", ["a port", "a proxy command"])
def test_closing_gives_up_what_is_about_to_be_opened(
    hosts: Hosts, connect: Connect, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Paramiko has anything that could be closed, too."""
    before = set(threading.enumerate())
    about, closed = threading.Event(), threading.Event()
    opening = Connection.open

    def slowly(self: Connection) -> object:
        about.set()
        closed.wait(10)
        return opening(self)

    monkeypatch.setattr(Connection, "open", slowly)
    with mute(hosts, tmp_path / "mute", "web1") as silent:
        gated = behind_gates(hosts, tmp_path / "gates", "web1")
        links = connect((silent if way == "a port" else gated).config, timeout=60)
        told: list[str] = []
        thread = threading.Thread(target=lambda: told.append(refusal(links, "web1")))
        thread.start()
        assert about.wait(10)
        links.close()
        closed.set()
        thread.join(20)
        assert told
        assert told[0].startswith("web1: ")
    assert set(threading.enumerate()) - before == set()
    assert not subprocess.run(["pgrep", "-f", str(tmp_path / "gates" / "web1")], capture_output=True).stdout


def test_connections_do_not_change_the_configuration_that_they_share(
    hosts: Hosts, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invoke empties a configuration while it merges a change, and other threads would find nothing in it."""
    gated = behind_gates(hosts, tmp_path / "gates", "web3")
    (tmp_path / "gates" / "web3").touch()
    connections = connect(gated.config)
    merged: list[object] = []
    monkeypatch.setattr(Config, "merge", lambda self: merged.append(self))
    assert [says(connections, host) for host in ("web1", "inner1", "web3")] == [hosts.users.admin] * 3
    assert merged == []


def threads_of_paramiko() -> list[paramiko.Transport]:
    """The connections that there are, or that are being opened."""
    return [thread for thread in threading.enumerate() if isinstance(thread, paramiko.Transport)]


def test_connections_are_opened_ahead_and_then_taken(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, also where somebody asks for it before it is there; a host that cannot be reached is told later."""
    opened: list[str] = []
    opening = Connection.open

    def counting(self: Connection) -> object:
        opened.append(self.original_host)
        return opening(self)

    monkeypatch.setattr(Connection, "open", counting)
    connections = connect()
    names = ["web1", "web2", "web1"]
    connections.open_ahead([Host(name) for name in [*names, "nowhere.invalid"]])
    links = {name: connections.link(Host(name)) for name in names}
    with pytest.raises(Unreachable, match=r"nowhere\.invalid"):
        connections.link(Host("nowhere.invalid"))
    assert sorted(opened) == ["nowhere.invalid", "web1", "web2"]
    assert links["web1"] is connections.link(Host("web1"))

"""Keys: which there are, in which order they are offered, and what a real server says to that."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket as sockets
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envfab.config.host import Host
from envfab.errors import Unreachable
from envfab.remote.run_command import run_command
from envfab.remote.ssh.connections import Connections
from envfab.remote.ssh.host_config import HostConfig
from envfab.remote.ssh.keys import (
    Encrypted,
    KeyFiles,
    SocketAgent,
    UnusableKey,
    agent_keys,
    load_private,
    offered,
    public_blob,
)
from envfab.remote.startup import Identity
from tests.remote.conftest import Connect
from tests.support.sshd import Hosts

KINDS = {"ed25519": [], "rsa": ["-b", "2048"], "ecdsa": ["-b", "384"]}
Agent = Callable[..., str]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A key of each kind, and a certificate authority."""
    folder = tmp_path_factory.mktemp("keys")
    made = {kind: _make(folder / kind, kind, *options) for kind, options in KINDS.items()}
    made |= {f"other{n}": _make(folder / f"other{n}", "ed25519") for n in range(7)}
    made["ca"] = _make(folder / "ca", "ed25519")
    return made


def _make(path: Path, kind: str, *options: str, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, *options, "-N", passphrase, "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """Starts a real ssh-agent with these keys: its socket."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*files: Path) -> str:
        socket = tmp_path / f"agent{len(started)}"
        started.append(subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL))
        for _ in range(500):
            with contextlib.closing(sockets.socket(sockets.AF_UNIX)) as client:
                # The file is there before the agent listens on it.
                if not client.connect_ex(str(socket)):
                    break
            time.sleep(0.01)
        for file in files:
            subprocess.run(["ssh-add", "-q", str(file)], env={**os.environ, "SSH_AUTH_SOCK": str(socket)}, check=True)
        return str(socket)

    yield start
    for process in started:
        process.terminate()
        process.wait()


def titles(config: HostConfig, socket: str = "", first: tuple[Path, ...] = ()) -> list[str]:
    """The names of what would be offered."""
    client = SocketAgent(socket)
    try:
        return [Path(one.title).name for one in offered(config, first, agent_keys(client), KeyFiles())]
    finally:
        client.close()


class TestFiles:
    """What can be read."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
    def test_every_format_of_ssh_keygen(self, keys: dict[str, Path], tmp_path: Path, kind: str, form: str) -> None:
        """OpenSSH's own, PEM, and PKCS#8, as `openssl genpkey` writes it."""
        file = tmp_path / "key"
        shutil.copy(keys[kind], file)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-m", form, "-N", "", "-f", str(file)], check=True, capture_output=True
        )
        assert load_private(file, None).asbytes() == public_blob(keys[kind])

    @pytest.mark.parametrize("form", ["RFC4716", "PKCS8"])
    def test_an_encrypted_key_wants_its_passphrase(self, keys: dict[str, Path], tmp_path: Path, form: str) -> None:
        """Without it, and with another, it is said to be encrypted."""
        file = tmp_path / "key"
        shutil.copy(keys["rsa"], file)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-m", form, "-N", "open sesame", "-f", str(file)],
            check=True,
            capture_output=True,
        )
        assert load_private(file, "open sesame").asbytes() == public_blob(keys["rsa"])
        with pytest.raises(Encrypted, match="the private key is encrypted"):
            load_private(file, None)
        with pytest.raises(Encrypted, match="wrong passphrase"):
            load_private(file, "open barley")

    def test_a_passphrase_for_other_keys_does_no_harm(self, keys: dict[str, Path]) -> None:
        """A key that is not encrypted opens all the same."""
        assert load_private(keys["ed25519"], "for another").asbytes() == public_blob(keys["ed25519"])

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"hello",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n!!!\n-----END OPENSSH PRIVATE KEY-----\n",
            b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
            b"ssh-ed25519 AAAA\n",
            b"\xff\xfe\0",
        ],
    )
    def test_what_is_no_key_is_passed_over_with_a_word(self, tmp_path: Path, content: bytes) -> None:
        """It is neither a traceback nor the end of the attempt."""
        file = tmp_path / "key"
        file.write_bytes(content)
        assert public_blob(file) is None
        with pytest.raises(UnusableKey, match=r"/key: "):
            load_private(file, None)

    def test_a_key_on_a_token_is_passed_over_with_a_word(self, tmp_path: Path) -> None:
        """Paramiko cannot sign with a FIDO key; its file has the form of any other."""
        file = tmp_path / "id_ed25519_sk"
        file.write_text(fido_key())
        file.chmod(0o600)
        shown = subprocess.run(["ssh-keygen", "-l", "-f", str(file)], capture_output=True, text=True)
        assert "(ED25519-SK)" in shown.stdout
        with pytest.raises(UnusableKey, match=r"id_ed25519_sk: unsupported type of key$"):
            load_private(file, None)

    def test_the_public_half_needs_no_passphrase(self, keys: dict[str, Path], tmp_path: Path) -> None:
        """OpenSSH's format has it in the clear; of others it lies beside."""
        encrypted = _make(tmp_path / "encrypted", "ed25519", passphrase="open sesame")
        beside = public_blob(encrypted.with_suffix(".pub"))
        encrypted.with_suffix(".pub").rename(tmp_path / "away")
        assert public_blob(encrypted) == beside
        shutil.copy(keys["rsa"].with_suffix(".pub"), tmp_path / "pem.pub")
        assert public_blob(tmp_path / "pem") == public_blob(keys["rsa"])


class TestOrder:
    """As OpenSSH's `pubkey_prepare` has it."""

    def test_files_come_in_the_configured_order(self, keys: dict[str, Path]) -> None:
        """The command line's before them; what is not there is left out."""
        files = (keys["rsa"], Path("/nowhere/key"), keys["ed25519"], keys["rsa"])
        config = HostConfig("web1", "web1", identity_files=files)
        assert titles(config, first=(keys["ecdsa"],)) == ["ecdsa", "rsa", "ed25519"]

    def test_the_agent_s_keys_come_first_and_the_configured_ones_of_them_before_the_others(
        self, keys: dict[str, Path], agent: Agent
    ) -> None:
        """A key that both have is offered once, by the agent."""
        socket = agent(keys["other0"], keys["ed25519"], keys["other1"])
        config = HostConfig("web1", "web1", identity_files=(keys["rsa"], keys["ed25519"]))
        assert titles(config, socket) == ["ed25519", "other0 (agent)", "other1 (agent)", "rsa"]

    def test_identities_only_leaves_the_agent_s_others_out(
        self, keys: dict[str, Path], agent: Agent, tmp_path: Path
    ) -> None:
        """A public key names one of the agent's, without its private half on this machine."""
        stub = tmp_path / "stub"
        shutil.copy(keys["ed25519"].with_suffix(".pub"), stub)
        socket = agent(*(keys[f"other{n}"] for n in range(7)), keys["ed25519"])
        assert titles(HostConfig("web1", "web1", identity_files=(stub,), identities_only=True), socket) == ["stub"]
        beside = tmp_path / "half"
        shutil.copy(keys["ed25519"].with_suffix(".pub"), beside.with_suffix(".pub"))
        assert titles(HostConfig("web1", "web1", identity_files=(beside,), identities_only=True), socket) == ["half"]

    def test_an_agent_that_is_not_there_has_no_keys(self, tmp_path: Path) -> None:
        """Neither has a file in its place."""
        file = tmp_path / "file"
        file.touch()
        for path in ("", str(tmp_path / "none"), str(file)):
            assert agent_keys(SocketAgent(path)) == {}


@pytest.fixture
def ssh_config(hosts: Hosts, tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration that says of web1's keys just what it is given."""

    def write(*lines: str) -> Path:
        file = tmp_path / "ssh_config"
        file.write_text(
            f"Host web1\n HostName 127.0.0.1\n Port {hosts.port}\n User {hosts.users.admin}\n"
            f" UserKnownHostsFile {hosts.known_hosts}\n" + "".join(f" {line}\n" for line in lines)
        )
        return file

    return write


def logs_in(connections: Connections) -> bool:
    """Whether web1 lets one in, and runs something."""
    places = connections.link(Host("web1")).reserve(1)
    return run_command(places, "echo yes", where="web1", identity=Identity()).output == "yes\n"


def refusal(connections: Connections) -> str:
    """What is said where it does not."""
    with pytest.raises(Unreachable) as caught:
        connections.link(Host("web1"))
    return str(caught.value)


class TestLogin:
    """At a real server, which gives up after six keys."""

    def test_a_key_that_is_missing_does_not_end_the_attempt(
        self, hosts: Hosts, connect: Connect, ssh_config: Callable[..., Path], tmp_path: Path
    ) -> None:
        """Nor do one that is none, and one that cannot be read as a key."""
        (tmp_path / "none").write_text("nothing")
        config = ssh_config(
            "IdentityFile /nowhere/id",
            f"IdentityFile {tmp_path}/none",
            f"IdentityFile {tmp_path}",
            f"IdentityFile {hosts.key}",
        )
        assert logs_in(connect(config))

    def test_a_key_in_pkcs_8(
        self, hosts: Hosts, connect: Connect, ssh_config: Callable[..., Path], tmp_path: Path
    ) -> None:
        """As openssl writes it."""
        key = tmp_path / "pkcs8"
        shutil.copy(hosts.key, key)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-m", "PKCS8", "-N", "", "-f", str(key)], check=True, capture_output=True
        )
        assert logs_in(connect(ssh_config(f"IdentityFile {key}", "IdentitiesOnly yes")))

    def test_the_one_key_that_is_named_out_of_many_in_the_agent(
        self,
        hosts: Hosts,
        connect: Connect,
        ssh_config: Callable[..., Path],
        keys: dict[str, Path],
        agent: Agent,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """By a public key and IdentitiesOnly; without that the server gives up, and the message says so."""
        stub = tmp_path / "stub.pub"
        shutil.copy(hosts.key.with_suffix(".pub"), stub)
        others = [keys[f"other{n}"] for n in range(7)]
        monkeypatch.setenv("SSH_AUTH_SOCK", agent(*others, hosts.key))
        assert logs_in(connect(ssh_config(f"IdentityFile {stub}", "IdentitiesOnly yes")))
        assert logs_in(connect(ssh_config(f"IdentityFile {stub}")))
        assert refusal(connect(ssh_config())) == (
            f"web1: the server ended the login as {hosts.users.admin} after 6 keys\n"
            "  name the right key in your SSH config: IdentityFile, with IdentitiesOnly yes"
        )

    def test_the_agent_of_the_configuration(
        self,
        hosts: Hosts,
        connect: Connect,
        ssh_config: Callable[..., Path],
        agent: Agent,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """IdentityAgent comes before SSH_AUTH_SOCK; `none` is no agent."""
        socket = agent(hosts.key)
        assert logs_in(connect(ssh_config(f"IdentityAgent {socket}")))
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        assert logs_in(connect(ssh_config()))
        assert "no key or password was accepted" in refusal(connect(ssh_config("IdentityAgent none")))

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_certificate(
        self,
        hosts: Hosts,
        connect: Connect,
        ssh_config: Callable[..., Path],
        keys: dict[str, Path],
        agent: Agent,
        tmp_path: Path,
        kind: str,
    ) -> None:
        """Beside its key, named by CertificateFile, and for a key that only the agent has."""
        admin = hosts.users.admin
        authorized = hosts.users.home(admin) / ".ssh" / "authorized_keys"
        before = authorized.read_text()
        key = tmp_path / kind
        for suffix in ("", ".pub"):
            shutil.copy(f"{keys[kind]}{suffix}", f"{key}{suffix}")
        subprocess.run(["ssh-keygen", "-q", "-s", str(keys["ca"]), "-I", "me", "-n", admin, f"{key}.pub"], check=True)
        certificate = tmp_path / "elsewhere"
        shutil.copy(f"{key}-cert.pub", certificate)
        try:
            authorized.write_text(f"cert-authority {keys['ca'].with_suffix('.pub').read_text()}")
            assert logs_in(connect(ssh_config(f"IdentityFile {key}", "IdentitiesOnly yes")))
            os.remove(f"{key}-cert.pub")
            assert "refused" in refusal(connect(ssh_config(f"IdentityFile {key}", "IdentitiesOnly yes")))
            assert logs_in(connect(ssh_config(f"IdentityFile {key}", f"CertificateFile {certificate}")))
            socket = agent(key)
            key.unlink()
            assert logs_in(connect(ssh_config(f"IdentityAgent {socket}", f"CertificateFile {certificate}")))
        finally:
            authorized.write_text(before)

    def test_what_could_not_be_offered_is_said(self, connect: Connect, ssh_config: Callable[..., Path]) -> None:
        """In the one line that says that nothing was accepted."""
        said = refusal(connect(ssh_config("IdentityFile /nowhere/id", "IdentitiesOnly yes")))
        assert "no key or password was accepted (/nowhere/id does not exist)\n" in said


def fido_key() -> str:
    """A FIDO key's file, as PROTOCOL.key and PROTOCOL.u2f have it; the token that it names does not exist."""

    def string(data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + data

    public = string(b"sk-ssh-ed25519@openssh.com") + string(bytes(32)) + string(b"ssh:")
    private = struct.pack(">II", 7, 7) + public + b"\x01" + string(b"handle") + string(b"") + string(b"comment")
    private += bytes(range(1, 1 + -len(private) % 8))
    content = b"openssh-key-v1\0" + string(b"none") + string(b"none") + string(b"") + struct.pack(">I", 1)
    content += string(public) + string(private)
    text = base64.encodebytes(content).decode()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}-----END OPENSSH PRIVATE KEY-----\n"

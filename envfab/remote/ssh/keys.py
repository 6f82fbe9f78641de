"""Keys to log in with, in the order in which OpenSSH offers them."""

from __future__ import annotations

import base64
import binascii
import io
import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from paramiko.agent import AgentKey, AgentSSH

from envfab.remote.ssh.host_config import HostConfig

OPENSSH_BEGINS = b"-----BEGIN OPENSSH PRIVATE KEY-----"
OPENSSH_ENDS = b"-----END OPENSSH PRIVATE KEY-----"
OPENSSH_MAGIC = b"openssh-key-v1\0"
LARGEST = 1_000_000  # bytes; far more than a key has
AGENT_LIMIT = 10.0  # seconds


class UnusableKey(Exception):
    """Raised for a key file that cannot be used, with the reason."""


class Encrypted(UnusableKey):
    """Raised for an encrypted key file whose passphrase is missing or wrong."""


class SocketAgent(AgentSSH):
    """The SSH agent at a socket; one that cannot be reached has no keys."""

    def __init__(self, path: str) -> None:
        super().__init__()
        if not path:
            return
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(AGENT_LIMIT)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined] # the stubs leave it out
        except (OSError, paramiko.SSHException, struct.error):
            connection.close()
            self._conn = None

    def close(self) -> None:
        """End the connection to the agent."""
        self._close()  # type: ignore[attr-defined] # the stubs leave it out


@dataclass(frozen=True, slots=True)
class KeyIdentity:
    """A key to offer, from the agent or a file, with its certificate if there is one."""

    title: str
    agent_key: AgentKey | None = None
    file: Path | None = None
    certificate: bytes | None = None


@dataclass(slots=True)
class KeyFiles:
    """A cache of key files: each is read once for all hosts. Thread-safe."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _loaded: dict[tuple[Path, str | None], paramiko.PKey | UnusableKey] = field(default_factory=dict)
    _public: dict[Path, bytes | None] = field(default_factory=dict)

    def private(self, file: Path, passphrase: str | None) -> paramiko.PKey:
        """Return the private key in a file; raises `UnusableKey`."""
        with self._lock:
            if (file, passphrase) not in self._loaded:
                try:
                    self._loaded[file, passphrase] = load_private(file, passphrase)
                except UnusableKey as reason:
                    self._loaded[file, passphrase] = reason
            found = self._loaded[file, passphrase]
        if isinstance(found, UnusableKey):
            raise found
        return found

    def exists(self, file: Path) -> bool:
        """Return whether the private key, or at least the public key, exists."""
        return self.public(file) is not None or file.exists()

    def public(self, file: Path) -> bytes | None:
        """Return the public key in wire format, or None if it cannot be read without a passphrase."""
        with self._lock:
            if file not in self._public:
                self._public[file] = public_blob(file)
            return self._public[file]


def offered(
    config: HostConfig, first: Sequence[Path], agent: Mapping[bytes, AgentKey], files: KeyFiles
) -> Iterator[KeyIdentity]:
    """Yield the keys for a host in OpenSSH's order; key files that do not exist are left out.

    The order is: configured certificates, keys of the agent that the configuration names, other keys of the agent
    unless IdentitiesOnly is set, then keys that are only in files. `first` are files that the command line names.
    """
    listed = _unique([*first, *config.identity_files])
    publics = {file: files.public(file) for file in listed}
    by_blob = {blob: file for file, blob in publics.items() if blob is not None}
    certificates = [(file, blob) for file in config.certificate_files if (blob := files.public(file))]
    for file, blob in certificates:
        yield from _certified(file, blob, by_blob, agent)
    chosen = {blob for blob in publics.values() if blob in agent}
    for blob in (blob for blob in agent if blob in chosen):
        yield KeyIdentity(str(by_blob[blob]), agent_key=agent[blob])
    if not config.identities_only:
        for blob, key in agent.items():
            if blob not in chosen:
                yield KeyIdentity(f"{key.comment or key.get_name()} (agent)", agent_key=key)
    for file in listed:
        if publics[file] in chosen:
            continue
        if file.is_file() and not _is_public(file):
            yield KeyIdentity(str(file), file=file)
            beside = file.with_name(f"{file.name}-cert.pub")
            if not certificates and (blob := files.public(beside)):
                yield KeyIdentity(str(beside), file=file, certificate=blob)


def _certified(
    file: Path, certificate: bytes, by_blob: Mapping[bytes, Path], agent: Mapping[bytes, AgentKey]
) -> Iterator[KeyIdentity]:
    """The certificate with its key, from the agent or a file."""
    if certificate in agent:
        yield KeyIdentity(str(file), agent_key=agent[certificate])
        return
    try:
        certified = _certified_blob(certificate)
    except (struct.error, ValueError, IndexError):
        return
    if certified in agent:
        yield KeyIdentity(str(file), agent_key=agent[certified], certificate=certificate)
    elif certified in by_blob:
        yield KeyIdentity(str(file), file=by_blob[certified], certificate=certificate)


def _certified_blob(certificate: bytes) -> bytes:
    """The public key inside a certificate (PROTOCOL.certkeys): its type, a nonce, then the key's own fields."""
    fields = _strings(certificate)
    kind = next(fields).decode("ascii").removesuffix("-cert-v01@openssh.com")
    next(fields)
    count = {"ssh-rsa": 2, "ssh-ed25519": 1}.get(kind, 2)
    parts = [kind.encode(), *(next(fields) for _ in range(count))]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _strings(data: bytes) -> Iterator[bytes]:
    place = 0
    while place + 4 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 4 + size]
        place += 4 + size


def _unique(files: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(files))


def agent_keys(agent: SocketAgent) -> dict[bytes, AgentKey]:
    """Return the agent's keys by public key in wire format, in the agent's order."""
    return {key.blob: key for key in agent.get_keys()}


def agent_socket(config: HostConfig) -> str:
    """Return the socket of the agent for a host; empty if there is none."""
    return os.environ.get("SSH_AUTH_SOCK", "") if config.identity_agent is None else config.identity_agent


def public_blob(file: Path) -> bytes | None:
    """Return the public key, in wire format, from the key file or the `.pub` file beside it; None if there is none."""
    data = _content(file)
    if data is not None:
        with suppress(ValueError, IndexError, struct.error, StopIteration):
            return _blob_of_private(data) if OPENSSH_BEGINS in data else _blob_of_public(data)
    beside = _content(file.with_name(f"{file.name}.pub"))
    if beside is not None:
        with suppress(ValueError, IndexError):
            return _blob_of_public(beside)
    return None


def _content(file: Path) -> bytes | None:
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST)
    except OSError:
        return None


def _blob_of_private(data: bytes) -> bytes:
    text = data.partition(OPENSSH_BEGINS)[2].partition(OPENSSH_ENDS)[0]
    content = base64.b64decode(b"".join(text.split()))
    if not content.startswith(OPENSSH_MAGIC):
        raise ValueError("not an OpenSSH key")
    rest = content[len(OPENSSH_MAGIC) :]
    place = 0
    # the cipher, the key derivation and its options
    for _ in range(3):
        (size,) = struct.unpack_from(">I", rest, place)
        place += 4 + size
    # how many keys there are: always one
    (size,) = struct.unpack_from(">I", rest, place + 4)
    return rest[place + 8 : place + 8 + size]


def _blob_of_public(data: bytes) -> bytes:
    words = data.split(None, 2)
    blob = base64.b64decode(words[1], validate=True)
    if next(_strings(blob), None) != words[0]:
        raise ValueError("not a public key")
    return blob


def _is_public(file: Path) -> bool:
    data = _content(file)
    try:
        return data is not None and bool(_blob_of_public(data))
    except (ValueError, IndexError, binascii.Error):
        return False


def load_private(file: Path, passphrase: str | None) -> paramiko.PKey:
    """Read a private key in any format that OpenSSH or OpenSSL writes.

    Raises `Encrypted` if the passphrase is missing or wrong, `UnusableKey` if the file cannot be used.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnusableKey(f"cannot read {file}: {error.strerror}") from None
    load = serialization.load_ssh_private_key if OPENSSH_BEGINS in data else serialization.load_pem_private_key
    password = passphrase.encode() if passphrase is not None else None
    try:
        try:
            key = load(data, password)
        except TypeError:
            if password is None:
                raise Encrypted(f"{file}: the private key is encrypted") from None
            # the key is not encrypted; the passphrase is for another one
            key = load(data, None)
    except UnsupportedAlgorithm:
        raise UnusableKey(f"{file}: unsupported type of key") from None
    except ValueError:
        if passphrase is not None:
            raise Encrypted(f"{file}: wrong passphrase") from None
        raise UnusableKey(f"{file}: not a private key, or an unsupported format") from None
    classes: Mapping[type, type[paramiko.PKey]] = {
        RSAPrivateKey: paramiko.RSAKey,
        Ed25519PrivateKey: paramiko.Ed25519Key,
        EllipticCurvePrivateKey: paramiko.ECDSAKey,
    }
    kind = next((made for wanted, made in classes.items() if isinstance(key, wanted)), None)
    if kind is None:
        raise UnusableKey(f"{file}: unsupported type of key")
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return kind.from_private_key(io.StringIO(text.decode("ascii")))

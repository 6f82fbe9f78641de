"""SSH keys of every kind, made by ssh-keygen, and by hand those of security keys, which no machine of the tests has."""

from __future__ import annotations

import base64
import functools
import hashlib
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KINDS = ("ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "rsa-3072")


def make_key(folder: Path, name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key; return the path of its private half."""
    kind, _, bits = kind.partition("-")
    options = ["-b", bits] if bits else []
    path = folder / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *options, "-N", passphrase, "-C", name, "-f", str(path)], check=True
    )
    return path


def public(key: Path) -> str:
    """The type and the key, as allowed_signers has them."""
    return " ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2])


def verdict(folder: Path, signers: str, message: bytes, signature: bytes, namespace: str, at: str) -> bool:
    """What ssh-keygen says of a signature at a time (YYYYMMDDHHMM, UTC)."""
    (folder / "signers").write_text(signers)
    body = base64.encodebytes(signature).decode()
    armour = f"-----BEGIN SSH SIGNATURE-----\n{body}-----END SSH SIGNATURE-----\n"
    (folder / "signature").write_text(armour)
    options = ["-f", str(folder / "signers"), "-s", str(folder / "signature"), f"-Overify-time={at}Z"]
    found = subprocess.run(
        ["ssh-keygen", "-Y", "find-principals", *options], capture_output=True, text=True, check=False
    )
    who = found.stdout.splitlines()
    if found.returncode or not who:
        return False
    command = ["ssh-keygen", "-Y", "verify", "-I", who[0], "-n", namespace, *options]
    return subprocess.run(command, input=message, capture_output=True, check=False).returncode == 0


@functools.cache
def security_key() -> tuple[str, ed25519.Ed25519PrivateKey]:
    """A key as a security key would have it: its line for allowed_signers, and its private half."""
    private = ed25519.Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    blob = packed(b"sk-ssh-ed25519@openssh.com") + packed(raw) + packed(b"ssh:")
    return "sk-ssh-ed25519@openssh.com " + base64.b64encode(blob).decode(), private


def touch(message: bytes, namespace: str, flags: int = 1) -> bytes:
    """What that security key signs when it is touched (PROTOCOL.u2f)."""
    line, private = security_key()
    blob = base64.b64decode(line.split()[1])
    parts = (namespace.encode(), b"", b"sha512", hashlib.sha512(message).digest())
    signed = b"SSHSIG" + b"".join(map(packed, parts))
    tail = bytes([flags]) + (7).to_bytes(4, "big")
    proper = private.sign(hashlib.sha256(b"ssh:").digest() + tail + hashlib.sha256(signed).digest())
    signature = packed(b"sk-ssh-ed25519@openssh.com") + packed(proper) + tail
    head = b"SSHSIG" + (1).to_bytes(4, "big") + packed(blob)
    return head + b"".join(map(packed, (namespace.encode(), b"", b"sha512", signature)))


def packed(data: bytes) -> bytes:
    """A string of RFC 4251."""
    return len(data).to_bytes(4, "big") + data

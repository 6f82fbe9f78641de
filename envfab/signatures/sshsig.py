"""Signatures in the format of OpenSSH (PROTOCOL.sshsig), verified without starting a program for each.

Ed25519, ECDSA and RSA keys, and those of security keys (`sk-…`: PROTOCOL.u2f); the library `cryptography` verifies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from envfab.errors import EnvfabError

MAGIC = b"SSHSIG"
VERSION = 1
# OpenSSH makes and accepts no others
HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
CURVES: dict[str, type[hashes.HashAlgorithm]] = {
    "nistp256": hashes.SHA256,
    "nistp384": hashes.SHA384,
    "nistp521": hashes.SHA512,
}
RSA: dict[bytes, type[hashes.HashAlgorithm]] = {b"rsa-sha2-256": hashes.SHA256, b"rsa-sha2-512": hashes.SHA512}
LEAST_RSA = 2048  # bits; OpenSSH's own limit is lower
PRESENT = 0x01  # the flag of a security key that was touched
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


class SignatureError(EnvfabError):
    """Raised if a signature is not valid, or cannot be made; what is wrong is in `what`."""


@dataclass(frozen=True, slots=True)
class SSHSignature:
    """A signature: the signer's public key (as in `.pub` files, decoded), what it is for, and the signature proper."""

    public_key: bytes
    namespace: str
    hash_name: bytes
    signature: bytes

    @classmethod
    def parse(cls, data: bytes) -> SSHSignature:
        """Parse a signature without its armour; raises `SignatureError`."""
        try:
            if data[: len(MAGIC)] != MAGIC or int.from_bytes(data[6:10], "big") != VERSION:
                raise ValueError
            key, namespace, _reserved, hash_name, signature = _strings(data[10:], 5)
            return cls(key, namespace.decode("ascii"), hash_name, signature)
        except ValueError:
            raise SignatureError("the signature is damaged") from None

    @property
    def key_type(self) -> str:
        """The type of the key, such as `ssh-ed25519`; raises `SignatureError`."""
        try:
            return _string(self.public_key)[0].decode("ascii")
        except ValueError:
            raise SignatureError("the signature is damaged") from None

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint, as `ssh-keygen -l` prints it."""
        return fingerprint(self.public_key)

    def verify(self, message: bytes, namespace: str) -> None:
        """Raise `SignatureError` if this is not the key's signature of `message` for that namespace."""
        if self.namespace != namespace:
            raise SignatureError(f"the signature is for {self.namespace!a}, not for {namespace!a}")
        if self.hash_name not in HASHES:
            raise SignatureError("the signature uses a hash that OpenSSH does not accept")
        parts = (namespace.encode(), b"", self.hash_name, HASHES[self.hash_name](message).digest())
        signed = MAGIC + b"".join(map(_packed, parts))
        try:
            self._verify(signed)
        except InvalidSignature:
            raise SignatureError("what was signed is not what is here") from None
        except (ValueError, UnsupportedAlgorithm):
            raise SignatureError("the signature is damaged, or its key is not supported") from None

    def _verify(self, signed: bytes) -> None:
        kind = self.key_type
        algorithm, rest = _string(self.signature)
        if kind.startswith("sk-"):
            signed, kind, rest = self._of_security_key(signed, kind, rest)
            proper, after = _string(rest)
        else:
            proper, after = _string(rest)
        if after:
            raise ValueError("more than a signature")
        line = self.key_type.encode() + b" " + base64.b64encode(self.public_key)
        key = load_ssh_public_key(line)
        if isinstance(key, rsa.RSAPublicKey):
            if key.key_size < LEAST_RSA or algorithm not in RSA:
                raise ValueError("a weak key or hash")
            key.verify(proper, signed, padding.PKCS1v15(), RSA[algorithm]())
            return
        if algorithm != self.key_type.encode():
            raise ValueError("a signature of another kind than its key")
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(proper, signed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            r, s = (int.from_bytes(number, "big") for number in _strings(proper, 2))
            name = next(name for name in CURVES if name in kind)
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(CURVES[name]()))
        else:
            raise ValueError("a key of another kind")

    def _of_security_key(self, signed: bytes, kind: str, rest: bytes) -> tuple[bytes, str, bytes]:
        """What a security key has signed in place of `signed`; it must have been touched."""
        proper, after = _string(rest)
        flags, counter = after[:1], after[1:5]
        if len(after) != 5 or not flags[0] & PRESENT:
            raise ValueError("not touched")
        *_, application = _all_strings(self.public_key)
        digest = hashlib.sha256(application).digest()
        return digest + flags + counter + hashlib.sha256(signed).digest(), kind, _packed(proper)


def fingerprint(public_key: bytes) -> str:
    """Return the fingerprint of a public key, as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public_key).digest()).decode().rstrip("=")


def dearmoured(text: str) -> bytes:
    """Return the signature in the text that `ssh-keygen` wrote; raises `SignatureError`."""
    begin, body, end = text.partition(BEGIN)[::2], "", ""
    body, end, _ = begin[1].partition(END)
    try:
        if not end:
            raise ValueError
        return base64.b64decode("".join(body.split()), validate=True)
    except (ValueError, binascii.Error):
        raise SignatureError("ssh-keygen made no signature that can be read") from None


def _string(data: bytes) -> tuple[bytes, bytes]:
    """(a string of RFC 4251, section 5; what follows it); raises `ValueError`."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size or len(data) < 4:
        raise ValueError("cut off")
    return data[4 : 4 + size], data[4 + size :]


def _strings(data: bytes, number: int) -> list[bytes]:
    """So many strings, and nothing else; raises `ValueError`."""
    found = []
    # no more of them are looked for: a stranger's data may have millions
    for _ in range(number):
        one, data = _string(data)
        found.append(one)
    if data:
        raise ValueError("more than these strings")
    return found


def _all_strings(data: bytes) -> list[bytes]:
    found = []
    while data:
        one, data = _string(data)
        found.append(one)
    return found


def _packed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data

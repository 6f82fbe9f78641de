"""Signing by `ssh-keygen -Y sign` (OpenSSH 8.1 or later): keys in files, in agents, and security keys."""

from __future__ import annotations

import base64
import binascii
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envfab.errors import ConfigurationError
from envfab.signatures.sshsig import SignatureError, dearmoured, fingerprint
from envfab.util.paths import read_file

# seconds for a call where nobody can be asked for a passphrase or a touch, and for each of its signatures besides
LIMIT = 60.0
LIMIT_OF_EACH = 0.1
MOST = 1 << 20  # bytes of a key's file
EXAMPLE = "name a file such as ~/.ssh/id_ed25519.pub"
PRIVATE = b"PRIVATE KEY-----"
TOO_OLD = ("unknown option", "illegal option", "Unsupported operation", "usage: ssh-keygen")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key to sign with: the file of a private key, or of a public one whose private half an agent has.

    With a `terminal`, ssh-keygen can ask there for a passphrase.
    """

    path: Path
    public_key: bytes
    terminal: bool = False

    @classmethod
    def read(cls, path: Path, terminal: bool = False) -> SigningKey:
        """Read a key; raises `ConfigurationError` if it is not one, or its public half is not beside it."""
        public = path
        try:
            if PRIVATE in read_file(path, MOST)[:200]:
                public = path.with_name(f"{path.name}.pub")
            words = read_file(public, MOST).decode("utf-8", "replace").split()
            key = base64.b64decode(words[1], validate=True)
            if key[4 : 4 + int.from_bytes(key[:4], "big")] != words[0].encode():
                raise ValueError
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the signing key: {error.strerror}",
                where=str(public),
                hint=EXAMPLE,
            ) from None
        except (ValueError, IndexError, binascii.Error):
            raise ConfigurationError("is not an SSH key", where=str(public), hint=EXAMPLE) from None
        return cls(path, key, terminal)

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint, as `ssh-keygen -l` prints it."""
        return fingerprint(self.public_key)

    def sign(self, messages: Sequence[bytes], namespace: str) -> list[bytes]:
        """Return the signature of each message, without armour; raises `SignatureError`."""
        try:
            with tempfile.TemporaryDirectory(prefix="envfab-sign-") as folder:
                return self._sign_in(Path(folder), messages, namespace)
        except OSError as error:
            raise SignatureError(
                f"what is to be signed cannot be written: {error.strerror}",
                where=tempfile.tempdir or "TMPDIR",
                hint="free some space there, or let TMPDIR name another folder",
            ) from None

    def _sign_in(self, folder: Path, messages: Sequence[bytes], namespace: str) -> list[bytes]:
        files = [folder / str(number) for number in range(len(messages))]
        for file, message in zip(files, messages, strict=True):
            file.write_bytes(message)
        command = ["ssh-keygen", "-Y", "sign", "-f", str(self.path), "-n", namespace, *map(str, files)]
        self._run(command, LIMIT + len(files) * LIMIT_OF_EACH)
        try:
            return [dearmoured(Path(f"{file}.sig").read_text(encoding="ascii")) for file in files]
        except (OSError, UnicodeDecodeError):
            raise SignatureError("ssh-keygen made no signature", where=str(self.path)) from None

    def _run(self, command: Sequence[str], limit: float) -> None:
        environment = dict(os.environ, LC_ALL="C")
        if not self.terminal:
            environment["SSH_ASKPASS_REQUIRE"] = "never"
        try:
            done = subprocess.run(
                command,
                stdin=None if self.terminal else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                encoding="utf-8",
                errors="replace",
                timeout=None if self.terminal else limit,
                # without a terminal of its own it cannot ask at ours
                start_new_session=not self.terminal,
                check=False,
            )
        except FileNotFoundError:
            raise SignatureError("ssh-keygen is not installed", hint="install OpenSSH 8.1 or later") from None
        except OSError as error:
            raise SignatureError(f"ssh-keygen cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            hint = "does it wait for a touch, or an agent for an answer? sign at a terminal"
            raise SignatureError(f"ssh-keygen did not end in {limit:.0f} s", where=str(self.path), hint=hint) from None
        if done.returncode:
            raise self._failed(done.stderr)

    def _failed(self, said: str) -> SignatureError:
        where = str(self.path)
        if any(word in said for word in TOO_OLD):
            return SignatureError("this ssh-keygen cannot sign", where=where, hint="install OpenSSH 8.1 or later")
        if "passphrase" in said:
            hint = f"load the key into an agent: ssh-add {str(self.path).removesuffix('.pub')}"
            return SignatureError("the signing key needs a passphrase", where=where, hint=hint)
        if "No private key found" in said:
            hint = f"load it into an agent: ssh-add {str(self.path).removesuffix('.pub')}"
            return SignatureError("no agent has the private half of this signing key", where=where, hint=hint)
        lines = [line for line in said.splitlines() if line.strip() and not line.startswith(("Signing ", "Write "))]
        return SignatureError(f"ssh-keygen cannot sign: {lines[-1] if lines else 'no reason was given'}", where=where)

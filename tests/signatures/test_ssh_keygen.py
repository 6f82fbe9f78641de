"""Keys to sign with: one clear message where one cannot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from envfab.errors import ConfigurationError
from envfab.signatures.ssh_keygen import SigningKey
from envfab.signatures.sshsig import SignatureError
from tests.support.ssh_keys import make_key


def test_the_public_half_will_do_where_an_agent_has_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an agent the message says how to load it."""
    key = make_key(tmp_path, "key")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        subprocess.run(["ssh-add", "-q", str(key)], env={**os.environ, "SSH_AUTH_SOCK": str(socket)}, check=True)
        key.unlink()
        found = SigningKey.read(tmp_path / "key.pub")
        with pytest.raises(SignatureError) as caught:
            found.sign([b"x"], "n")
        assert str(caught.value) == (
            f"{key}.pub: no agent has the private half of this signing key\n  load it into an agent: ssh-add {key}"
        )
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        assert len(found.sign([b"x"], "n")) == 1
    finally:
        agent.terminate()
        agent.wait()


def test_a_passphrase_is_not_asked_for_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at once, and says what to do."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = make_key(tmp_path, "key", passphrase="a secret")
    with pytest.raises(SignatureError) as caught:
        SigningKey.read(key).sign([b"x"], "n")
    assert (
        str(caught.value) == f"{key}: the signing key needs a passphrase\n  load the key into an agent: ssh-add {key}"
    )


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (None, "ssh-keygen is not installed\n  install OpenSSH 8.1 or later"),
        ("echo 'unknown option -- Y' >&2; exit 1", "this ssh-keygen cannot sign\n  install OpenSSH 8.1 or later"),
        ("echo 'Signing file x'; echo 'device not found' >&2; exit 1", "ssh-keygen cannot sign: device not found"),
        ("exit 3", "ssh-keygen cannot sign: no reason was given"),
        ("exit 0", "ssh-keygen made no signature"),
        ("for file; do :; done; echo nonsense > $file.sig", "ssh-keygen made no signature that can be read"),
    ],
)
def test_an_ssh_keygen_that_cannot_sign_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, message: str
) -> None:
    """One that is missing, too old, or fails."""
    key = SigningKey.read(make_key(tmp_path, "key"))
    (tmp_path / "bin").mkdir()
    if program is not None:
        (tmp_path / "bin/ssh-keygen").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "bin/ssh-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(SignatureError) as caught:
        key.sign([b"x"], "n")
    assert str(caught.value).removeprefix(f"{key.path}: ") == message


@pytest.mark.parametrize("content", ["", "nonsense", "ssh-ed25519 AAAA", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA=="])
def test_what_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    """By name, with an example."""
    (tmp_path / "key.pub").write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        SigningKey.read(tmp_path / "key.pub")
    assert (
        str(caught.value) == f"{tmp_path / 'key.pub'}: is not an SSH key\n  name a file such as ~/.ssh/id_ed25519.pub"
    )
    with pytest.raises(ConfigurationError, match="cannot read the signing key: No such file or directory"):
        SigningKey.read(tmp_path / "nothing")


def test_a_folder_for_temporary_files_must_take_what_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be gone, or full."""
    key = SigningKey.read(make_key(tmp_path, "key"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(SignatureError) as caught:
        key.sign([b"x"], "n")
    assert str(caught.value) == (
        f"{tmp_path / 'gone'}: what is to be signed cannot be written: No such file or directory\n"
        "  free some space there, or let TMPDIR name another folder"
    )


def test_a_program_that_does_not_end_is_told_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the names of all files that it was to sign."""
    key = SigningKey.read(make_key(tmp_path, "key"))
    (tmp_path / "ssh-keygen").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "ssh-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("envfab.signatures.ssh_keygen.LIMIT", 0.1)
    with pytest.raises(
        SignatureError, match=r"^.*key: ssh-keygen did not end in 1 s\n  does it wait for a touch"
    ) as caught:
        key.sign([b"x"] * 5, "n")
    assert len(str(caught.value)) < 300


def test_a_key_in_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """As a shell's <(…) would be one."""
    os.mkfifo(tmp_path / "key")
    with pytest.raises(ConfigurationError, match="cannot read the signing key: it is not a regular file"):
        SigningKey.read(tmp_path / "key")

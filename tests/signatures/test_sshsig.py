"""Signatures of SSH keys, held against ssh-keygen's own verdicts."""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from envfab.errors import ConfigurationError
from envfab.signatures.allowed_signers import AllowedSigners
from envfab.signatures.ssh_keygen import SigningKey
from envfab.signatures.sshsig import SignatureError, SSHSignature
from tests.support.ssh_keys import KINDS, make_key, public, security_key, touch, verdict

NAMESPACE = "release-log@envfab"
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=timezone.utc)
MESSAGE = b"release: Django==5.2.1"


def ours(signers: str, message: bytes, signature: bytes, namespace: str = NAMESPACE) -> bool:
    """Our verdict on a signature."""
    try:
        found = AllowedSigners(Path("signers"), signers)
        found.check(SSHSignature.parse(signature), message, namespace, NOW)
    except SignatureError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_of_every_kind_of_key_counts_and_no_other_does(tmp_path: Path, kind: str) -> None:
    """As ssh-keygen says: not for another message, namespace or key, nor with any byte changed."""
    key, other = make_key(tmp_path, "key", kind), make_key(tmp_path, "other")
    (signature,) = SigningKey.read(key).sign([MESSAGE], NAMESPACE)
    signers = f"me@here {public(key)}\n"
    assert ours(signers, MESSAGE, signature)
    assert verdict(tmp_path, signers, MESSAGE, signature, NAMESPACE, "202611271200")
    assert not ours(signers, MESSAGE + b".", signature)
    assert not ours(signers, MESSAGE, signature, "file")
    assert not ours(f"me@here {public(other)}\n", MESSAGE, signature)
    chance = random.Random(kind)
    for place in chance.sample(range(len(signature)), 40):
        damaged = bytearray(signature)
        damaged[place] ^= 1 << chance.randrange(8)
        assert not ours(signers, MESSAGE, bytes(damaged)), place
    for size in chance.sample(range(len(signature)), 10):
        assert not ours(signers, MESSAGE, signature[:size])


def test_a_security_key_counts_if_it_was_touched(tmp_path: Path) -> None:
    """`sk-` keys sign other bytes, and say whether somebody was there."""
    line, _ = security_key()
    signers = f"me@here {line}\n"
    assert ours(signers, MESSAGE, touch(MESSAGE, NAMESPACE))
    assert verdict(tmp_path, signers, MESSAGE, touch(MESSAGE, NAMESPACE), NAMESPACE, "202611271200")
    assert not ours(signers, MESSAGE, touch(MESSAGE, NAMESPACE, flags=0))
    assert not ours(signers, b"another", touch(MESSAGE, NAMESPACE))


@pytest.mark.parametrize(
    "line",
    [
        "me {key}",
        'me namespaces="release-log@envfab" {key}',
        'me namespaces="git,release-log@*" {key}',
        'me namespaces="git" {key}',
        'me namespaces="*@envfab",valid-after="20260101Z" {key}',
        'me valid-after="20261127110000Z" {key}',
        'me valid-after="202611271300Z" {key}',
        'me valid-before="20261127Z" {key}',
        'me valid-before="20271127Z" {key} a comment',
        'me valid-after="20250101Z",valid-before="20260101Z" {key}\nme {key}',
        'me valid-after="20250101Z",valid-before="20260101Z" {key}\nyou valid-before="20260601Z" {key}',
        "me cert-authority {key}",
        '# {key}\n\n"me, and you" {key}',
        "  me {key}",
        "me\t{key}",
        "me@here,you@there {key}",
        'me NAMESPACES="git" {key}',
    ],
)
def test_a_line_allows_what_it_allows_ssh_keygen(tmp_path: Path, line: str) -> None:
    """By namespaces and times; a key that is there twice counts where one line allows it."""
    key = make_key(tmp_path, "key")
    (signature,) = SigningKey.read(key).sign([MESSAGE], NAMESPACE)
    signers = line.format(key=public(key)) + "\n"
    assert ours(signers, MESSAGE, signature) == verdict(
        tmp_path, signers, MESSAGE, signature, NAMESPACE, "202611271200"
    )


def test_many_messages_are_signed_by_one_call(tmp_path: Path) -> None:
    """In order, and each for itself."""
    key = make_key(tmp_path, "key")
    messages = [b"a", b"", "ä\udce4".encode("utf-8", "surrogateescape")]
    signatures = SigningKey.read(key).sign(messages, NAMESPACE)
    signers = f"me {public(key)}"
    assert [[ours(signers, one, other) for other in signatures] for one in messages] == [
        [True, False, False], [False, True, False], [False, False, True],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "namespaces",
    [
        f"*,!{NAMESPACE}",
        f"!{NAMESPACE},*",
        f"!{NAMESPACE}",
        "*,!git*",
        "release-log@envfa[b]",
        "release-log@envfa?",
        f"git,{NAMESPACE}",
        "",
    ],
)
def test_a_key_may_sign_for_the_namespaces_that_openssh_takes_its_line_to_name(tmp_path: Path, namespaces: str) -> None:
    """One with `!` excludes, wherever it stands; a line that names none is refused as a whole."""
    key = make_key(tmp_path, "key")
    (signature,) = SigningKey.read(key).sign([MESSAGE], NAMESPACE)
    signers = f'me@here namespaces="{namespaces}" {public(key)}\n'
    theirs = verdict(tmp_path, signers, MESSAGE, signature, NAMESPACE, "202611271200")
    if namespaces:
        assert ours(signers, MESSAGE, signature) == theirs
    else:
        assert not theirs
        with pytest.raises(ConfigurationError, match="the option namespaces names none"):
            ours(signers, MESSAGE, signature)


def test_a_long_signature_is_refused_at_once() -> None:
    """Ten megabytes of empty strings, in the release log of a stranger, take no minutes to refuse."""
    began = time.process_time()
    with pytest.raises(SignatureError, match="the signature is damaged"):
        SSHSignature.parse(b"SSHSIG\0\0\0\1" + bytes(10_000_000))
    assert time.process_time() - began < 2

"""Files of allowed signers that OpenSSH would refuse as well."""

from __future__ import annotations

import base64
import os
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from envfab.errors import ConfigurationError
from envfab.signatures.allowed_signers import MOST, AllowedSigners

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFrcWyGlTFqTSAu7qYVIvLkmzwG31IuJNPlF2249Twod"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("me", "a line must have principals and a key"),
        (f'"me {KEY}', "a quotation mark is not closed"),
        ("me ssh-ed25519", "'' is not a key of the type 'ssh-ed25519'"),
        ("me ssh-ed25519 !!!", "'!!!' is not a key of the type 'ssh-ed25519'"),
        (f"me ssh-rsa {KEY.split()[1]}", f"{KEY.split()[1][:40]!r} is not a key of the type 'ssh-rsa'"),
        (f"me nonsense {KEY}", f"an option or a key is expected at {('nonsense ' + KEY)[:40]!r}"),
        (f'me valid-after="2026" {KEY}', "valid-after must be YYYYMMDD or YYYYMMDDHHMM[SS], with a Z for UTC, not '2026'"),
        (f'me valid-before="20261341" {KEY}',
         "valid-before must be YYYYMMDD or YYYYMMDDHHMM[SS], with a Z for UTC, not '20261341'"),
        (f'me namespaces="a",namespaces="b" {KEY}', "the option namespaces is given twice, or wrongly"),
        (f"me namespaces {KEY}", "the option namespaces is given twice, or wrongly"),
        (f'me namespaces="" {KEY}', "the option namespaces names none, so that the key may sign nothing"),
        (f'me namespaces=" , " {KEY}', "the option namespaces names none, so that the key may sign nothing"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_understood_is_named(line: str, message: str) -> None:
    """With the file and its number; nothing in the file counts then."""
    with pytest.raises(ConfigurationError) as caught:
        AllowedSigners(Path("allowed"), f"# who may sign\nyou {KEY}\n{line}\n")
    assert str(caught.value) == f"allowed:3: {message}\n  see ALLOWED SIGNERS in the manual page of ssh-keygen"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder, nothing, a pipe that nobody writes to, something huge."""
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        (".", "Is a directory"),
        ("no", "No such file or directory"),
        ("pipe", "it is not a regular file"),
    ):
        with pytest.raises(ConfigurationError, match=f"cannot read the allowed signers: {message}"):
            AllowedSigners.read(tmp_path / name)
    (tmp_path / "huge").write_bytes(b"#" * (MOST + 1))
    with pytest.raises(ConfigurationError, match="must not be larger than 1 MiB"):
        AllowedSigners.read(tmp_path / "huge")


ONE, TWO = (KEY.split()[1], KEY.split()[1][:-4] + "AAAA")


@pytest.mark.parametrize(
    ("names", "others", "same"),
    [
        ("anna@e.org", "anna@e.org", True),
        ("anna@e.org", "Anna@E.org", True),
        ("anna@e.org,root@e.org", "admin@e.org, ROOT@e.org", True),
        ('"anna@e.org, root"', "root", True),
        ("*@e.org", "anna@e.org", True),
        ("anna?", "anna2", True),
        ("*@e.org", "anna@*", True),
        ("\ufeffanna@e.org", "anna@e.org", True),
        ("anna@e.org", "ben@e.org", False),
        ("*@e.org", "ben@f.org", False),
        ("!anna@e.org,ben@e.org", "anna@e.org", False),
        ("[ab]nna", "anna", False),
    ],
)
def test_two_keys_of_one_person_are_known_by_their_names(names: str, others: str, same: bool) -> None:
    """Whatever their case, in lists, as patterns, and behind a byte order mark."""
    quoted = others if " " not in others else f'"{others}"'
    allowed = AllowedSigners(Path("allowed"), f"{names} ssh-ed25519 {ONE}\n{quoted} ssh-ed25519 {TWO}\n")
    keys = [base64.b64decode(one) for one in (ONE, TWO)]
    assert [allowed.may_be_one_person(*keys), allowed.may_be_one_person(*keys[::-1])] == [same, same]
    assert allowed.may_be_one_person(keys[0], keys[0])
    assert not allowed.may_be_one_person(keys[0], b"an unknown key")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
@pytest.mark.parametrize("last", ["99991231", "99991231235959", "99991231235959Z"])
def test_a_key_may_be_valid_to_the_end_of_the_calendar(zone: str, last: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSH takes that as well, in whatever zone the machine is."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        allowed = AllowedSigners(Path("allowed"), f'me valid-before="{last}" {KEY}\n')
    time.tzset()
    key = base64.b64decode(ONE)
    assert allowed.refusal(key, "anything", datetime(9999, 12, 30, tzinfo=timezone.utc)) is None
    assert "was valid until" in str(allowed.refusal(key, "anything", datetime.max.replace(tzinfo=timezone.utc)))

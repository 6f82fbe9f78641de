"""Files of allowed signers that OpenSSH would refuse as well."""

from __future__ import annotations

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
    """A folder, nothing, something huge."""
    for name, message in ((".", "Is a directory"), ("no", "No such file or directory")):
        with pytest.raises(ConfigurationError, match=f"cannot read the allowed signers: {message}"):
            AllowedSigners.read(tmp_path / name)
    (tmp_path / "huge").write_bytes(b"#" * (MOST + 1))
    with pytest.raises(ConfigurationError, match="must not be larger than 1 MiB"):
        AllowedSigners.read(tmp_path / "huge")

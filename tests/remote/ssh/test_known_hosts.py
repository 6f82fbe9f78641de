"""known_hosts as OpenSSH reads it, and what is said about a key that it does not vouch for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.errors import HostKeyError
from envfab.remote.ssh.known_hosts import (
    KnownKey,
    check,
    fingerprint,
    known_keys,
    lookup_name,
    matches,
    preferred,
    remember,
)

BLOB, OTHER = b"\0\0\0\x0bssh-ed25519 one", b"\0\0\0\x0bssh-ed25519 two"
KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


def line(hosts: str, blob: bytes = BLOB, kind: str = "ssh-ed25519", mark: str = "") -> str:
    """A line of known_hosts."""
    return f"{mark} {hosts} {kind} {base64.b64encode(blob).decode()} a comment\n".lstrip()


def hashed(name: str, salt: bytes = b"0123456789abcdefghij") -> str:
    """A host's name as `HashKnownHosts yes` writes it."""
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def known(tmp_path: Path, text: str, name: str) -> list[KnownKey]:
    """What a known_hosts with this text has for a host."""
    file = tmp_path / "known_hosts"
    file.write_text(text)
    return known_keys(name, [file, tmp_path / "there is no such file"])


@pytest.mark.parametrize(
    ("patterns", "name", "expected"),
    [
        ("web1", "web1", True),
        ("web1", "web11", False),
        ("web1,10.0.0.1", "10.0.0.1", True),
        ("WEB1", "web1", True),
        ("*.example.org", "www.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org,!bad.example.org", "bad.example.org", False),
        ("!bad.example.org,*.example.org", "good.example.org", True),
        ("web?", "web1", True),
        ("web?", "web12", False),
        ("[web1]:2222", "[web1]:2222", True),
        ("[web1]:2222", "web1", False),
        ("[web*]:2222", "[web7]:2222", True),
        ("*", "anything", True),
        ("web[12]", "web1", False),
        (hashed("web1"), "web1", True),
        (hashed("web1"), "web2", False),
        (hashed("[web1]:2222"), "[web1]:2222", True),
        ("|1|", "web1", False),
        ("|1|short", "web1", False),
        ("|1|a|b", "web1", False),
        ("|1|ü|ü", "web1", False),
    ],
)
def test_the_first_field_of_a_line_says_for_whom_it_is(patterns: str, name: str, expected: bool) -> None:
    """Names, lists, globs, negation, ports and hashes mean what sshd(8) says."""
    assert matches(patterns, name) is expected


@given(st.text(max_size=40), st.text(max_size=20))
def test_no_first_field_is_too_odd_to_be_read(patterns: str, name: str) -> None:
    """A line that nobody can read matches nothing, and breaks nothing."""
    assert matches(patterns, name) in (True, False)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_we_find_what_ssh_keygen_finds(tmp_path: Path) -> None:
    """Of plain and hashed lines we see the same ones as `ssh-keygen -F`."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    names = ["web1", "*.example.org,!bad.example.org", "[web2]:2222", "10.0.0.1,db"]
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{name} {public}\n" for name in names))
    for hash_them in (False, True):
        if hash_them:
            subprocess.run(["ssh-keygen", "-H", "-f", str(file)], check=True, capture_output=True)
        for name in ("web1", "web2", "[web2]:2222", "www.example.org", "bad.example.org", "10.0.0.1", "db", "other"):
            theirs = subprocess.run(["ssh-keygen", "-F", name, "-f", str(file)], capture_output=True, check=False)
            assert bool(known_keys(name, [file])) == (theirs.returncode == 0), name


def test_a_name_has_its_port_unless_that_is_22() -> None:
    """An alias stands for itself; other ports are part of the name."""
    assert lookup_name("Web1", 22, None) == "web1"
    assert lookup_name("web1", 2222, None) == "[web1]:2222"
    assert lookup_name("10.0.0.1", 2222, "Shop") == "shop"


def test_every_line_of_a_host_counts(tmp_path: Path) -> None:
    """A host may have several keys, in several lines, among comments, empty and broken ones."""
    text = (
        f"# web1 comment\n\n{line('web1')}web1\nweb1 ssh-rsa !!!\n{line('db', OTHER)}{line('web1', OTHER, 'ssh-rsa')}"
    )
    found = known(tmp_path, text, "web1")
    assert [(key.kind, key.blob, key.origin.rpartition("/")[2]) for key in found] == [
        ("ssh-ed25519", BLOB, "known_hosts:3"),
        ("ssh-rsa", OTHER, "known_hosts:7"),
    ]


def test_authorities_are_no_host_keys_and_revoked_ones_are_marked(tmp_path: Path) -> None:
    """`@cert-authority` lines are passed over; `@revoked` ones do not spoil the rest of the file."""
    text = line("*", OTHER, mark="@cert-authority") + line("web1", OTHER, mark="@revoked") + line("web1")
    assert [(key.blob, key.revoked) for key in known(tmp_path, text, "web1")] == [(OTHER, True), (BLOB, False)]


@pytest.mark.parametrize("rule", ["strict", "accept-new", "off"])
def test_a_known_key_is_trusted_and_not_written_again(tmp_path: Path, rule: str) -> None:
    """What is recorded is trusted under every rule."""
    assert check(rule, "web1", "ssh-ed25519", BLOB, known(tmp_path, line("web1"), "web1"), "web1") is False


def test_an_unknown_key_is_refused_with_what_to_run() -> None:
    """Who was never seen before is not trusted; the message says how to record the key."""
    with pytest.raises(HostKeyError) as caught:
        check("strict", "[10.0.0.1]:2222", "ssh-ed25519", BLOB, [], "shop1")
    assert str(caught.value) == (
        f"shop1: its host key is not known (ssh-ed25519 {fingerprint(BLOB)})\n"
        "  check and record it once with: ssh shop1"
    )


def test_an_unknown_key_is_new_or_no_matter_where_that_was_wanted() -> None:
    """`accept-new` wants it written down, `off` wants nothing."""
    assert check("accept-new", "web1", "ssh-ed25519", BLOB, [], "web1") is True
    assert check("off", "web1", "ssh-ed25519", BLOB, [], "web1") is False


@pytest.mark.parametrize("rule", ["strict", "accept-new"])
def test_a_changed_key_is_refused_with_file_and_line(tmp_path: Path, rule: str) -> None:
    """Another key than the recorded one is never trusted as new."""
    recorded = known(tmp_path, line("[10.0.0.1]:2222"), "[10.0.0.1]:2222")
    with pytest.raises(HostKeyError) as caught:
        check(rule, "[10.0.0.1]:2222", "ssh-ed25519", OTHER, recorded, "shop1")
    assert str(caught.value) == (
        f"shop1: its host key has changed: it offers ssh-ed25519 {fingerprint(OTHER)}, "
        f"but {tmp_path}/known_hosts:1 has another key\n"
        "  if the new key is right, remove the old one (ssh-keygen -R '[10.0.0.1]:2222') and run: ssh shop1"
    )
    assert check("off", "[10.0.0.1]:2222", "ssh-ed25519", OTHER, recorded, "shop1") is False


@pytest.mark.parametrize("rule", ["strict", "accept-new", "off"])
def test_a_revoked_key_is_refused_under_every_rule(tmp_path: Path, rule: str) -> None:
    """A key that somebody revoked is not trusted, even where it is recorded as well."""
    recorded = known(tmp_path, line("web1") + line("*", mark="@revoked"), "web1")
    with pytest.raises(HostKeyError, match=r"^web1: its host key SHA256:\S+ is revoked \(.*known_hosts:2\)\n"):
        check(rule, "web1", "ssh-ed25519", BLOB, recorded, "web1")


def test_a_fingerprint_looks_as_ssh_prints_it(tmp_path: Path) -> None:
    """The user compares it with what `ssh-keygen -l` says."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    said = subprocess.run(["ssh-keygen", "-l", "-f", str(key)], capture_output=True, text=True, check=True).stdout
    assert fingerprint(base64.b64decode(key.with_suffix(".pub").read_text().split()[1])) == said.split()[1]


def test_recorded_types_are_asked_for_first(tmp_path: Path) -> None:
    """The server must offer a key that can be checked; one RSA key serves three algorithms."""
    ecdsa = known(tmp_path, line("web1", kind="ecdsa-sha2-nistp256"), "web1")
    assert preferred(KINDS, ecdsa)[0] == "ecdsa-sha2-nistp256"
    rsa = known(tmp_path, line("web1", kind="ssh-rsa"), "web1")
    assert preferred(KINDS, rsa) == [*KINDS[2:], *KINDS[:2]]
    revoked = known(tmp_path, line("web1", kind="ssh-rsa", mark="@revoked"), "web1")
    assert preferred(KINDS, revoked) == list(KINDS)


def test_a_new_key_is_appended_once(tmp_path: Path) -> None:
    """Writing it down keeps what is there, mends a missing line end, makes the folder, and repeats nothing."""
    file = tmp_path / "new" / "known_hosts"
    remember(file, "web1", "ssh-ed25519", BLOB, "web1")
    file.write_text(file.read_text().rstrip("\n"))
    remember(file, "web2", "ssh-ed25519", OTHER, "web2")
    remember(file, "web1", "ssh-ed25519", BLOB, "web1")
    assert [text.split()[0] for text in file.read_text().splitlines()] == ["web1", "web2"]
    assert [key.blob for key in known_keys("web2", [file])] == [OTHER]
    assert file.parent.stat().st_mode & 0o077 == 0


def test_threads_that_learn_of_hosts_at_once_write_whole_lines(tmp_path: Path) -> None:
    """Each line is written in one piece."""
    file = tmp_path / "known_hosts"
    threads = [
        threading.Thread(target=remember, args=(file, f"web{number}", "ssh-ed25519", BLOB, f"web{number}"))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(known_keys(f"web{number}", [file])) == 1 for number in range(20))
    assert len(file.read_bytes().splitlines()) == 20


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where the new key cannot be recorded the host is refused, with the file and the reason."""
    (tmp_path / "file").touch()
    with pytest.raises(HostKeyError, match=r"^web1: cannot record its new host key in .*/file/known_hosts: "):
        remember(tmp_path / "file" / "known_hosts", "web1", "ssh-ed25519", BLOB, "web1")


@pytest.mark.parametrize("style", ["plain", "hashed"])
def test_thousands_of_other_hosts_cost_next_to_nothing(tmp_path: Path, style: str) -> None:
    """4,000 lines are read in less than 50 ms of CPU time."""
    names = [f"host{number}.example.org" for number in range(4000)]
    file = tmp_path / "known_hosts"
    file.write_text("".join(line(hashed(name) if style == "hashed" else name) for name in names))
    began = time.process_time()
    assert len(known_keys("host3999.example.org", [file])) == 1
    assert time.process_time() - began < 0.05

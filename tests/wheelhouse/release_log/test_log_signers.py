"""A release log in which each release and yank is signed: what somebody without a key can do to it is refused."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from envfab.collector.config import WheelhouseFolders
from envfab.collector.jobs.latest_versions import WheelhouseNews
from envfab.config.target import Target
from envfab.errors import ConfigurationError, EnvfabError, WheelhouseError
from envfab.signatures.allowed_signers import AllowedSigners
from envfab.signatures.ssh_keygen import SigningKey
from envfab.signatures.sshsig import SSHSignature
from envfab.wheelhouse.release_log import log_signers as source
from envfab.wheelhouse.release_log import sign_again
from envfab.wheelhouse.release_log.log_signers import LogSigners
from envfab.wheelhouse.release_log.signed_lines import parse_signed, record_of
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.ssh_keys import make_key, public
from tests.support.wheels import make_wheel


class Team:
    """A wheelhouse, and people with keys, of whom some may sign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signers = ""
        self.keys: dict[str, Path] = {}

    def join(self, name: str, options: str = "", allowed: bool = True) -> None:
        """Give somebody a key."""
        self.keys[name] = make_key(self.folder, name)
        if allowed:
            self.signers += f"{name} {options} {public(self.keys[name])}\n"

    def log_signers(self, name: str = "anna") -> LogSigners:
        """The rule, as it holds for that person."""
        return LogSigners(AllowedSigners(Path("allowed"), self.signers), lambda: SigningKey.read(self.keys[name]))

    def house(self, name: str = "anna", place: str = "house") -> Wheelhouse:
        """The wheelhouse, as that person uses it."""
        folder = self.folder / place
        return Wheelhouse(
            folder / "wheels", folder / "release_log", cache=self.folder / "cache", signers=self.log_signers(name)
        )

    def wheel(self, name: str, version: str) -> Path:
        """A wheel to add."""
        return make_wheel(self.folder / "made", name, version)

    @property
    def log(self) -> Path:
        """The release log."""
        return self.folder / "house" / "release_log"

    @property
    def lines(self) -> list[str]:
        """Its lines."""
        return self.log.read_text().splitlines()

    def write(self, lines: list[str]) -> None:
        """Write the log, as an editor does."""
        self.log.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """Anna and Ben released three wheels, and withdrew one; eve may not sign."""
    team = Team(tmp_path_factory.mktemp("team"))
    team.join("anna")
    team.join("ben", 'namespaces="release-log@envfab"')
    team.join("eve", allowed=False)
    for name, who in (("shop", "anna"), ("cart", "ben"), ("mail", "anna")):
        team.house(who).add(team.wheel(name, "1.0"))
    team.house("ben").yank("cart==1.0", "loses data")
    return team


@pytest.fixture
def team(made: Team) -> Team:
    """The same, with its log as it was."""
    team = Team(made.folder)
    team.keys, team.signers = dict(made.keys), made.signers
    if not (made.folder / "original").exists():
        (made.folder / "original").write_bytes(made.log.read_bytes())
    made.log.write_bytes((made.folder / "original").read_bytes())
    return team


def refused(team: Team) -> str:
    """Why the log is refused; whoever asks for what is in it gets this."""
    with pytest.raises(WheelhouseError) as caught:
        team.house().list()
    assert str(caught.value).startswith(f"{team.log}: the release log is not signed as it must be\n    line ")
    assert str(caught.value).endswith("\n  if you know what these lines say to be right: fab sign_wheels")
    return str(caught.value)


def test_what_allowed_signers_signed_is_read(team: Team) -> None:
    """Each line has a signature over all that it says, and names the one before it."""
    listed = {one.wheel.name: one.yanked_reason for one in team.house().list()}
    assert listed == {"shop": None, "cart": "loses data", "mail": None}
    signed = [parse_signed(line) for line in team.lines]
    assert all(one is not None for one in signed)
    digests = [one.digest for one in signed if one]
    assert [one.follows for one in signed if one] == [(), *((digest,) for digest in digests[:-1])]
    assert " size=" in team.lines[0]


def test_a_line_without_end_is_shown_in_part(team: Team) -> None:
    """A log may have lines of megabytes; the message is one for people all the same."""
    team.write([*team.lines, f"release: shop==2.0 shop-2.0-py3-none-any.whl at 2026-11-27 {'x' * 5_000_000}"])
    assert len(refused(team)) < 1000


def without_signature(line: str) -> str:
    """The line as an envfab without signers writes it."""
    return record_of(line)


def later(line: str) -> str:
    """The same release at another time."""
    return re.sub(r" at 20\d\d-", " at 2031-", line, count=1)


EDITS: dict[str, Callable[[list[str]], list[str]]] = {
    "a changed hash": lambda lines: [lines[0].replace("sha256=", "sha256=0", 1)[: len(lines[0])], *lines[1:]],
    "a changed version": lambda lines: [lines[0].replace("shop==1.0", "shop==1.1"), *lines[1:]],
    "a changed name": lambda lines: [lines[0].replace("shop==", "cart=="), *lines[1:]],
    "a changed file": lambda lines: [lines[0].replace("shop-1.0-", "shop-1.0-1-"), *lines[1:]],
    "a changed size": lambda lines: [re.sub(r" size=\d+", " size=1", lines[0]), *lines[1:]],
    "a changed time": lambda lines: [later(lines[0]), *lines[1:]],
    "a changed time of signing": lambda lines: [
        re.sub(r" signed=\S+", " signed=2026-01-01T00:00:00+00:00", lines[0]),
        *lines[1:],
    ],
    "a changed reason": lambda lines: [*lines[:3], lines[3].replace("loses", "keeps")],
    "a yank taken off": lambda lines: [*lines[:1], *lines[2:]],
    "the first line left out": lambda lines: lines[1:],
    "a line in the middle left out": lambda lines: [*lines[:2], lines[3]],
    "two lines in another order": lambda lines: [lines[1], lines[0], *lines[2:]],
    "a signature taken off": lambda lines: [without_signature(lines[0]), *lines[1:]],
    "all signatures taken off": lambda lines: [without_signature(line) for line in lines],
    "a signature of another line": lambda lines: [
        lines[0].rpartition(" sig=")[0] + " sig=" + lines[2].rpartition(" sig=")[2],
        *lines[1:],
    ],
    "an unsigned release": lambda lines: [
        *lines,
        without_signature(lines[0]).replace("==1.0", "==9.9").replace("-1.0-", "-9.9-"),
    ],
    "an unsigned yank": lambda lines: [*lines, without_signature(lines[3]).replace("cart", "mail")],
    "a record after the signature": lambda lines: [lines[0] + " sha256=" + "0" * 64, *lines[1:]],
    "two signatures": lambda lines: [lines[0] + " sig=" + lines[0].rpartition(" sig=")[2], *lines[1:]],
    "an empty signature": lambda lines: [lines[0].rpartition(" sig=")[0] + " sig=", *lines[1:]],
    "a signature that is none": lambda lines: [lines[0].rpartition(" sig=")[0] + " sig=AAAA", *lines[1:]],
    "a prev that is none": lambda lines: [*lines[:1], re.sub(r" prev=[0-9a-f]+", " prev=", lines[1]), *lines[2:]],
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_without_a_key_is_refused(team: Team, edit: str) -> None:
    """Whatever was changed, left out or added; reading, adding and withdrawing say the same."""
    before = team.lines
    team.write(EDITS[edit](before))
    assert team.lines != before
    refused(team)
    with pytest.raises(WheelhouseError, match="not signed as it must be"):
        team.house().add(team.wheel("late", "1.0"))
    with pytest.raises(WheelhouseError, match="not signed as it must be"):
        team.house().yank("shop==1.0", "why not")
    assert not (team.folder / "house" / "wheels" / "late-1.0-py3-none-any.whl").exists()


def test_no_byte_of_a_line_can_be_changed(team: Team) -> None:
    """Wherever it stands; only what is no longer a release or yank is a damaged line, which plans do not use."""
    chance = random.Random(11)
    line = team.lines[0]
    for place in chance.sample(range(len("release: "), len(line)), 60):
        other = chance.choice([letter for letter in "abcxyz0189=+/ " if letter != line[place]])
        team.write([line[:place] + other + line[place + 1 :], *team.lines[1:]])
        refused(team)
        team.write([line, *team.lines[1:]])


def test_a_key_that_is_not_allowed_signs_nothing(team: Team) -> None:
    """It is told before anything is copied, and a line that it signed all the same is refused by name."""
    with pytest.raises(ConfigurationError) as caught:
        team.house("eve").add(team.wheel("evil", "1.0"))
    assert "may not sign: SHA256:" in str(caught.value)
    assert "is not in this file" in str(caught.value)
    assert not (team.folder / "house" / "wheels" / "evil-1.0-py3-none-any.whl").exists()
    allowed, team.signers = team.signers, team.signers + f"eve {public(team.keys['eve'])}\n"
    team.house("eve").add(team.wheel("evil", "1.0"))
    team.signers = allowed
    assert "line 5: signed by an unknown key, SHA256:" in refused(team)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ('valid-before="20200101Z"', "whose key was valid until 2020-01-01 00:00 UTC"),
        ('valid-after="20990101Z"', "whose key is valid from 2099-01-01 00:00 UTC on"),
        ('namespaces="git"', "whose key is not for release-log@envfab"),
        ("cert-authority", "whose key is for certificates, which envfab does not support"),
    ],
)
def test_a_signer_who_may_no_longer_sign_is_named(team: Team, options: str, why: str) -> None:
    """By time or by namespace: at the time at which the line was signed."""
    team.signers = team.signers.replace("anna ", f"anna {options} ")
    assert f"line 1: signed by anna, {why}: 'release: shop==1.0" in refused(team)


def test_a_signature_from_the_future_is_refused(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clocks of two machines may be five minutes apart."""
    real = source.present  # type: ignore[attr-defined]
    monkeypatch.setattr(source, "present", lambda: real() - timedelta(minutes=4))
    team.house().list()
    monkeypatch.setattr(source, "present", lambda: real() - timedelta(minutes=20))
    assert "which is still to come: compare the clocks" in refused(team)


def test_two_branches_can_be_merged(team: Team) -> None:
    """Git's union merge has the lines of both, some perhaps twice; the next line follows both."""
    base = team.lines
    team.house("anna").add(team.wheel("left", "1.0"))
    left = team.lines[len(base) :]
    team.write(base)
    team.house("ben").add(team.wheel("right", "1.0"))
    right = team.lines[len(base) :]
    team.write([*base, *left, *right, *left])
    assert {one.wheel.name for one in team.house().list()} >= {"left", "right"}
    team.house().yank("left==1.0", "no use")
    last = parse_signed(team.lines[-1])
    assert last is not None
    assert len(last.follows) == 2
    team.house().list()
    team.write([*base, *left, team.lines[-1]])
    refused(team)


def test_older_lines_are_signed_after_they_were_shown(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of others that follow them are signed anew; dates stay, and what is withdrawn stays so."""
    # in the second in which it was signed first, a line would become what it was
    monkeypatch.setattr(sign_again, "present", lambda: source.present() + timedelta(minutes=1))  # type: ignore[attr-defined]
    before = {one.wheel.filename: (one.added, one.yanked_reason) for one in team.house().list()}
    team.write([without_signature(team.lines[0]).partition(" size=")[0], *team.lines[1:]])
    refused(team)
    house = team.house()
    resigning = house.to_sign_again(team.log_signers())
    assert [one.number for one in resigning.found] == [1, 2, 3, 4]
    assert resigning.found[0].why == "it is not signed"
    assert resigning.found[1].why == "a line that it follows is missing, stands after it, or is signed anew"
    house.sign_again(resigning)
    after = {one.wheel.filename: (one.added, one.yanked_reason) for one in team.house().list()}
    assert after == before
    assert " size=" in team.lines[0]
    assert team.house().to_sign_again(team.log_signers()).found == []


def test_a_wheel_that_is_not_what_its_line_says_is_not_signed(team: Team) -> None:
    """Neither with another content or size, nor without a SHA-256; nothing is written."""
    lines = [without_signature(team.lines[0]), *team.lines[1:]]
    for edit in (
        lambda line: re.sub("size=.*", "size=17", line),
        lambda line: line.replace("sha256=", "sha256=f", 1)[:-8],
    ):
        team.write([edit(lines[0]), *lines[1:]])
        with pytest.raises(EnvfabError):
            team.house().to_sign_again(team.log_signers())
    team.write([lines[0].partition(" sha256=")[0], *lines[1:]])
    with pytest.raises(
        WheelhouseError, match="was logged without a SHA-256, so that signing its line would say nothing"
    ):
        team.house().to_sign_again(team.log_signers())


def test_a_log_that_changed_meanwhile_is_left_alone(team: Team) -> None:
    """What was shown is what is signed."""
    team.write([without_signature(line) for line in team.lines])
    house = team.house()
    resigning = house.to_sign_again(team.log_signers())
    team.write([*team.lines, "install: web1:/srv/v: shop-1.0-py3-none-any.whl at 2026-11-27T00:00:00+00:00"])
    before = team.log.read_bytes()
    with pytest.raises(WheelhouseError, match="the release log changed meanwhile; nothing was signed"):
        house.sign_again(resigning)
    assert team.log.read_bytes() == before


def test_a_log_that_need_not_be_signed_is_read_by_all(team: Team) -> None:
    """Signatures are passed over where the fleet has no signers; reasons and hashes are what they were."""
    folder = team.folder / "house"
    plain = Wheelhouse(folder / "wheels", folder / "release_log", cache=team.folder / "cache")
    signed = {one.wheel.filename: (one.wheel.sha256, one.yanked_reason) for one in team.house().list()}
    assert {one.wheel.filename: (one.wheel.sha256, one.yanked_reason) for one in plain.list()} == signed
    assert plain.problems() == ()


def test_a_thousand_lines_are_checked_in_a_second(team: Team) -> None:
    """A fifth of one, usually; and signing many takes one call of ssh-keygen."""
    import time

    records = [
        f"release: p{number}==1.0 p{number}-1.0-py3-none-any.whl at 2026-11-20T12:00:00+00:00 sha256={number:064x} size=9"
        for number in range(1000)
    ]
    lines = team.log_signers().signed(records, [])
    began = time.process_time()
    team.log_signers().check(lines, "log")
    assert time.process_time() - began < 1


def test_what_was_found_valid_is_not_verified_again(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the next run, by the same signers: others verify all of it, as does whoever has another or a damaged cache."""
    verified: list[object] = []
    real = SSHSignature.verify

    def counting(signature: SSHSignature, message: bytes, namespace: str) -> None:
        verified.append(message)
        real(signature, message, namespace)

    monkeypatch.setattr(SSHSignature, "verify", counting)

    def check(lines: list[str], signers: str = team.signers) -> int:
        """Check lines as a new run does; return how many signatures were verified."""
        verified.clear()
        rule = LogSigners(AllowedSigners(Path("allowed"), signers), lambda: pytest.fail("no key"), cache=tmp_path)
        rule.check(lines, "log")
        return len(verified)

    assert [check(team.lines), check(team.lines)] == [4, 0]
    assert check(team.lines[:-1]) == 0
    assert check(team.lines) == 1
    changed = [line.replace("1.0", "9.9") if number == 1 else line for number, line in enumerate(team.lines)]
    with pytest.raises(WheelhouseError, match="what was signed is not what is here"):
        check(changed)
    assert check(team.lines, f"# a comment\n{team.signers}") == 4
    (kept, _other) = (tmp_path / "signatures").iterdir()
    for damage in (b"", b"[]", b'{"format": 2, "lines": []}', b'{"format": 1, "lines": [1, null]}', b"\xff" * 99):
        for file in (tmp_path / "signatures").iterdir():
            file.write_bytes(damage)
        assert check(team.lines) == 4
    assert kept.stat().st_size < 1000


@pytest.mark.parametrize("cut", [1, 2, 30, 300, 480])
def test_a_last_line_that_was_cut_off_does_not_have_the_log_refused(team: Team, cut: int) -> None:
    """As a power loss leaves it: wherever it ends, what is added next is read, and the line counts if it is whole."""
    team.log.write_bytes(team.log.read_bytes()[:-cut])
    assert {one.wheel.name: one.yanked_reason for one in team.house().list()}[canonicalize_name("cart")] is None
    team.house().log_error(Target("shop", "web1", "/srv/v"), "no matter")
    listed = {one.wheel.name: one.yanked_reason for one in team.house().list()}
    assert listed[canonicalize_name("cart")] == ("loses data" if cut == 1 else None)
    team.house().add(team.wheel("late", "1.0"))
    assert "late" in {one.wheel.name for one in team.house().list()}


def test_a_repair_ends_no_line_that_is_not_signed(team: Team) -> None:
    """A release without a line end is not read; with one it would have the whole log refused."""
    team.log.write_bytes(team.log.read_bytes() + without_signature(team.lines[0]).replace("1.0", "2.0").encode())
    assert team.house().end_torn_line() is None
    assert len(team.house().problems()) == 1
    team.house().list()


def test_a_collector_tells_nothing_of_a_log_that_is_not_signed(team: Team) -> None:
    """It opens the wheelhouse with the fleet's signers, and takes who may sign from the file as it is."""
    signers = team.folder / "allowed"
    signers.write_text(team.signers)
    folders = WheelhouseFolders(team.folder / "house" / "wheels", team.log, signers)
    news = WheelhouseNews(folders)
    news.refresh()
    assert str(news.newest("shop", None)) == "1.0"
    signers.write_text("# none")
    news.refresh()
    assert news.newest("shop", None) is None
    with pytest.raises(WheelhouseError, match="not signed as it must be"):
        news.files(canonicalize_name("shop"))

"""Signatures of releases as a host checks them with its own ssh-keygen, before it unpacks a wheel."""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import releases, wheel_cache
from envfab.agent.protocol import Agent, Problem
from envfab.errors import AgentError
from envfab.signatures.ssh_keygen import SigningKey
from envfab.wheelhouse.release_log.signed_lines import NAMESPACE
from tests.agent.conftest import KIND, Starter, fields, store
from tests.support.ssh_keys import make_key, public
from tests.support.wheels import make_wheel, sha256

AT = "2026-11-27T12:00:00+00:00"
DIGEST = "a" * 64
FILENAME = "shop-1.0-py3-none-any.whl"
TEXT = f"release: shop==1.0 {FILENAME} at {AT} sha256={DIGEST} size=9 signed={AT} prev="


class Keys:
    """Two keys, the first of which may sign."""

    def __init__(self, folder: Path) -> None:
        self.key, self.stranger = (SigningKey.read(make_key(folder, name)) for name in ("key", "stranger"))
        self.public = public(folder / "key")
        self.allowed = f'anna@e.org,a@e.org namespaces="{NAMESPACE}" {self.public}\n'

    def release(
        self, text: str = TEXT, *, namespace: str = NAMESPACE, key: SigningKey | None = None, signer: str = "a@e.org"
    ) -> dict[str, Any]:
        """A release as it is sent to an agent, with a signature of its text."""
        (signature,) = (key or self.key).sign([text.encode()], namespace)
        return {
            "sha256": DIGEST,
            "filename": FILENAME,
            "text": base64.b64encode(text.encode()).decode(),
            "signature": base64.b64encode(signature).decode(),
            "signer": signer,
        }


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Keys, one of which may sign releases."""
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """An agent on a host with a home of its own and no signers of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(releases, "OWN_SIGNERS", str(tmp_path / "etc" / "allowed_signers"))
    monkeypatch.setattr(releases, "ROOT", os.getuid())
    made = Agent.__new__(Agent)
    made.released = None
    return made


def check(agent: Agent, keys: Keys, *wanted: dict[str, Any], keep: bool = False, signers: str = "") -> dict[str, Any]:
    """What the agent says of releases."""
    request = {"path": "/nowhere", "signers": signers or keys.allowed, "releases": wanted, "keep": keep}
    answer: dict[str, Any] = releases.check_releases(agent, request, None)  # type: ignore[no-untyped-call]
    return answer


def test_the_agent_of_every_version_checks(workbench: Path, deploying: Starter, keys: Keys, tmp_path: Path) -> None:
    """What is signed is unpacked; what is not, or was not asked about, is refused by `fill` as well."""
    session = deploying(workbench)
    wheel, other = (make_wheel(tmp_path, name, "1.0") for name in ("shop", "other"))
    text = TEXT.replace(DIGEST, sha256(wheel))
    release = keys.release(text) | {"sha256": sha256(wheel)}
    answer = session.ask("check_releases", signers=keys.allowed, releases=[release], keep=True)
    assert answer == {"refused": [], "unable": None, "own": None}
    store(session, wheel, other)
    with pytest.raises(AgentError, match=r"the release of other-1\.0-py3-none-any\.whl was not found to be signed"):
        session.ask("fill", wheels=[fields(other)], **KIND)
    assert session.ask("fill", wheels=[fields(wheel)], **KIND) == {"lacking": []}


FAULTS: dict[str, tuple[Callable[[Keys], dict[str, Any]], str]] = {
    "another key": (lambda keys: keys.release(key=keys.stranger), "signed with a key that is not among these signers"),
    "another namespace": (lambda keys: keys.release(namespace="file"), "namespace"),
    "another wheel": (lambda keys: keys.release() | {"sha256": "b" * 64}, "what is signed is not this wheel"),
    "another file name": (lambda keys: keys.release() | {"filename": "x.whl"}, "what is signed is not this wheel"),
    "a yank": (lambda keys: keys.release(TEXT.replace("release:", "yank:")), "what is signed is not this wheel"),
    "no time": (lambda keys: keys.release(TEXT.replace(f"signed={AT}", "signed=soon")), ""),
    "another text": (
        lambda keys: keys.release() | {"text": base64.b64encode(TEXT.replace("size=9", "size=8").encode()).decode()},
        "incorrect signature",
    ),
    "half a signature": (lambda keys: keys.release() | {"signature": keys.release()["signature"][:40]}, ""),
    "an empty signature": (lambda keys: keys.release() | {"signature": ""}, ""),
    "a signature with the end of its armour": (
        lambda keys: keys.release() | {"signature": "AAAA\n-----END SSH SIGNATURE-----\n"},
        "",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_signed_as_it_must_be_is_refused(agent: Agent, keys: Keys, fault: str) -> None:
    """With the reason, which ssh-keygen gives, and without the paths of files that are gone."""
    make, why = FAULTS[fault]
    answer = check(agent, keys, make(keys), keep=True)
    ((_sha256, said),) = answer["refused"]
    assert why in said
    assert "envfab-" not in said
    assert agent.released == set()
    assert not os.path.exists(os.path.join(os.environ["HOME"], ".cache", "envfab", "releases", DIGEST))


def test_a_key_counts_if_it_was_valid_when_it_signed(agent: Agent, keys: Keys) -> None:
    """Whatever the zones of host and signer; not before it was valid, nor afterwards."""
    for before, refused in (("20261127120001Z", False), ("20261127115959Z", True)):
        signers = f'anna valid-before="{before}" {keys.public}\n'
        for text in (TEXT, TEXT.replace(f"signed={AT}", "signed=2026-11-27T13:00:00.25+01:00")):
            agent.released = None
            assert bool(check(agent, keys, keys.release(text), signers=signers)["refused"]) is refused


@pytest.mark.parametrize("zone", ["Z", "+00:00", "+05:30", "-03:00"])
def test_times_are_read_in_every_zone(zone: str) -> None:
    """As the managing machine reads them."""
    text = f"2026-03-01T00:10:20{zone}"
    meant = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
    assert releases.when(text) == f"{meant:%Y%m%d%H%M%S}"  # type: ignore[no-untyped-call]


def test_what_was_found_signed_is_not_checked_again(agent: Agent, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same signers; with others it is. Nothing is written without `keep`."""
    release = keys.release()
    check(agent, keys, release)
    assert not os.path.exists(os.path.join(os.environ["HOME"], ".cache"))
    check(agent, keys, release, keep=True)
    agent.released = None
    ran: list[object] = []
    real = releases.Checking._run

    def counting(self: releases.Checking, *arguments: Any) -> Any:
        ran.append(arguments)
        return real(self, *arguments)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(releases.Checking, "_run", counting)
    assert check(agent, keys, release)["refused"] == []
    assert ran == []
    agent.released = None
    assert check(agent, keys, release, signers=f"# changed\n{keys.allowed}")["refused"] == []
    assert ran


def test_notes_that_are_not_used_go(agent: Agent, keys: Keys) -> None:
    """After ninety days."""
    check(agent, keys, keys.release(), keep=True)
    notes = Path(os.environ["HOME"], ".cache", "envfab", "releases")
    old = notes / ("c" * 64)
    shutil.copy(notes / DIGEST, old)
    os.utime(old, (0, time.time() - releases.FORGOTTEN - 60))
    check(agent, keys, keys.release(), keep=True)
    assert [file.name for file in notes.iterdir()] == [DIGEST]


def test_the_hosts_own_signers_count(agent: Agent, keys: Keys) -> None:
    """Not those that are sent; and without any signature nothing is unpacked there."""
    own = Path(releases.OWN_SIGNERS)  # type: ignore[attr-defined]
    own.parent.mkdir(mode=0o755)
    own.write_text(f"boss {public(keys.stranger.path)}\n")
    own.chmod(0o644)
    with pytest.raises(Problem, match="installs only releases that its own signers signed"):
        releases.require_released(agent, [{"sha256": DIGEST, "filename": FILENAME}])  # type: ignore[no-untyped-call]
    answer = check(agent, keys, keys.release())
    assert (len(answer["refused"]), answer["own"]) == (1, str(own))
    assert check(agent, keys, keys.release(key=keys.stranger))["refused"] == []
    for place in (own, own.parent):
        mode = place.stat().st_mode
        place.chmod(mode | 0o020)
        with pytest.raises(Problem, match=f"{place} must belong to root, and only root may write to it"):
            check(agent, keys, keys.release())
        place.chmod(mode)


def test_a_file_of_its_own_that_cannot_be_read_is_never_passed_over(agent: Agent, keys: Keys) -> None:
    """Something huge, a pipe, a link that leads nowhere; a folder without the file is nobody's concern."""
    own = Path(releases.OWN_SIGNERS)  # type: ignore[attr-defined]
    own.parent.mkdir()
    own.parent.chmod(0o775)
    assert check(agent, keys, keys.release())["own"] is None
    own.parent.chmod(0o755)
    own.write_bytes(b"#" * (releases.MOST + 1))
    own.chmod(0o644)
    with pytest.raises(Problem, match="not larger than 1 MiB"):
        check(agent, keys, keys.release())
    own.unlink()
    os.mkfifo(own, 0o644)
    with pytest.raises(Problem, match="must be a file that can be read"):
        check(agent, keys, keys.release())
    own.unlink()
    own.symlink_to("nowhere")
    with pytest.raises(Problem, match="No such file or directory"):
        check(agent, keys, keys.release())


def test_a_host_that_cannot_check_says_why(
    agent: Agent, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ssh-keygen, and with one of before 8.1; nothing then counts as checked."""
    folder, release = tmp_path / "bin", keys.release()
    folder.mkdir()
    real = releases.base_environment  # type: ignore[attr-defined]
    monkeypatch.setattr(
        releases,
        "base_environment",
        lambda path: dict(real(path), PATH=f"/nowhere/bin:{folder}"),  # type: ignore[no-untyped-call]
    )
    monkeypatch.setenv("PATH", str(folder))
    assert check(agent, keys, release)["unable"] == "it has no ssh-keygen"
    old = folder / "ssh-keygen"
    old.write_text("#!/bin/sh\necho 'unknown option -- Y' >&2\nexit 1\n")
    old.chmod(0o755)
    assert check(agent, keys, release)["unable"] == "its ssh-keygen is older than OpenSSH 8.1"
    assert agent.released is None


def test_reading_a_note_makes_no_folder(agent: Agent, keys: Keys) -> None:
    """A plan changes nothing on the host."""
    check(agent, keys, keys.release())
    assert os.listdir(os.environ["HOME"]) == []
    assert wheel_cache.existing("/nowhere").startswith(os.environ["HOME"])  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("signer", ["", "b@e.org", "a@e.org", "*"])
def test_whoever_is_said_to_be_the_signer_the_file_decides(agent: Agent, keys: Keys, signer: str) -> None:
    """A wrong name costs time, and no name makes a stranger's signature count."""
    assert check(agent, keys, keys.release(signer=signer))["refused"] == []
    agent.released = None
    assert check(agent, keys, keys.release(signer=signer, key=keys.stranger))["refused"]

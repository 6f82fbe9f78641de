"""Signed releases by the real program: adding, withdrawing, planning, and signing what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.support.ssh_keys import make_key, public
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, sha256

FABFILE = """
from envfab import *
GONE = Host('localhost', virtualenvs=[Virtualenv('/gone')])
ns = collection(Fleet(signers="allowed", {more}))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a fabfile that wants signatures, and a key that may sign."""
    key = make_key(tmp_path, "key")
    (tmp_path / "allowed").write_text(f"me {public(key)}\n")
    (tmp_path / "fabfile.py").write_text(FABFILE.format(more="signing_key='key.pub'"))
    make_wheel(tmp_path, "shop", "1.0")
    return tmp_path


def test_what_is_added_is_signed_and_what_is_not_signed_is_refused(place: Path) -> None:
    """Every task that reads the log says so, with the line; after sign_wheels they go on."""
    done = run_fab(place, "add_wheel", "shop-1.0-py3-none-any.whl")
    assert done.returncode == 0
    assert re.search(r"^signed   with SHA256:\S+ \(\S+/key\.pub\)$", done.stdout, re.MULTILINE)
    assert "signed" not in run_fab(place, "add_wheel", "shop-1.0-py3-none-any.whl").stdout
    done = run_fab(place, "wheels")
    assert (done.returncode, done.stdout.splitlines()[0].endswith(" · log signed")) == (0, True)
    log = place / "release_log"
    log.write_text(log.read_text().partition(" signed=")[0] + "\n")
    more = "signing_key='key.pub', registration=DependencyTrack('https://127.0.0.1:1', 'x'), hosts=[GONE]"
    (place / "fabfile.py").write_text(FABFILE.format(more=more))
    for task in (
        ["wheels"],
        ["plan"],
        ["verify_wheels"],
        ["publish_index:out"],
        ["lock:x.in"],
        ["sbom"],
        ["register"],
        ["add_wheel", "shop-1.0-py3-none-any.whl"],
    ):
        (place / "x.in").write_text("shop\n")
        done = run_fab(place, *task)
        assert done.returncode == 1, task
        assert (
            "the release log is not signed as it must be\n    line 1: it is not signed: 'release: shop==1.0"
            in done.stdout + done.stderr
        )
    done = run_fab(place, "sign_wheels")
    assert (done.returncode, "not a terminal, so sign_wheels cannot ask" in done.stderr) == (1, True)
    done = run_fab(place, "sign_wheels", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("line 1: release: shop==1.0 shop-1.0-py3-none-any.whl at ")
    assert "signed 1 line with SHA256:" in done.stdout
    assert run_fab(place, "sign_wheels").stdout == "every release and yank is signed by an allowed signer\n"
    assert "signed   with SHA256:" in run_fab(place, "yank_wheel", "shop==1.0", "--reason", "no use").stdout
    assert "yanked: no use" in run_fab(place, "wheels").stdout


def test_without_a_key_nothing_is_added(place: Path) -> None:
    """The message says how to name one; the variable names one for one person, or for CI."""
    (place / "fabfile.py").write_text(FABFILE.format(more=""))
    make_wheel(place, "shop", "1.1")
    done = run_fab(place, "add_wheel", "shop-1.0-py3-none-any.whl", "shop-1.1-py3-none-any.whl")
    assert (done.returncode, done.stdout) == (1, "")
    # once, however many files there are
    assert done.stderr.count("the release log must be signed, and there is no key to sign with") == 1
    assert "set ENVFAB_SIGNING_KEY=~/.ssh/id_ed25519.pub, or Fleet(signing_key=…)" in done.stderr
    assert not (place / "wheels").exists()
    done = run_fab(place, "add_wheel", "shop-1.0-py3-none-any.whl", env={"ENVFAB_SIGNING_KEY": str(place / "key")})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_fleet_without_signers_signs_nothing(tmp_path: Path) -> None:
    """The message says what makes it sign."""
    (tmp_path / "fabfile.py").write_text("from envfab import Fleet, collection\nns = collection(Fleet())\n")
    done = run_fab(tmp_path, "sign_wheels")
    assert (done.returncode, done.stderr) == (
        1,
        "envfab: the fleet has no signers, so that nothing need be signed\n  say Fleet(signers='allowed_signers')\n",
    )


def test_the_host_checks_what_is_deployed(place: Path, make_virtualenv: VirtualenvMaker) -> None:
    """When it is planned, and again before it is unpacked; what was found signed is noted for the next virtualenv."""
    venv = make_virtualenv("3.11", place / "venv")
    site = f"hosts=[Host('localhost', virtualenvs=[Virtualenv({str(venv)!r}, packages=['shop'])])]"
    more = f"signing_key='key.pub', require_host_verification=True, {site}"
    (place / "fabfile.py").write_text(FABFILE.format(more=more))
    assert run_fab(place, "add_wheel", "shop-1.0-py3-none-any.whl").returncode == 0
    done = run_fab(place, "deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    notes = list((place / ".home").rglob("releases/*"))
    assert [note.name for note in notes] == [sha256(place / "shop-1.0-py3-none-any.whl")]

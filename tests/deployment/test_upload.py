"""Files of the wheelhouse that go away or change while a deployment is under way."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from envfab.deployment.composition import spoken
from envfab.deployment.upload import CHUNK, exactly
from envfab.models.wheel import Wheel
from envfab.planning.plan import Action, ActionKind
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
@pytest.mark.parametrize("there", [0, 1, CHUNK, 5 * CHUNK])
def test_as_many_bytes_go_out_as_were_announced(size: int, there: int) -> None:
    """A file that was cut short or has grown since does not leave the other side waiting: its SHA-256 tells."""
    sent = b"".join(exactly(io.BytesIO(b"x" * there), size))
    assert sent == (b"x" * there)[:size] + bytes(max(0, size - there))


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ("i", "installing P0"),
        ("ri", "installing P1, removing P0"),
        ("iuid", "installing 4 packages"),
        ("rr", "removing 2 packages"),
        ("uurrr", "installing 2 packages, removing 3 packages"),
    ],
)
def test_what_is_done_is_said_in_a_few_words(kinds: str, words: str) -> None:
    """One that is alone by its name, several by their number; a rollback may only remove."""
    wheel = Wheel.from_filename("p-1.0-py3-none-any.whl")
    named = {"i": ActionKind.INSTALL, "u": ActionKind.UPGRADE, "d": ActionKind.DOWNGRADE, "r": ActionKind.REMOVE}
    actions = [
        Action(named[letter], canonicalize_name(f"P{at}"), f"P{at}", None, None if letter == "r" else wheel, "")
        for at, letter in enumerate(kinds)
    ]
    assert spoken(actions) == words


@pytest.fixture
def venv(local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path) -> Path:
    """A virtualenv on this machine that is to get shop 1.0."""
    path = make_virtualenv("3.11", tmp_path / "v")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'], before='BEFORE')])")
    local.add_made("shop", "1.0")
    local.add_made("basket", "1.0")
    return path


def before(local: Workplace, command: str) -> None:
    """Let the deployment run `command` before it installs anything."""
    fabfile = local.folder / "fabfile.py"
    fabfile.write_text(fabfile.read_text().replace("'BEFORE'", repr(command)))


def test_a_wheel_that_is_gone_by_now_is_one_clear_message(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path, venv: Path
) -> None:
    """The first virtualenv's deployment removes the second one's wheel: nothing is changed there."""
    other = make_virtualenv("3.11", tmp_path / "other")
    wheel = local.folder / "wheels" / "basket-1.0-py3-none-any.whl"
    local.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(venv)!r}, packages=['shop'], before='rm {wheel}'),"
        f" Virtualenv({str(other)!r}, packages=['basket'])])"
    )
    done = local.fab("deploy", "--batch", "1", "--yes")
    assert done.returncode == 1
    assert f"cannot read {wheel}: No such file or directory" in done.stdout
    assert "fab verify_wheels tells more" in done.stdout
    assert "1 deployed, 1 failed" in done.stdout
    assert freeze(other) == {}


def test_a_release_log_that_cannot_be_written_is_a_warning(local: Workplace, venv: Path) -> None:
    """It holds copies: the virtualenv's own history has what counts, and nothing stays half-done."""
    log = local.folder / "release_log"
    before(local, f"mv {log} {log}.away; mkdir {log}")
    done = local.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is deployed, but " in done.stderr
    assert freeze(venv) == {"shop": "1.0"}
    assert not (venv / ".envfab" / "journal.json").exists()
    assert '"status": "deployed"' in (venv / ".envfab" / "history.jsonl").read_text()

"""Virtualenvs that are odd: what envfab remembers of them cannot be read, or somebody worked on them by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace, freeze


@pytest.fixture
def shop(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> Path:
    """A virtualenv on web1 with shop 1.0 deployed, and shop 2.0 in the wheelhouse."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.shop, pip=True)
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, user={hosts.users.shop!r}, packages=['shop'])])"
    )
    workplace.add_made("shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    workplace.add_made("shop", "2.0")
    return path


@pytest.mark.parametrize(
    ("journal", "says"),
    [
        ('{"format": 99}', "journal.json has format 99; this envfab reads formats up to 1"),
        ("[1]", "journal.json was not written by envfab"),
        ('{"format": 1}', "invalid journal.json: 'snapshot' is missing"),
    ],
)
def test_a_journal_of_another_kind_blocks(workplace: Workplace, shop: Path, journal: str, says: str) -> None:
    """A newer format, or no record at all: `blocked`, with a line of what it is and one of what to do."""
    (shop / ".envfab" / "journal.json").write_text(journal)
    for task in ("deploy", "rollback"):
        done = workplace.fab(task, "--yes")
        assert done.returncode == 1
        assert "blocked" in done.stdout
        assert says in done.stdout
        assert "Traceback" not in done.stdout + done.stderr
    assert freeze(shop) == {"shop": "1.0"}


def test_lines_of_the_history_that_are_torn_are_passed_over(workplace: Workplace, shop: Path) -> None:
    """What a power cut left of a line hides no other line, and a new one does not stick to it."""
    history = shop / ".envfab" / "history.jsonl"
    history.write_text("5\n{torn\n" + history.read_text() + '{"format": 1, "who')
    assert workplace.fab("deploy", "--yes").returncode == 0
    (one,) = workplace.json("history")["virtualenvs"]
    assert [record["status"] for record in one["deployments"]] == ["deployed", "deployed"]
    assert workplace.fab("rollback", "--yes").returncode == 0
    assert freeze(shop) == {"shop": "1.0"}


def test_a_history_of_a_newer_format_is_told_as_such(workplace: Workplace, shop: Path) -> None:
    """`history` and `rollback` say so in one line; a deployment goes ahead and leaves the line as it is."""
    history = shop / ".envfab" / "history.jsonl"
    history.write_text('{"format": 99}\n')
    for task in (("history",), ("rollback", "--yes")):
        done = workplace.fab(*task)
        assert done.returncode == 1
        assert "history.jsonl has format 99; this envfab reads formats up to 1" in done.stdout
        assert "Traceback" not in done.stdout + done.stderr
    assert workplace.fab("deploy", "--yes").returncode == 0
    assert history.read_text().startswith('{"format": 99}\n{')


def test_a_history_that_cannot_be_written_stops_a_deployment_before_it_changes_anything(
    workplace: Workplace, shop: Path
) -> None:
    """One line that names the file; afterwards all is well again."""
    history = shop / ".envfab" / "history.jsonl"
    history.rename(shop / "away")
    history.mkdir()
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert f"Is a directory: {history}" in done.stdout
    assert "1 failed" in done.stdout
    assert freeze(shop) == {"shop": "1.0"}
    told = workplace.fab("history")
    assert told.returncode == 1
    assert f"Is a directory: {history}" in told.stdout
    history.rmdir()
    (shop / "away").rename(history)
    assert workplace.fab("deploy", "--yes").returncode == 0


def test_a_folder_that_its_owner_cannot_write_is_one_clear_message(workplace: Workplace, shop: Path) -> None:
    """`.envfab` of somebody else: nothing is done, and the file is named."""
    shutil.chown(shop / ".envfab" / "lock", "root")
    shutil.chown(shop / ".envfab", "root")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert f"Permission denied: {shop}/.envfab/lock" in done.stdout
    assert "completed: nothing" in done.stdout
    assert freeze(shop) == {"shop": "1.0"}


def test_what_was_odd_before_is_shown_and_never_the_reason_to_go_back(
    workplace: Workplace, hosts: Hosts, srv: Path, shop: Path
) -> None:
    """An editable, an egg-info, a patched file and a conflict stand in the plan; the deployment ends well."""
    packages = shop / "lib/python3.11/site-packages"
    wanting = make_wheel(srv, "grumpy", "1.0", requires=["nowhere>=2"])
    done = hosts.run(
        "web1", f"sudo -u {hosts.users.shop} {shop}/bin/python -m pip install --no-index --no-deps -q {wanting}"
    )
    assert done.returncode == 0, done.stderr
    (packages / "grumpy-1.0.dist-info" / "direct_url.json").write_text(
        json.dumps({"url": "file:///src/grumpy", "dir_info": {"editable": True}})
    )
    (packages / "ancient-0.9.egg-info").write_text("Metadata-Version: 1.1\nName: ancient\nVersion: 0.9\n")
    (packages / "shop.py").write_text("patched = True\n")
    shown = workplace.fab("plan").stdout
    assert "installed by other means (editable): grumpy 1.0" in shown
    assert "installed by other means (distutils): ancient 0.9" in shown
    assert "broken before this deployment: grumpy requires nowhere>=2, which is not installed" in shown
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 deployed" in done.stdout
    assert freeze(shop)["shop"] == "2.0"
    assert "patched" not in (packages / "shop.py").read_text()

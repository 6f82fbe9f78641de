"""`fab history`, by the real program on this machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace

MOMENT = r"[A-Z][a-z]+day \d{4}-\d\d-\d\d \d\d:\d\d"


@pytest.fixture
def deployed(tmp_path: Path, make_virtualenv: VirtualenvMaker) -> Workplace:
    """A virtualenv to which something was deployed three times."""
    made = Workplace(tmp_path / "work")
    virtualenv = make_virtualenv("3.11", tmp_path / "venv")
    made.file("shop.txt", "shop\n")
    made.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(virtualenv)!r}, requirements='shop.txt')])")
    for version in ("1.0", "1.1", "1.2"):
        made.add_made("shop", version)
        done = made.fab("deploy", "--yes")
        assert done.returncode == 0, done.stderr + done.stdout
    return made


def test_older_deployments_are_counted(deployed: Workplace) -> None:
    """Where `--limit` leaves some out it says how many, and how to see them; so does the JSON document."""
    lines = deployed.fab("history", "--limit", "1").stdout.splitlines()
    assert [line.split() for line in lines if "→" in line] == [["shop", "1.1", "→", "1.2"]]
    assert lines[-1] == "  2 more: --limit 3"
    (one,) = deployed.json("history", "--limit", "1")["virtualenvs"]
    assert (len(one["deployments"]), one["more"]) == (1, 2)
    whole = deployed.fab("history", "--limit", "3").stdout
    assert whole.count("→") == 3
    assert "more" not in whole
    assert deployed.json("history")["virtualenvs"][0]["more"] == 0


def test_times_are_those_of_the_users_clock(deployed: Workplace) -> None:
    """Each names its zone, as those of `fab wheels` do."""
    for zone in ("UTC", "Asia/Kathmandu"):
        shown = run_fab(deployed.folder, "history", env={"TZ": zone}).stdout
        assert len(re.findall(rf"{MOMENT} {'UTC' if zone == 'UTC' else re.escape('+0545')} ", shown)) == 3

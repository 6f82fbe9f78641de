"""From one program to the other: what `fab` of one fleet records arrives at `fab collector` of another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from tests.collector.conftest import FABFILE
from tests.collector.running import running
from tests.support.fab import run_fab

ORIGINAL = Path(__file__).parents[1] / "usagestats" / "original_locations"


def stored(folder: Path, program: str = "") -> list[bytes]:
    """The reports that the collector in `folder` has of a program, in the order of arrival, without its own two lines."""
    files = sorted((folder / "collector" / "reports" / program).glob("*.txt"))
    return [file.read_bytes().split(b"\n", 2)[2] for file in files]


@pytest.fixture
def collector(tmp_path: Path) -> Path:
    """The folder of a collector."""
    folder = tmp_path / "collector of ours"
    folder.mkdir()
    (folder / "fabfile.py").write_text(FABFILE, encoding="utf-8")
    return folder


def test_own_reports_arrive(collector: Path, tmp_path: Path) -> None:
    """What `stats_show` prints is stored, byte for byte, under the program's name, and shown."""
    user = tmp_path / "user"
    user.mkdir()
    with running(collector) as (_, url):
        (user / "fabfile.py").write_text(
            f"from envfab import *\nns = collection(Fleet(usage_stats=UsageStats({url + '/reports/envfab/'!r})))\n"
        )
        for task in ("wheels", "targets"):
            assert run_fab(user, task).returncode == 0
        shown = [text.encode() for text in json.loads(run_fab(user, "stats_show", "--json").stdout)["reports"]]
        assert stored(collector) == []
        assert run_fab(user, "stats_enable").returncode == 0
        assert run_fab(user, "stats_submit").stdout == "2 reports sent\n"
        assert stored(collector, "envfab") == shown
        assert [b"\ntask:wheels\n" in report for report in shown] == [True, False]
        assert "2 reports from 1 user" in requests.get(f"{url}/usage?program=envfab", timeout=5).text
        total = requests.get(f"{url}/api/usage", timeout=5).json()
    assert "envfab" in json.dumps(total)


def test_own_reports_are_erased(collector: Path, tmp_path: Path) -> None:
    """What `stats_disable --erase` asks for is done: no file and no number is left, and nothing of another user goes."""
    with running(collector) as (_, url):
        for name in ("user", "other"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "fabfile.py").write_text(
                f"from envfab import *\nns = collection(Fleet(usage_stats=UsageStats({url + '/reports/envfab/'!r})))\n"
            )
            for task in ("stats_enable", "wheels", "stats_submit"):
                assert run_fab(tmp_path / name, task).returncode == 0
        assert len(stored(collector, "envfab")) == 2
        done = run_fab(tmp_path / "user", "stats_disable", "--erase")
        assert done.stdout.endswith("erased at the server: 1 report\n"), done.stderr
        assert len(stored(collector, "envfab")) == 1
        assert requests.get(f"{url}/api/usage", timeout=5).json()["reports"] == 1


def test_the_original_librarys_reports_arrive(collector: Path) -> None:
    """Its files are stored as they are, posted as it posts them: a file as the body, of no declared kind."""
    files = sorted(ORIGINAL.glob("*/report_*"))
    with running(collector) as (_, url):
        for file in files:
            with file.open("rb") as body:
                answer = requests.post(f"{url}/", data=body, timeout=5)
            assert answer.status_code == 200
            assert "Content-Type" not in answer.request.headers
        page = requests.get(f"{url}/usage", timeout=5).text
    assert stored(collector) == [file.read_bytes() for file in files]
    assert f"{len(files)} reports from" in page

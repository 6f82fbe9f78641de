"""The fabfile that users copy works as it stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.fab import run_fab

SAMPLE = Path(__file__).parents[1] / "sample_fabfile.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder: the sample as fabfile, and the requirements files that it names."""
    shutil.copy(SAMPLE, tmp_path / "fabfile.py")
    (tmp_path / "requirements").mkdir()
    for name in ("requirements/shop.txt", "tools.txt", "more-tools.txt"):
        (tmp_path / name).write_text("requests\n")
    return tmp_path


def test_the_sample_gives_the_tasks(folder: Path) -> None:
    """`fab --list` in a folder with a copy of the sample shows the tasks."""
    done = run_fab(folder, "--list")
    assert done.returncode == 0, done.stderr
    assert {"add-wheel", "deploy", "plan"} <= set(done.stdout.split())


def test_the_sample_describes_its_hosts(folder: Path) -> None:
    """`fab targets` lists every virtualenv of the sample; groups select among them."""
    # not as JSON, for which the made-up hosts would be asked for the sizes of their stores
    assert len(run_fab(folder, "targets").stdout.splitlines()) == 11
    staging = run_fab(folder, "targets:%staging").stdout.splitlines()
    assert [line.split()[0] for line in staging] == ["shop@staging:/srv/shop/venv", "wiki@staging:/srv/wiki/venv"]


def test_the_sample_says_which_file_is_missing(folder: Path) -> None:
    """A copy without its requirements files lists its tasks; a plan ends with one clear error, and no traceback."""
    (folder / "tools.txt").unlink()
    assert run_fab(folder, "--list").returncode == 0
    done = run_fab(folder, "plan")
    assert done.returncode == 1
    assert "tools.txt" in done.stderr
    assert "Traceback" not in done.stderr

"""CI tries a few failed tests again, and never takes a run for whole that was not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support.tally import Tally, main

ROOT = Path(__file__).parents[2]
ONE = ("test_a.py::test_x",)


def judged(folder: Path, tally: Tally | None, second: int = 0) -> tuple[int, list[Sequence[str]], list[str]]:
    """(the status, what was tried again, what was said)."""
    file = folder / "tally.json"
    if tally is not None:
        file.write_text(json.dumps(asdict(tally)))
    again: list[Sequence[str]] = []
    said: list[str] = []

    def run_again(failed: Sequence[str]) -> int:
        again.append(failed)
        return second

    return main(file, run_again, said.append), again, said


def test_a_run_that_passed_is_not_repeated(tmp_path: Path) -> None:
    """Nothing is said either."""
    assert judged(tmp_path, Tally(0, 10, 10, ())) == (0, [], [])


@pytest.mark.parametrize("second", [0, 1])
def test_what_failed_is_tried_once_more(tmp_path: Path, second: int) -> None:
    """And is listed at the end, however that went."""
    status, again, said = judged(tmp_path, Tally(1, 10, 10, ONE), second)
    assert (status, again) == (second, [ONE])
    assert said[-1] == f"{'failed twice' if second else 'needed a second try'}: {ONE[0]}"


@pytest.mark.parametrize(
    ("tally", "why"),
    [
        (Tally(3, 10, 10, ONE), "pytest ended with status 3"),
        (Tally(2, 10, 4, ()), "pytest ended with status 2"),
        (Tally(1, 10, 9, ONE), "10 tests were collected, 9 ran"),
        (Tally(0, 10, 9, ()), "10 tests were collected, 9 ran"),
        (Tally(0, 0, 0, ()), "0 tests were collected, 0 ran"),
        (Tally(1, 10, 10, ()), "pytest ended with status 1, and 0 tests failed"),
        (Tally(1, 10, 10, tuple(f"test_{number}" for number in range(4))), "4 tests failed; at most 3"),
        (None, "there is no tally of them"),
    ],
)
def test_no_second_try_makes_good_a_run_that_was_not_whole(tmp_path: Path, tally: Tally | None, why: str) -> None:
    """An INTERNALERROR, tests that never ran, too many failures, no end at all."""
    status, again, said = judged(tmp_path, tally)
    assert (status, again) == (1, [])
    assert why in said[0]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_real_run_is_counted(tmp_path: Path, outer_environment: Mapping[str, str], workers: Sequence[str]) -> None:
    """Passed, failed, skipped, failing at setup and at teardown: each is one test that ran."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.fixture\ndef bad():\n    raise ValueError\n"
        "@pytest.fixture\ndef late():\n    yield\n    raise ValueError\n"
        "def test_good(): pass\n"
        "def test_skipped(): pytest.skip('why')\n"
        "def test_failed(): assert False\n"
        "def test_setup(bad): pass\n"
        "def test_teardown(late): pass\n"
    )
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), "-q"]
    options += ["--basetemp", str(tmp_path / "temporary")]  # see test_conftest
    file = tmp_path / "tally.json"
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, *workers, str(tmp_path)],
        cwd=ROOT,
        env={**outer_environment, "ENVFAB_TESTS_TALLY": str(file), "ENVFAB_TESTS_REQUIRE_ALL": ""},
        capture_output=True,
        check=False,
    )
    tally = Tally.read(file)
    assert (tally.status, tally.collected, tally.ran) == (1, 5, 5)
    assert sorted(name.partition("::")[2] for name in tally.failed) == ["test_failed", "test_setup", "test_teardown"]

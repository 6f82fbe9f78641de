"""The rules that hold for every test hold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.pythons import NOT_INSTALLED

ROOT = Path(__file__).parents[2]


def _outcome(folder: Path, body: str, outer: Mapping[str, str], **variables: str) -> str:
    """What pytest's closing line says of a test file with this body, under our conftest."""
    (folder / "test_it.py").write_text(f"import pytest\n{body}\n")
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder), "-q"]
    # the usual place is shared: at its end a session removes what older ones left there, which may take a minute
    options += ["--basetemp", str(folder / "temporary")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=ROOT,
        env={**outer, "ENVFAB_TESTS_REQUIRE_ALL": "", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "body", ["def test_it():\n    pytest.skip('no browser')", "pytest.skip('no browser', allow_module_level=True)"]
)
def test_a_skip_fails_where_all_is_required(tmp_path: Path, outer_environment: Mapping[str, str], body: str) -> None:
    """A part that is missing skips a test, or a file of them, and is a failure where every part is required."""
    assert "1 skipped" in _outcome(tmp_path, body, outer_environment)
    required = _outcome(tmp_path, body, outer_environment, ENVFAB_TESTS_REQUIRE_ALL="1")
    assert "skipped" not in required
    assert "1 failed" in required or "1 error" in required


def test_an_interpreter_may_be_missing(tmp_path: Path, outer_environment: Mapping[str, str]) -> None:
    """Nobody has every CPython: those skips stay skips."""
    body = f"def test_it():\n    pytest.skip({NOT_INSTALLED + '3.99'!r})"
    assert "1 skipped" in _outcome(tmp_path, body, outer_environment, ENVFAB_TESTS_REQUIRE_ALL="1")


def test_the_surroundings_stay_outside(tmp_path: Path, outer_environment: Mapping[str, str]) -> None:
    """Variables that steer our tools do not reach a test, and its home is an empty folder."""
    body = (
        "import os\ndef test_it():\n    assert not {'FABRIC_X', 'PIP_X', 'DO_NOT_TRACK', 'SSH_AUTH_SOCK'} & set(os.environ)\n"
        "    assert os.listdir(os.path.expanduser('~')) == []"
    )
    variables = dict.fromkeys(("FABRIC_X", "PIP_X", "DO_NOT_TRACK", "SSH_AUTH_SOCK"), "1")
    assert "1 passed" in _outcome(tmp_path, body, outer_environment, **variables)

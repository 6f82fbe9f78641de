"""The active virtualenv of this machine, by the real program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.tasks.registration import fabfile


@pytest.mark.parametrize("task", [("register", "--local"), ("register_hook",), ("register_hook", "--cron"), ("sbom",)])
def test_an_active_virtualenv_that_is_gone_is_named(tmp_path: Path, task: tuple[str, ...]) -> None:
    """What the shell still calls active may have been moved: the variable that says so is named, and nothing is made."""
    fabfile(tmp_path / "work", "", "Difio('http://127.0.0.1:9/')")
    done = run_fab(tmp_path / "work", *task, env={"VIRTUAL_ENV": str(tmp_path / "gone")})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"envfab: VIRTUAL_ENV={tmp_path}/gone: no virtualenv is there any more, or its interpreter is gone\n"
        "  activate another one\n"
    )
    assert not (tmp_path / "gone").exists()

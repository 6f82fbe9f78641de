"""A prepared start is one: what `fab` says and does is the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.fab import AT_START, FAB, clean_environment, run_fab
from tests.support.prepared import Starter

FABFILE = """
import os, sys, time
from invoke import task

@task
def tell(c, status=0):
    print(sys.argv[1:], os.getcwd(), os.environ.get("SHOP"), sys.stdin.read(), sys.stdout.isatty())
    print("tests" in sys.modules, sys.path[0].endswith("bin"), sorted(map(int, os.listdir("/proc/self/fd")))[:3])
    print("complaint", file=sys.stderr)
    sys.exit(status)

@task
def sleep(c):
    time.sleep(60)
"""


@pytest.mark.parametrize("arguments", [["tell"], ["tell", "--status", "3"], ["nonsense"], ["--list"]])
def test_both_starts_say_the_same(tmp_path: Path, arguments: list[str]) -> None:
    """Arguments, folder, environment, streams and status are those of a start by `subprocess`."""
    (tmp_path / "fabfile.py").write_text(FABFILE)
    (tmp_path / ".home").mkdir()
    quick, usual = (
        run_fab(tmp_path, *arguments, env={"SHOP": "open"}, stdin="given", prepared=prepared)
        for prepared in (True, False)
    )
    assert (quick.returncode, quick.stdout, quick.stderr) == (usual.returncode, usual.stdout, usual.stderr)


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    """After the time that was given it is killed, and the next start is as good as any."""
    (tmp_path / "fabfile.py").write_text(FABFILE)
    environment = clean_environment(tmp_path)
    with Starter(FAB, {"PATH": os.environ["PATH"], **AT_START}) as starter:
        with pytest.raises(TimeoutError, match=r"fab sleep"):
            starter.run(["sleep"], tmp_path, environment, b"", timeout=3)
        assert starter.run(["tell"], tmp_path, environment, b"", timeout=60).returncode == 0

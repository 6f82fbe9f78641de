"""Virtualenvs of the interpreters that Debian brings: its own python3, PyPy, and the newest CPython."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.newer_debian import running_newer_host
from tests.support.sshd import Unavailable
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace

SHOP = "import till\nVERSION = {0!r}\ndef main():\n    print(VERSION, till.VERSION)\n"


def interpreter(name: str) -> Path:
    """Debian's program of that name; the test skips without it."""
    found = Path("/usr/bin", name)
    if not found.exists():
        pytest.skip(f"{found} is missing")
    return found


def go_round(work: Workplace, host: str, path: str, say: Callable[..., str], *more: str) -> str:
    """Plan, deploy, upgrade, roll back, and describe a virtualenv; what `fab plan` says of its interpreter."""
    work.fabfile("")
    for version in ("1.0", "2.0"):
        files = {"shop.py": SHOP.format(version)}
        work.add_made("shop", version, requires=["till"], entry_points={"shop": "shop:main"}, files=files)
    work.add_made("till", "1.0")
    for version in ("1.0", "2.0"):
        packages = [f"shop=={version}", *more]
        work.fabfile(f"Host({host!r}, virtualenvs=[Virtualenv({path!r}, packages={packages!r})])")
        assert set(work.statuses("plan").values()) == {"changes"}
        deployed = work.fab("deploy", "--yes")
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        assert say(f"{path}/bin/shop") == f"{version} 1.0\n"
    assert set(work.statuses("plan").values()) == {"current"}
    back = work.fab("rollback", "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    assert say(f"{path}/bin/shop") == "1.0 1.0\n"
    described = json.loads(work.fab("sbom").stdout)
    assert {"shop", "till"} <= {part["name"] for part in described["components"]}
    return work.fab("plan").stdout


def say_here(*command: str) -> str:
    """What a command prints on this machine."""
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout


def test_pypy(local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path) -> None:
    """PyPy is managed as CPython is."""
    path = make_virtualenv(interpreter("pypy3"), tmp_path / "venv")
    assert "PyPy 3." in go_round(local, "localhost", str(path), say_here)


def test_the_systems_python(local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path) -> None:
    """A virtualenv of Debian's python3, without any pip."""
    path = make_virtualenv(interpreter("python3"), tmp_path / "venv")
    assert "CPython 3." in go_round(local, "localhost", str(path), say_here)


def test_the_newest_cpython_over_ssh(tmp_path: Path) -> None:
    """On a host with Debian testing a virtualenv is managed that has no pip."""
    try:
        with running_newer_host(tmp_path) as host:
            work = Workplace(tmp_path / "work", ssh_config=host.config)
            path = f"/root/{tmp_path.name}"
            try:
                host.run("python3", "-m", "venv", "--without-pip", path)
                told = go_round(work, "newer", path, host.run)
                assert int(told.partition("CPython 3.")[2].partition(".")[0]) >= 14
            finally:
                host.run("rm", "-rf", path)
    except Unavailable as reason:
        pytest.skip(str(reason))

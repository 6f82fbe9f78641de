"""Virtualenvs made by copying are as good as those made by the usual tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.pythons import VERSIONS, find_python, reachable_by_all
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker


def _say(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout.strip()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_can_be_had(make_virtualenv: VirtualenvMaker, tmp_path: Path, version: str) -> None:
    """A virtualenv runs the wanted version, knows its own path, and holds pip alone, which works."""
    path = make_virtualenv(version, tmp_path / "venv", pip=True)
    program = "import sys; print(sys.prefix + ' %d.%d' % sys.version_info[:2])"
    assert _say(path / "bin" / "python", "-c", program) == f"{path} {version}"
    assert _say(path / "bin" / "pip", "--disable-pip-version-check", "freeze", "--all").startswith("pip==")
    assert str(path) in (path / "bin" / "pip").read_text()


def test_pip_can_be_left_out(make_virtualenv: VirtualenvMaker, tmp_path: Path) -> None:
    """Without pip the environment is empty."""
    path = make_virtualenv("3.11", tmp_path / "venv")
    assert not list(path.glob("lib/python*/site-packages/*.dist-info"))


def test_the_system_can_be_let_in(make_virtualenv: VirtualenvMaker, tmp_path: Path) -> None:
    """The interpreter's own packages are seen where that was asked for, and only there."""
    program = (
        "import sys; print(any(path.startswith(sys.base_prefix) and path.endswith('-packages') for path in sys.path))"
    )
    inside = make_virtualenv("3.11", tmp_path / "one", system_site_packages=True)
    outside = make_virtualenv("3.11", tmp_path / "two")
    assert [_say(path / "bin" / "python", "-c", program) for path in (inside, outside)] == ["True", "False"]


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.11"])
def test_an_owner_can_run_and_change_it(
    make_virtualenv: VirtualenvMaker, hosts: Hosts, srv: Path, version: str
) -> None:
    """With an owner the interpreter is within that user's reach, and the files are theirs."""
    path = make_virtualenv(version, srv / "venv", owner=hosts.users.shop, pip=True)
    python = path / "bin" / "python"
    assert reachable_by_all(python)
    assert hosts.run("web1", f"{python} -m pip --version && touch {path}/x", user=hosts.users.shop).returncode == 0
    assert hosts.run("web1", f"touch {path}/y", user=hosts.users.blog).returncode != 0


def test_a_version_that_nobody_has_is_not_found() -> None:
    """Looking for an interpreter finds that version or nothing."""
    assert find_python("3.5000") is None
